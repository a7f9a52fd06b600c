"""A warning about what a node does names the line where its function is defined, not one of ours."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.registry import Registry
from tests.engine.support import made


@nb.node
def seeded_picture(seed: int) -> nb.Image:
    torch.manual_seed(seed)
    return torch.rand(1, 4, 5, 3)


@nb.node(
    title="Brightens",
    category="test",
)
def brightens(x: nb.Image) -> nb.Image:
    x += 1
    return x.clone()


@nb.node
async def gives_channels_first(seed: int) -> nb.Image:
    return torch.rand(1, 3, 4, 5)


def always(seed: int) -> Any:
    raise ValueError("unknown")


@nb.node(fingerprint=always)
def has_a_bad_fingerprint(seed: int) -> int:
    return seed


@nb.node
def shows_nothing_that_can_be_shown(seed: int, *, progress: nb.Progress) -> int:
    progress.preview(torch.rand(4, 5, 3).to_sparse())
    return seed


WARNED_OF: dict[str, Callable[[], nb.Handle]] = {
    "def brightens(": lambda: brightens(seeded_picture(1)),
    "async def gives_channels_first(": lambda: gives_channels_first(1),
    "def has_a_bad_fingerprint(": lambda: has_a_bad_fingerprint(1),
    "def shows_nothing_that_can_be_shown(": lambda: shows_nothing_that_can_be_shown(1),
}


def lines_of(caught: list[warnings.WarningMessage]) -> list[str]:
    return [linecache.getline(each.filename, each.lineno).strip() for each in caught]


@pytest.mark.parametrize("line", WARNED_OF)
async def test_it_names_the_line_with_the_def_below_the_decorators(line: str) -> None:
    with pytest.warns(nb.ComfyNBWarning) as caught:
        await WARNED_OF[line]().fresh()
    assert all(each.startswith(line) for each in lines_of(list(caught)))


class Darken:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"image": ("IMAGE",)}})
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "darken"

    def darken(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        image *= 0.5
        return (image.clone(),)


async def test_of_a_class_it_names_the_method_that_does_the_work() -> None:
    registry = Registry()
    nb.register(Darken, registry=registry)
    registry.register(seeded_picture.spec)
    prompt = {"1": made("seeded_picture", seed=2), "2": made("Darken", image=["1", 0])}
    with pytest.warns(nb.ComfyNBWarning, match="in place") as caught:
        await nb.Graph.from_prompt(prompt, registry).run()
    assert lines_of(list(caught)) == ["def darken(self, image: torch.Tensor) -> tuple[torch.Tensor]:"]
