"""Every node declares what ComfyUI's node of that name declares, so that saved graphs mean the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comfy_nb.library import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, Folders, use_folders

COMFY = json.loads((Path(__file__).parents[1] / "data" / "library_object_info.json").read_text())
OURS = {"FetchImage", "FetchJSON", "SleepWithProgress", "RateLimitedCall"}


def without_tooltip(declared: Any) -> list[Any]:
    kind, options = (*declared, {})[:2]
    return [kind, {name: value for name, value in options.items() if name != "tooltip"}]


def test_the_library_holds_comfyuis_nodes_and_a_few_of_its_own() -> None:
    assert set(NODE_CLASS_MAPPINGS) == set(COMFY) | OURS


@pytest.mark.parametrize("class_type", COMFY)
def test_a_node_declares_what_comfyui_declares(class_type: str, tmp_path: Path) -> None:
    cls, comfy = NODE_CLASS_MAPPINGS[class_type], COMFY[class_type]
    folders = Folders(tmp_path)
    folders.input.mkdir()
    (folders.input / "example.png").touch()
    with use_folders(folders):
        declared = json.loads(json.dumps(cls.INPUT_TYPES()))

    hidden = declared.pop("hidden", {})
    assert hidden == comfy["input"].get("hidden", {})
    order = {section: list(inputs) for section, inputs in declared.items()}
    assert order == {section: names for section, names in comfy["input_order"].items() if section != "hidden"}
    for section, inputs in declared.items():
        for name, entry in inputs.items():
            assert without_tooltip(entry) == without_tooltip(comfy["input"][section][name]), name

    outputs = list(cls.RETURN_TYPES)
    assert outputs == comfy["output"]
    assert list(getattr(cls, "RETURN_NAMES", outputs)) == comfy["output_name"]
    assert list(getattr(cls, "OUTPUT_IS_LIST", [False] * len(outputs))) == comfy["output_is_list"]
    assert getattr(cls, "OUTPUT_NODE", False) == comfy["output_node"]
    assert comfy["category"] == cls.CATEGORY
    assert NODE_DISPLAY_NAME_MAPPINGS.get(class_type, class_type) == (comfy["display_name"] or class_type)


@pytest.mark.parametrize("class_type", NODE_CLASS_MAPPINGS)
def test_a_node_says_in_one_sentence_what_it_does(class_type: str) -> None:
    own = NODE_CLASS_MAPPINGS[class_type].__dict__.get("__doc__") or ""
    assert own.endswith(".")
    assert own.count("\n") == 0


@pytest.mark.process
def test_importing_the_library_loads_no_network_client() -> None:
    code = "import comfy_nb.library, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
