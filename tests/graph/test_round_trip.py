"""What is saved, as a file or in a picture, is valid JSON and loads as an equal graph.

`VALUES` is the inventory of constants that come back as they were, `REFUSED` of those that JSON cannot hold.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import comfy_nb as nb
from comfy_nb.errors import ComfyNBWarning, PromptError
from comfy_nb.graph.prompt import parse_prompt, read_prompt, write_prompt
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.image_files import SaveImage

NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Folders]:
    with use_folders(Folders(tmp_path)) as folders:
        yield folders


def strict(text: str) -> Any:
    """Read JSON as a reader does that knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in type and content: NaN to NaN, and 0.0 not to -0.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)


def prompt_with(value: Any) -> dict[str, Any]:
    return {"7": {"class_type": "A", "inputs": {"x": value, "up": ["8", 0]}, "_meta": {"title": "Mine"}}}


def through_file(prompt: dict[str, Any], folder: Path) -> dict[str, Any]:
    file = write_prompt(prompt, folder / "a.json")
    strict(file.read_text("utf-8"))
    return read_prompt(file).nodes


def through_picture(prompt: dict[str, Any], folders: Folders) -> dict[str, Any]:
    entry = SaveImage().save_images(torch.zeros(1, 1, 1, 3), "a", prompt)["ui"]["images"][0]
    with Image.open(folders.output / entry["filename"]) as picture:
        strict(picture.text["prompt"])  # type: ignore[attr-defined]
    return read_prompt(folders.output / entry["filename"]).nodes


