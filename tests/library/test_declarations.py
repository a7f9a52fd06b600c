"""Every node declares what ComfyUI's node of that name declares, so that saved graphs mean the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comfy_nb.library import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, Folders, use_folders
from comfy_nb.spec.v1 import spec_from_v1

COMFY = json.loads((Path(__file__).parents[1] / "data" / "library_object_info.json").read_text())
OURS = {"SampleImage", "FetchImage", "FetchJSON", "SleepWithProgress", "RateLimitedCall"}


def comparable(info: dict[str, Any], class_type: str) -> dict[str, Any]:
    """Return what must be equal for saved graphs to mean the same: all but tooltips and what ComfyUI's data lacks."""
    inputs = {
        section: entries if section == "hidden" else {name: without_tooltip(entry) for name, entry in entries.items()}
        for section, entries in info["input"].items()
    }
    kept = {name: info[name] for name in ("input_order", "output", "output_is_list", "output_name")}
    kept |= {name: info[name] for name in ("category", "output_node")}
    return {**kept, "input": inputs, "display_name": info["display_name"] or class_type}


def without_tooltip(declared: Any) -> list[Any]:
    kind, options = (*declared, {})[:2]
    return [kind, {name: value for name, value in options.items() if name != "tooltip"}]


def test_the_library_holds_comfyuis_nodes_and_a_few_of_its_own() -> None:
    assert set(NODE_CLASS_MAPPINGS) == set(COMFY) | OURS


@pytest.mark.parametrize("class_type", COMFY)
def test_a_node_declares_what_comfyui_declares(class_type: str, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.input.mkdir()
    (folders.input / "example.png").touch()
    spec = spec_from_v1(NODE_CLASS_MAPPINGS[class_type], class_type, NODE_DISPLAY_NAME_MAPPINGS.get(class_type, ""))
    with use_folders(folders):
        declared = json.loads(json.dumps(spec.to_object_info()))
    assert comparable(declared, class_type) == comparable(COMFY[class_type], class_type)
    assert (declared["name"], declared["description"]) == (class_type, spec.description)


@pytest.mark.parametrize("class_type", NODE_CLASS_MAPPINGS)
def test_a_node_is_described_in_one_sentence(class_type: str) -> None:
    own = NODE_CLASS_MAPPINGS[class_type].__dict__.get("__doc__") or ""
    assert own.endswith(".")
    assert own.count("\n") == 0


@pytest.mark.process
def test_importing_the_library_loads_no_network_client() -> None:
    code = "import comfy_nb.library, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
