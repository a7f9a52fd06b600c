"""Prompts are read from files, text and dicts, or refused with a message that helps."""

from __future__ import annotations

import codecs
import io
import json
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from comfy_nb.errors import ComfyNBWarning, PromptError
from comfy_nb.graph.link import is_link
from comfy_nb.graph.model import load
from comfy_nb.graph.prompt import is_workflow, parse_prompt, read_prompt

BLUR = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "Photo"}},
    "2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "radius": 4}},
}


WORKFLOW = {"nodes": [{"id": 1, "type": "LoadImage"}], "links": [], "version": 0.4}


def refusal(source: object) -> str:
    with pytest.raises(PromptError) as caught:
        parse_prompt(source)  # type: ignore[arg-type]
    return str(caught.value)


def unreadable(path: str | Path) -> str:
    with pytest.raises(PromptError) as caught:
        read_prompt(path)
    return str(caught.value)


@pytest.mark.parametrize("value", [["1", 0], ["1", -1], ["1", 2.0], ["", 0]])
def test_a_list_of_an_id_and_a_slot_is_a_link(value: object) -> None:
    assert is_link(value)


@pytest.mark.parametrize(
    "value",
    [("1", 0), [1, 0], ["1"], ["1", 0, 0], ["1", True], ["1", 0.5], ["1", math.inf], ["1", math.nan], "10"],
)
def test_anything_else_is_not(value: object) -> None:
    assert not is_link(value)


@pytest.mark.parametrize(
    "source",
    [
        BLUR,
        MappingProxyType(BLUR),
        json.dumps(BLUR),
        "\ufeff" + json.dumps(BLUR),
        json.dumps(BLUR).encode(),
        codecs.BOM_UTF8 + json.dumps(BLUR).encode(),
        json.dumps(BLUR).encode("utf-16"),
        json.dumps(BLUR).encode("utf-16-be"),
        {"prompt": BLUR, "client_id": "c"},
        {"prompt": json.dumps(BLUR)},
        json.dumps({"prompt": BLUR}),
    ],
)
def test_a_prompt_is_read_from_text_bytes_dicts_and_envelopes(source: str | bytes | dict[str, Any]) -> None:
    parsed = parse_prompt(source)
    assert parsed.nodes == BLUR
    assert parsed.workflow is None


def test_nodes_of_a_dict_are_shared_but_the_dict_is_not() -> None:
    source = dict(BLUR)
    nodes = parse_prompt(source).nodes
    assert nodes["1"] is source["1"]
    nodes.clear()
    assert source == BLUR


def test_a_posted_envelope_gives_its_workflow() -> None:
    posted = {"prompt": BLUR, "extra_data": {"extra_pnginfo": {"workflow": WORKFLOW}}}
    assert parse_prompt(posted).workflow == WORKFLOW


@pytest.mark.parametrize("workflow", [WORKFLOW, json.dumps(WORKFLOW)])
def test_the_text_entries_of_a_picture_are_an_envelope_too(workflow: object) -> None:
    parsed = parse_prompt({"prompt": json.dumps(BLUR), "workflow": workflow})
    assert parsed == (BLUR, WORKFLOW, "the dict", "stop")


def test_a_damaged_workflow_is_left_out_with_a_warning() -> None:
    with pytest.warns(ComfyNBWarning, match="The workflow in the dict is not JSON"):
        assert parse_prompt({"prompt": BLUR, "workflow": "{"}).workflow is None


@pytest.mark.parametrize("extra", [None, 3, {"extra_pnginfo": None}, {"extra_pnginfo": {"workflow": 3}}])
def test_odd_extra_data_is_passed_over(extra: object) -> None:
    assert parse_prompt({"prompt": BLUR, "extra_data": extra}) == (BLUR, None, "the dict", "stop")


def test_a_node_may_be_called_prompt() -> None:
    nodes = {"prompt": BLUR["1"]}
    assert parse_prompt(nodes).nodes == nodes


def test_nan_and_infinity_of_old_files_are_read() -> None:
    text = '{"1": {"class_type": "A", "is_changed": [NaN], "inputs": {"x": -Infinity}}}'
    node = parse_prompt(text).nodes["1"]
    assert math.isnan(node["is_changed"][0])
    assert node["inputs"]["x"] == -math.inf


def test_int_ids_become_strings_also_in_links() -> None:
    second = {"class_type": "B", "inputs": {"image": [1, 0], "size": [64, 64]}}
    source = {1: BLUR["1"], 2: second, "3": BLUR["2"]}
    nodes = parse_prompt(source).nodes
    assert list(nodes) == ["1", "2", "3"]
    assert nodes["2"]["inputs"] == {"image": ["1", 0], "size": [64, 64]}
    assert second["inputs"] == {"image": [1, 0], "size": [64, 64]}


