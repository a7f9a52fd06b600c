"""Prompts are written whole or not at all, and only what JSON can hold."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

from comfy_nb.errors import PromptError
from comfy_nb.graph.prompt import read_prompt, write_prompt
from comfy_nb.graph.prompt_json import picture_text

BLUR = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "Photo"}},
    "2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "radius": 4}},
}


def test_a_written_prompt_reads_back_equal(tmp_path: Path) -> None:
    nodes = {"1": {"class_type": "Text", "inputs": {"text": "日本 \ud800", "n": 2**64 - 1, "x": math.inf}}}
    file = write_prompt(nodes, tmp_path / "a.json")
    assert read_prompt(file).nodes == nodes
    text = file.read_text("utf-8")
    assert "日本" in text
    assert text.count("\n") > 5
    assert "Infinity" in text


def test_writing_replaces_the_file_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to(file)
    assert write_prompt(BLUR, link) == file
    assert link.is_symlink()
    assert json.loads(file.read_text()) == BLUR
    assert sorted(os.listdir(tmp_path)) == ["a.json", "link.json"]


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PromptError, match="cannot be written: Permission denied"):
        write_prompt(BLUR, file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_tensor_constant_names_its_node_and_input(tmp_path: Path) -> None:
    nodes = {**BLUR, "9": {"class_type": "Blend", "inputs": {"mask": torch.zeros(1, 8, 8)}}}
    with pytest.raises(PromptError) as caught:
        write_prompt(nodes, tmp_path / "a.json")
    message = str(caught.value)
    assert "Input 'mask' of node '9' (Blend) holds Tensor[1, 8, 8]" in message
    assert "Save it to a file" in message
    assert os.listdir(tmp_path) == []


def test_a_constant_that_holds_itself_is_refused(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(PromptError, match="Input 'x' of node '1'"):
        write_prompt({"1": {"class_type": "A", "inputs": {"x": loop}}}, tmp_path / "a.json")


def test_a_constant_that_holds_one_list_too_often_is_refused(tmp_path: Path) -> None:
    value: list[object] = []
    for _ in range(60):
        value = [value, value]
    nodes = {"1": {"class_type": "Text", "inputs": {"x": {"__value__": value}}}}
    with pytest.raises(PromptError, match=r"Input 'x' of node '1' \(Text\) holds .* one thing in too many places"):
        write_prompt(nodes, tmp_path / "a.json")
    assert '"object"' in picture_text(nodes, is_prompt=True)


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise SystemExit


class Wrong(int):
    def __int__(self) -> int:
        raise RuntimeError

    bit_length = __int__


class Endless(list[int]):
    def __iter__(self) -> Iterator[int]:
        return itertools.count()


class Closed(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise SystemExit

    def __iter__(self) -> Iterator[str]:
        raise SystemExit

    __len__ = __iter__  # type: ignore[assignment]


def test_a_constant_of_a_derived_class_is_written_as_what_it_is_to_the_built_in_one(tmp_path: Path) -> None:
    inputs = {"text": Loud("a"), "n": Wrong(3), "items": {"__value__": Endless([1, 2])}}
    file = write_prompt({"1": {"class_type": "Text", "inputs": inputs}}, tmp_path / "a.json")
    assert read_prompt(file).nodes["1"]["inputs"] == {"text": "a", "n": 3, "items": {"__value__": [1, 2]}}


def test_a_mapping_that_refuses_to_be_read_is_refused_by_name(tmp_path: Path) -> None:
    nodes = {"1": {"class_type": "Text", "inputs": {"x": Closed()}}}
    with pytest.raises(PromptError, match=r"Input 'x' of node '1' \(Text\).*reading it raised SystemExit"):
        write_prompt(nodes, tmp_path / "a.json")


def test_what_is_not_json_outside_the_inputs_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="cannot be written as JSON"):
        write_prompt({"1": {"class_type": "A", "inputs": {}, "_meta": {1, 2}}}, tmp_path / "a.json")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="make the folder"):
        write_prompt(BLUR, tmp_path / "nowhere" / "a.json")


def test_only_prompts_are_written(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no class_type"):
        write_prompt({"1": {}}, tmp_path / "a.json")


@pytest.mark.parametrize(("value", "where"), [(object(), "extra_data.a"), ({"b": {1: 2}}, "extra_data.a.b")])
def test_extra_data_that_json_cannot_hold_is_refused_by_name(tmp_path: Path, value: object, where: str) -> None:
    with pytest.raises(PromptError, match=f"{where} holds"):
        write_prompt({"1": {"class_type": "A", "inputs": {}}}, tmp_path / "prompt.json", {"a": value})


class Grows(Mapping[str, object]):
    """A mapping that makes two of its kind whenever it is asked."""

    def __getitem__(self, key: str) -> object:
        return Grows()

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


def test_a_constant_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_nb.graph.prompt_json.MOST_CONTAINERS", 1_000)
    with pytest.raises(PromptError, match=r"Input 'x' .* holds"):
        write_prompt({"1": {"class_type": "A", "inputs": {"x": Grows()}}}, tmp_path / "prompt.json")