VALUES: list[Any] = [
    *(NAN, INF, -INF, 1e400, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1),
    *(2**53 + 1, 2**64 - 1, -(2**63), 10**400, True, False, None, 1, 1.0),
    *("", "NaN", "Infinity", "ü 日本 🙂", "\ud83d", "\udfff text", "\x00\x1f\x7f", "</script>", "\u2028"),
    *({"a": NAN}, {"a": {"b": [1, -INF]}}, {"": 1}, {"\ud800": 1}, {}, {"__value__": []}),
    *({"__value__": [NAN, "NaN", [INF]]}, {"__value__": ["3", 0]}, {"__value__": [(1, 2), [(), (NAN,)]]}),
    *((), (1,), ("3", 0), (1, (2, NAN)), ((), [()]), {"t": (1, {"u": (INF,)})}),
    {"_types": {"float": [["inputs", "x"]]}},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_constant_comes_back_as_it_was(value: Any, folders: Folders, tmp_path: Path) -> None:
    prompt = prompt_with(value)
    assert same(through_file(prompt, tmp_path), prompt)
    assert same(through_picture(prompt, folders), prompt)


EQUAL: list[tuple[Any, Any]] = [
    (np.float32(0.1), 0.10000000149011612),
    (np.float64("nan"), NAN),
    (np.float16("inf"), INF),
    (np.int8(-3), -3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (OrderedDict(a=1), {"a": 1}),
]


@pytest.mark.parametrize(("value", "plain"), EQUAL)
def test_numbers_and_dicts_of_other_kinds_come_back_as_pythons(
    value: Any, plain: Any, folders: Folders, tmp_path: Path
) -> None:
    assert same(through_file(prompt_with(value), tmp_path), prompt_with(plain))
    assert same(through_picture(prompt_with(value), folders), prompt_with(plain))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
CONSTANTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(CONSTANTS)
def test_any_constant_comes_back_as_it_was(value: Any) -> None:
    from comfy_nb.graph.prompt_json import picture_text, prompt_text

    prompt = prompt_with({"__value__": value} if isinstance(value, list) else value)
    for text in (prompt_text(prompt), picture_text(prompt, is_prompt=True)):
        strict(text)
        assert same(parse_prompt(text).nodes, prompt)


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    return value


REFUSED: list[tuple[Any, str]] = [
    (b"bytes", "its type is bytes"),
    ({1, 2}, "its type is set"),
    (1j, "its type is complex"),
    (torch.zeros(2, 3), "its type is Tensor"),
    (np.zeros(4), "its type is ndarray"),
    (Image.new("L", (1, 1)), "its type is Image"),
    (Path("a"), "its type is"),
    (object(), "its type is object"),
    (np.datetime64("2024-01-02"), "its type is datetime64"),
    (np.longdouble(1), "its type is longdouble"),
    ({1: "a"}, "its keys are not all text"),
    ({"a": [0, {None: 1}]}, "its keys are not all text"),
    ("\ud83d\ude00", "surrogates in pairs"),
    ({"\ud83d\ude00": 1}, "surrogates in pairs"),
    ({"__value__": endless()}, "it contains itself"),
    ({"__value__": deep()}, "nested in more than"),
    (10 ** (sys.get_int_max_str_digits() + 1), "limit"),
]


@pytest.mark.parametrize(
    ("value", "reason"), REFUSED, ids=[f"{place} {reason}" for place, (_, reason) in enumerate(REFUSED)]
)
def test_what_json_cannot_hold_is_refused_by_a_file_and_left_out_by_a_picture(
    value: Any, reason: str, folders: Folders, tmp_path: Path
) -> None:
    prompt = prompt_with(value)
    with pytest.raises(PromptError, match=rf"Input 'x' of node '7' \(A, 'Mine'\) holds .*{reason}"):
        write_prompt(prompt, tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()
    with pytest.warns(ComfyNBWarning, match=r"could not hold: the input 'x' of \"Mine\" \(node 7, A\)"):
        nodes = through_picture(prompt, folders)
    assert nodes == {"7": {"class_type": "A", "inputs": {"up": ["8", 0]}, "_meta": {"title": "Mine"}}}


def test_a_shared_constant_is_no_loop(tmp_path: Path) -> None:
    shared = [1]
    prompt = prompt_with({"__value__": [shared, shared, {"a": shared}]})
    assert same(through_file(prompt, tmp_path), prompt)


def test_what_a_run_noted_is_not_saved(folders: Folders, tmp_path: Path) -> None:
    prompt = prompt_with(1)
    noted = {"7": {**prompt["7"], "is_changed": [NAN], "fresh": 3}}
    assert through_file(noted, tmp_path) == prompt
    assert through_picture(noted, folders) == prompt


def test_comfyui_reads_the_same_file_without_knowing_of_the_types() -> None:
    from comfy_nb.graph.prompt_json import prompt_text

    node = strict(prompt_text(prompt_with(NAN)))["7"]
    assert node.keys() == {"class_type", "inputs", "_meta", "_types"}
    assert math.isnan(float(node["inputs"]["x"]))
    node = strict(prompt_text(prompt_with(("3", 0))))["7"]
    assert node["inputs"]["x"] == {"__value__": ["3", 0]}, "a list would be read as a link"


@pytest.mark.parametrize(
    "types",
    [
        *(None, 1, [], {"float": 1}, {"float": [1, [], [None], ["inputs"], ["inputs", "y"], ["inputs", "x", 3, "z"]]}),
        *({"tuple": [["inputs", "x"], ["inputs"], ["class_type"]]}, {"object": [["class_type"], ["inputs"]]}),
        *({"other": [["inputs", "x"]]}, {"float": [["inputs", "x", -1]]}),
    ],
)
def test_types_that_name_nothing_change_nothing(types: Any) -> None:
    node = {"class_type": "A", "inputs": {"x": "NaN"}}
    assert parse_prompt(json.dumps({"7": {**node, "_types": types}})).nodes == {"7": node}


@pytest.mark.parametrize("name", ["", "ü", "日本", "a" * 200, "prompt"])
def test_whatever_a_workflow_is_called_the_picture_is_saved(name: str, folders: Folders) -> None:
    extra = {name: {"seed": NAN, "note": b"bytes", "self": endless()}}
    entry = SaveImage().save_images(torch.zeros(1, 1, 1, 3), "a", prompt_with(1), extra)["ui"]["images"][0]
    with Image.open(io.BytesIO((folders.output / entry["filename"]).read_bytes())) as picture:
        for text in picture.text.values():  # type: ignore[attr-defined]
            strict(text)


@nb.node
def shown(x: object) -> str:
    """Return a constant as text."""
    return repr(x)


@pytest.mark.parametrize("value", [NAN, [INF, (1, -0.0)], ["2", 0], [["2", 0]], {"a": (NAN,)}, 2**70, "NaN"], ids=repr)
def test_a_graph_runs_the_same_from_its_file_and_from_its_picture(value: Any, folders: Folders, tmp_path: Path) -> None:
    picture = nb.nodes.EmptyImage(8, 8)
    save = nb.nodes.SaveImage(picture, filename_prefix="a")
    graph = nb.Graph(shown(value), save)
    entry = graph.run_sync().ui[graph.id_of(save)]["images"][0]
    graph.save(tmp_path / "a.json")
    shown_id = graph.id_of(shown(value))
    for source in (tmp_path / "a.json", folders.output / entry["filename"]):
        again = nb.load(source)
        assert same(again.to_prompt(), graph.to_prompt())
        assert again.run_sync([shown_id])[shown_id] == repr(value)