def test_an_id_given_as_int_and_as_string_is_refused() -> None:
    assert "1 and '1'" in refusal({1: BLUR["1"], "1": BLUR["2"]})


def test_a_node_without_inputs_gets_none_and_the_callers_stays_as_it_was() -> None:
    source = {"1": {"class_type": "A"}}
    assert parse_prompt(source).nodes == {"1": {"class_type": "A", "inputs": {}}}
    assert source == {"1": {"class_type": "A"}}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([1, 2], "is a list, not a prompt"),
        ("[]", "The text is a list"),
        ("3", "is a int"),
        (None, "is a NoneType"),
        ({}, "empty dict"),
        ({"prompt": {}}, "The prompt in the dict is an empty dict"),
        ("", "The text is empty"),
        (b" \n", "The data is empty"),
        ({"7": [1]}, "node '7' is a list ([1])"),
        ({"7": {"inputs": {}}}, "node '7' has no class_type, which names its class; it has 'inputs'"),
        ({"7": {}}, "it has nothing"),
        ({"7": {"class_type": 3}}, "node '7' has a class_type that is no string: 3"),
        ({"7": {"class_type": "A", "inputs": [1]}}, "node '7' (A) has inputs that are a list ([1])"),
        ({"7": {"class_type": "A", "inputs": {1: 2}}}, "node '7' (A) has an input 1"),
        ({None: BLUR["1"]}, "node id None"),
        ({True: BLUR["1"]}, "node id True"),
        ({1.5: BLUR["1"]}, "node id 1.5"),
        (BLUR["1"], 'single node, not a prompt. Use {"1": node}'),
        (WORKFLOW, "Workflow > Export (API)"),
        ({"workflow": WORKFLOW}, "editor's format"),
        ({"prompt": WORKFLOW}, "The prompt in the dict is in the editor's format"),
        (json.dumps(WORKFLOW), "editor's format"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "cannot be read as JSON"),
        (Path("a.json"), "Use read_prompt('a.json')"),
        ("flows/a.json", "Use read_prompt('flows/a.json')"),
        (b"GIF89a\xff\xfe", "neither text in UTF-8"),
    ],
)
def test_what_is_not_a_prompt_is_refused_with_what_it_is(source: object, said: str) -> None:
    assert said in refusal(source)


def picture_with(**texts: str) -> bytes:
    entries = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        entries.add_text(name, text)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "png", pnginfo=entries)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        WORKFLOW,
        {"workflow": WORKFLOW},
        {"workflow": json.dumps(WORKFLOW)},
        {"prompt": WORKFLOW},
        {"prompt": {}, "workflow": WORKFLOW},
        {"prompt": json.dumps(WORKFLOW)},
        picture_with(workflow=json.dumps(WORKFLOW)),
        picture_with(prompt="a cat", workflow=json.dumps(WORKFLOW)),
    ],
)
def test_the_refusal_of_what_the_editor_saved_carries_it_to_be_drawn(source: object) -> None:
    with pytest.raises(PromptError) as refused:
        parse_prompt(source)  # type: ignore[arg-type]
    assert refused.value.workflow == WORKFLOW


@pytest.mark.parametrize("text", ["a" * 5_000, "a\x00b"])
def test_a_text_that_can_be_no_path_is_not_repeated(text: str) -> None:
    assert unreadable(Path(text)) == f"A text of {len(text):,} characters is neither JSON nor the path of a file."


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_not_a_folder(text: str) -> None:
    with pytest.raises(PromptError, match="The text is empty"):
        load(text)


def test_a_mark_of_byte_order_does_not_make_a_path_of_a_text() -> None:
    assert len(load("\ufeff" + json.dumps(BLUR))) == len(BLUR)


def test_a_number_of_too_many_digits_is_refused_in_words() -> None:
    assert "node 'nodes' is a int" in refusal({"nodes": 10**5_000})


def test_an_envelope_that_holds_itself_is_refused() -> None:
    source: dict[str, object] = {}
    source["prompt"] = source
    assert "no class_type" in refusal(source)


def test_malformed_json_shows_line_column_and_the_text_around() -> None:
    message = refusal('{\n  "1": {"class_type": "A" "inputs": {}}\n}')
    assert "line 2, column 27" in message
    assert '"A" »"inputs"' in message


