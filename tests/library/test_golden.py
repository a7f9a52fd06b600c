"""Every node returns what ComfyUI's returns, on recorded cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from comfy_nb.library import NODE_CLASS_MAPPINGS

CASES = json.loads((Path(__file__).parents[1] / "data" / "golden_nodes.json").read_text())["cases"]
EXACT = 1e-5
ONE_STEP = 1 / 255 + EXACT


def pattern(*sizes: int, seed: int) -> torch.Tensor:
    axes = torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij")
    total = sum((weight * axis for weight, axis in zip((7, 13, 29, 17), axes, strict=True)), torch.tensor(seed))
    return (total % 97).float() / 96


def make(value: Any) -> Any:
    if isinstance(value, list):
        return [make(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, given),) = value.items()
    sizes = {"b": 1, "h": 6, "w": 8, "s": 0, "c": 4 if kind == "$latent" else 3} | given
    b, h, w, c, seed = (sizes[name] for name in "bhwcs")
    if kind == "$latent":
        return {"samples": 4 * pattern(b, c, h, w, seed=seed) - 2}
    if kind == "$mask":
        return pattern(b, h, w, 1, seed=seed).squeeze(-1)
    return pattern(b, h, w, c, seed=seed)


def check(got: Any, expected: Any, tolerance: float) -> None:
    if isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            check(one, other, tolerance)
    elif isinstance(expected, dict) and "latent" in expected:
        assert sorted(got) == expected["keys"]
        check(got["samples"], expected["latent"], tolerance)
    elif isinstance(expected, dict):
        assert str(got.dtype) == expected["dtype"]
        assert list(got.shape) == expected["shape"]
        wanted = torch.tensor(expected["values"]).reshape(expected["shape"])
        torch.testing.assert_close(got, wanted, atol=tolerance, rtol=0)
    else:
        assert got == expected
        assert type(got) is type(expected)


@pytest.mark.parametrize("case", CASES, ids=[f"{at}-{case['class_type']}" for at, case in enumerate(CASES)])
def test_a_node_returns_what_comfyui_returns(case: dict[str, Any]) -> None:
    cls = NODE_CLASS_MAPPINGS[case["class_type"]]
    inputs = {name: make(value) for name, value in case["inputs"].items()}
    by_pillow = inputs.get("upscale_method") == "lanczos" or case["class_type"] == "ImageQuantize"

    outputs = getattr(cls(), cls.FUNCTION)(**inputs)

    check(list(outputs), case["outputs"], ONE_STEP if by_pillow else EXACT)
