"""Specs are described as ComfyUI's `GET /object_info` describes its classes."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Any, Literal, NamedTuple

import torch

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.v1 import spec_from_v1


class Blend:
    """Blends."""

    RETURN_TYPES = ("IMAGE", ["fast", "slow"])
    RETURN_NAMES = ("picture",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "work"
    CATEGORY = "image/x"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True
    DEPRECATED = True
    RELATIVE_PYTHON_MODULE = "custom_nodes.blends"
    FILES = ("a.png",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "hidden": {"node_id": "UNIQUE_ID"},
            "optional": {"mode": (["add", "max"],), "mask": ("MASK", {"tooltip": "Where."})},
            "required": {"file": (list(cls.FILES), {"image_upload": True}), "amount": ("FLOAT", {"max": float("inf")})},
        }

    def work(self, **inputs: Any) -> tuple[Any, ...]:
        return ()


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def test_a_class_of_a_pack_is_described_as_comfyui_does() -> None:
    assert as_json(spec_from_v1(Blend, "Blend", "Blend Images").to_object_info()) == {
        "input": {
            "required": {"file": [["a.png"], {"image_upload": True}], "amount": ["FLOAT", {}]},
            "optional": {"mode": [["add", "max"], {}], "mask": ["MASK", {"tooltip": "Where."}]},
            "hidden": {"node_id": "UNIQUE_ID"},
        },
        "input_order": {"required": ["file", "amount"], "optional": ["mode", "mask"], "hidden": ["node_id"]},
        "is_input_list": True,
        "output": ["IMAGE", ["fast", "slow"]],
        "output_is_list": [True, False],
        "output_name": ["picture", "COMBO"],
        "name": "Blend",
        "display_name": "Blend Images",
        "description": "Blends.",
        "python_module": "custom_nodes.blends",
        "category": "image/x",
        "output_node": True,
        "deprecated": True,
    }


def test_the_choices_are_those_of_the_moment(monkeypatch) -> None:
    spec = spec_from_v1(Blend)
    monkeypatch.setattr(Blend, "FILES", ("b.png", "c.png"))
    assert spec.to_object_info()["input"]["required"]["file"][0] == ["b.png", "c.png"]


def test_a_function_is_described_like_a_class() -> None:
    class Side(enum.Enum):
        LEFT = 1
        RIGHT = 2

    class Halves(NamedTuple):
        first: nb.Image
        second: nb.Image

    def cut(
        image: nb.Image,
        progress: nb.Progress,
        at: Annotated[float, nb.Range(0, 1)] = 0.5,
        side: Side = Side.RIGHT,
        kind: Literal["hard", b"soft"] = "hard",
        fill: Any = torch.zeros(3),
    ) -> Halves:
        """Cut images."""
        raise NotImplementedError

    info = as_json(spec_from_function(cut, title="Cut in Two", category="mine").to_object_info())
    assert info["input"] == {
        "required": {"image": ["IMAGE", {}]},
        "optional": {
            "at": ["FLOAT", {"min": 0, "max": 1, "default": 0.5}],
            "side": [["LEFT", "RIGHT"], {"default": "RIGHT"}],
            "kind": [["hard"], {"default": "hard"}],
            "fill": ["*", {}],
        },
        "hidden": {"progress": "PROGRESS"},
    }
    assert (info["output"], info["output_name"]) == (["IMAGE", "IMAGE"], ["first", "second"])
    assert (info["name"], info["display_name"], info["category"]) == ("cut", "Cut in Two", "mine")
    assert (info["description"], info["python_module"], info["output_node"]) == ("Cut images.", __name__, False)


def test_a_node_without_inputs_and_outputs_is_described_too() -> None:
    def nothing() -> None: ...

    info = spec_from_function(nothing).to_object_info()
    assert info["input"] == {"required": {}} and info["output"] == info["output_is_list"] == info["output_name"] == []