def test_a_large_value_in_a_message_is_cut_short() -> None:
    assert len(refusal({"1": {"class_type": list(range(100_000))}})) < 200
    assert "Tensor[512, 512]" in refusal({"1": {"class_type": torch.zeros(512, 512)}})


def test_a_file_of_any_encoding_is_read_whatever_its_name(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        file = tmp_path / f"{encoding}.txt"
        file.write_text(json.dumps(BLUR, ensure_ascii=False), encoding=encoding)
        assert read_prompt(file) == (BLUR, None, str(file), "stop")


def test_a_picture_is_read_by_content_not_by_name(tmp_path: Path) -> None:
    entries = PngImagePlugin.PngInfo()
    entries.add_text("prompt", json.dumps(BLUR))
    entries.add_text("workflow", json.dumps(WORKFLOW))
    file = tmp_path / "picture.json"
    Image.new("RGB", (4, 4)).save(file, "png", pnginfo=entries)
    assert read_prompt(str(file)) == (BLUR, WORKFLOW, str(file), "stop")


def test_a_picture_without_a_graph_says_so(tmp_path: Path) -> None:
    file = tmp_path / "plain.png"
    Image.new("RGB", (4, 4)).save(file)
    assert "a png picture, carries no graph" in unreadable(file)


def test_a_picture_with_the_editors_workflow_alone_says_so(tmp_path: Path) -> None:
    entries = PngImagePlugin.PngInfo()
    entries.add_text("workflow", json.dumps(WORKFLOW))
    file = tmp_path / "drawn.png"
    Image.new("RGB", (4, 4)).save(file, pnginfo=entries)
    message = unreadable(file)
    assert "carries a workflow of the editor's but no prompt" in message
    assert "Export (API)" in message and "nb.draw" in message


def test_a_picture_whose_prompt_is_prose_says_where_the_fault_is(tmp_path: Path) -> None:
    entries = PngImagePlugin.PngInfo()
    entries.add_text("prompt", "a cat")
    file = tmp_path / "cat.png"
    Image.new("RGB", (4, 4)).save(file, pnginfo=entries)
    assert f"The prompt in {file} is not JSON" in unreadable(file)


def test_a_missing_file_offers_near_names(tmp_path: Path) -> None:
    (tmp_path / "portrait.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    message = unreadable(tmp_path / "portrat.json")
    assert "Did you mean 'portrait.json'?" in message
    assert "notes.txt" not in message


def test_a_missing_folder_says_where_we_are(tmp_path: Path) -> None:
    message = unreadable(tmp_path / "nowhere" / "a.json")
    assert f"nor the folder {tmp_path / 'nowhere'}" in message
    assert str(Path.cwd()) in message


def test_a_folder_lists_what_could_be_read_in_it(tmp_path: Path) -> None:
    (tmp_path / "portrait.json").write_text("{}")
    message = unreadable(tmp_path)
    assert f"{tmp_path} is a folder" in message
    assert "portrait.json" in message


def test_a_folder_that_may_not_be_listed_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "There is no file 'a.json'" in unreadable(tmp_path / "a.json")


def test_an_empty_file_and_a_binary_one_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_bytes(b"")
    assert "empty.json is empty" in unreadable(tmp_path / "empty.json")
    (tmp_path / "model.bin").write_bytes(b"\xb8\x0f\0\0\xff\xff")
    assert "neither text in UTF-8" in unreadable(tmp_path / "model.bin")


def test_text_given_for_a_path_points_to_parse_prompt() -> None:
    assert "parse_prompt(text)" in unreadable(json.dumps(BLUR) * 100)
    assert "is neither JSON nor the path of a file" in unreadable("a\0b")


def test_a_workflow_is_distinguished_from_a_prompt() -> None:
    assert is_workflow(WORKFLOW)
    assert not is_workflow(BLUR)
    assert not is_workflow({"nodes": BLUR["1"], "links": BLUR["2"]})
    assert not is_workflow([])


KEYS = st.sampled_from(["class_type", "inputs", "prompt", "workflow", "nodes", "links", "1", ""])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.long
@given(JSON_VALUES | st.dictionaries(KEYS | st.integers(), JSON_VALUES, max_size=3))
@pytest.mark.filterwarnings("ignore::comfy_nb.errors.ComfyNBWarning")
def test_any_value_is_a_prompt_or_refused(value: object) -> None:
    try:
        nodes = parse_prompt(value).nodes  # type: ignore[arg-type]
    except PromptError as error:
        assert str(error)
    else:
        assert all(isinstance(node["class_type"], str) for node in nodes.values())
        assert all(isinstance(node["inputs"], dict) for node in nodes.values())
