"""An output without the layout that its node declares is told at once, in its row, with what converts it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.output_faults import output_fault
from tests.engine.support import Pack, made, run_of

SAMPLES = {"samples": torch.zeros(1, 4, 2, 2)}
SOUND = {"waveform": torch.zeros(1, 2, 9), "sample_rate": 44100}


def framed(value: float) -> torch.Tensor:
    """A picture of one value with a black frame: few of its elements are where a grid begins."""
    picture = torch.zeros(1, 512, 512, 3)
    picture[:, 2:-2, 2:-2] = value
    return picture


def released() -> torch.Tensor:
    """A picture without the memory that its shape tells, as packs leave those that they offload."""
    picture = torch.rand(1, 64, 64, 3)
    picture.untyped_storage().resize_(0)
    return picture


class Silent(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *_: Any) -> Any:
        raise KeyError("not implemented")


class Wordless:
    def __repr__(self) -> str:
        raise ValueError("no words")


FITTING: dict[str, tuple[str, Any]] = {
    "an image": ("IMAGE", torch.rand(1, 4, 5, 3)),
    "an image with alpha, of half precision": ("IMAGE", torch.rand(2, 4, 5, 4).half()),
    "an image of bright light": ("IMAGE", torch.full([1, 4, 5, 3], 8.0)),
    "an image with holes": ("IMAGE", torch.full([1, 4, 5, 3], float("nan"))),
    "an image whose memory was released": ("IMAGE", released()),
    "an empty batch": ("IMAGE", torch.zeros(0, 4, 5, 3)),
    "a mask": ("MASK", torch.rand(1, 4, 5)),
    "a mask without a batch": ("MASK", torch.rand(4, 5)),
    "a latent": ("LATENT", SAMPLES),
    "a sound": ("AUDIO", SOUND),
    "something of another kind": ("IMAGE", object()),
    "nothing": ("IMAGE", None),
    "a tensor of shape alone": ("IMAGE", torch.zeros(1, 4, 5, 3, device="meta")),
    "a nested tensor as latent": ("LATENT", torch.nested.nested_tensor([torch.zeros(2, 3)])),
    "a parameter without a shape": ("IMAGE", torch.nn.parameter.UninitializedParameter()),
    "a tensor that answers nothing": ("IMAGE", torch.rand(1, 4, 5, 3).as_subclass(Silent)),
    "a key that answers nothing": ("LATENT", {Wordless(): 1}),
    "a rate beyond all floats": ("AUDIO", {**SOUND, "sample_rate": 10**400}),
    "a whole number": ("INT", 3),
    "a truth value as a whole number": ("INT", True),
    "numpy's whole number": ("INT", np.int16(3)),
    "numpy's truth value as a whole number": ("INT", np.bool_(True)),
    "torch's whole number": ("INT", torch.tensor(3)),
    "a whole number as a number": ("FLOAT", 3),
    "a decimal number": ("FLOAT", Decimal("0.5")),
    "numpy's number": ("FLOAT", np.float32(0.5)),
    "numpy's number in an array": ("FLOAT", np.array(0.5)),
    "torch's number": ("FLOAT", torch.tensor(0.5)),
    "a text": ("STRING", "a"),
    "numpy's text": ("STRING", np.str_("a")),
    "numpy's truth value": ("BOOLEAN", np.bool_(True)),
    "torch's truth value": ("BOOLEAN", torch.tensor(True)),
    "no number": ("INT", None),
    "a nested tensor": ("IMAGE", torch.nested.nested_tensor([torch.zeros(2, 3)])),
}


@pytest.mark.parametrize("name", FITTING)
def test_what_fits_or_cannot_be_judged_has_no_fault(name: str) -> None:
    socket, value = FITTING[name]
    assert output_fault(value, socket) == ""


MISFITS: dict[str, tuple[str, Any, str]] = {
    "channels first": ("IMAGE", torch.rand(1, 3, 4, 5), "x.permute(0, 2, 3, 1)"),
    "0..255": ("IMAGE", torch.full([1, 4, 5, 3], 200.0), "x / 255"),
    "0..255 of double precision": ("IMAGE", framed(200.0).double(), "x / 255"),
    "0..255 of half precision": ("IMAGE", framed(200.0).half(), "x / 255"),
    "0..255 beside a hole": ("IMAGE", torch.tensor([float("nan"), 200, 100]).repeat(1, 64, 64, 1), "x / 255"),
    "bytes": ("IMAGE", torch.zeros(1, 4, 5, 3, dtype=torch.uint8), "x.float() / 255"),
    "0..255 with a dark border": ("IMAGE", framed(200.0), "x / 255"),
    "both": ("IMAGE", torch.full([1, 3, 4, 5], 200.0), "x.permute(0, 2, 3, 1) / 255"),
    "truth values": ("IMAGE", torch.zeros(1, 4, 5, 3, dtype=torch.bool), "x.float()"),
    "no batch": ("IMAGE", torch.rand(4, 5, 3), "x[None]"),
    "grey, without a batch": ("IMAGE", torch.rand(4, 5, 1), "x[None].repeat(1, 1, 1, 3)"),
    "grey": ("IMAGE", torch.rand(1, 4, 5, 1), "x.repeat(1, 1, 1, 3)"),
    "a mask of truth values": ("MASK", torch.zeros(1, 4, 5, dtype=torch.bool), "x.float()"),
    "an image as a mask": ("MASK", torch.rand(1, 4, 5, 3), "x[..., 0]"),
    "samples alone": ("LATENT", torch.zeros(1, 4, 2, 2), '{"samples": x}'),
    "a sound alone": ("AUDIO", torch.zeros(1, 2, 9), '{"waveform": x'),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_misfit_is_answered_by_what_converts_it(name: str) -> None:
    socket, value, fix = MISFITS[name]
    fault = output_fault(value, socket)
    assert f"Use {fix}" in fault
    if fix.startswith("x"):
        assert output_fault(eval(fix, {"x": value}), socket) == ""


WRONG_TYPES: dict[str, tuple[str, Any, str]] = {
    "a text as a whole number": ("INT", "seven", "INT is a whole number; this is of type str: 'seven'. Return a whole"),
    "a number as a whole number": ("INT", 0.5, "this is of type float: 0.5. Return int(x), or declare `-> float`."),
    "torch's number as a whole number": ("INT", torch.tensor(0.5), "this is of type Tensor"),
    "numpy's number as a whole number": ("INT", np.float64(0.5), "this is of type float64"),
    "a batch as a number": ("FLOAT", torch.rand(2), "FLOAT is a number; this is of type Tensor"),
    "an array as a number": ("FLOAT", np.zeros(2), "this is of type ndarray"),
    "a complex number": ("FLOAT", 1j, "this is of type complex"),
    "torch's complex number": ("FLOAT", torch.tensor(1j), "this is of type Tensor"),
    "a number as a text": ("STRING", 3, "STRING is a text; this is of type int: 3. Return str(x)"),
    "a path as a text": ("STRING", Path("a"), "Return str(x)"),
    "a number as a truth value": ("BOOLEAN", 1, "BOOLEAN is True or False; this is of type int: 1. Return bool(x)"),
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_another_plain_type_is_named_with_what_is_declared(name: str) -> None:
    socket, value, words = WRONG_TYPES[name]
    assert words in output_fault(value, socket)


@nb.node
def spelled(seed: int) -> int:
    return "seven"  # type: ignore[return-value]


@nb.node(list_output=True)
def counted_and_spelled(seed: int) -> list[int]:
    return [1, 2, "three"]  # type: ignore[list-item]


@nb.node
def counted_to_spell(seed: int) -> tuple[int, str]:
    return seed, 8  # type: ignore[return-value]


@nb.node
def spelled_at_last(n: int) -> int:
    return n if n < 3 else "three"  # type: ignore[return-value]


SPELLED: dict[str, tuple[Callable[[], nb.Handle], str]] = {
    "the only output": (lambda: spelled(1), "output INT: INT is a whole number"),
    "an item of a list": (lambda: counted_and_spelled(1), "output result, item 2: INT is a whole number"),
    "one of several outputs": (lambda: counted_to_spell(1), "output STRING: STRING is a text"),
    "one of several calls": (lambda: spelled_at_last(counts_up_to(3)), "output INT, item 2: INT is a whole number"),
}


@nb.node(list_output=True)
def counts_up_to(n: int) -> list[int]:
    return [*range(1, n + 1)]


@nb.node(list_output=True)
def counts_nothing() -> list[int]:
    return []


async def test_an_empty_list_is_of_any_type() -> None:
    assert await counts_nothing() == []


@pytest.fixture
def strict() -> Iterator[None]:
    with nb.use_session(nb.Session()):
        nb.configure(strict=True)
        yield


@pytest.mark.parametrize("name", SPELLED)
async def test_another_plain_type_is_a_warning_and_an_error_where_it_is_strict(name: str, strict: None) -> None:
    make, words = SPELLED[name]
    with pytest.raises(nb.NodeError, match=words):
        await make()
    nb.configure(strict=False)
    with pytest.warns(nb.ComfyNBWarning, match=words):
        await make()


@nb.node
def channels_first(seed: int) -> tuple[int, nb.Image]:
    torch.manual_seed(seed)
    return seed, torch.rand(1, 3, 4, 5)


@nb.node
async def channels_first_async(seed: int) -> nb.Image:
    return torch.rand(1, 3, 4, 5)


SAID = r"output IMAGE: An IMAGE is float .* looks like \[B,C,H,W\]. Use x.permute\(0, 2, 3, 1\)"


@pytest.mark.parametrize("node", [channels_first, channels_first_async])
async def test_it_is_a_warning_with_the_persons_line(node: Callable[..., nb.Handle]) -> None:
    with pytest.warns(nb.ComfyNBWarning, match=SAID) as caught:
        await node(1)
    assert [each.filename for each in caught] == [__file__]


async def test_it_is_said_again_where_the_result_comes_from_the_cache() -> None:
    for _ in range(2):
        with pytest.warns(nb.ComfyNBWarning, match=SAID):
            await channels_first(2).graph.run()


@pytest.mark.parametrize("node", [channels_first, channels_first_async])
async def test_where_it_is_strict_the_node_fails_and_nothing_of_it_is_cached(
    node: Callable[..., nb.Handle], strict: None
) -> None:
    with pytest.raises(nb.NodeError, match=SAID):
        await node(3).graph.run()
    nb.configure(strict=False)
    with pytest.warns(nb.ComfyNBWarning, match=SAID):
        run = await node(3).graph.run()
    assert run.counts["ran"] == 1


@nb.node
def seen(x: Any) -> Any:
    return len(x)


@nb.node
def stands_for(seed: int) -> nb.Image:
    builder = nb.GraphBuilder()
    return {"result": (builder.node("channels_first", seed=seed).out(1),), "expand": builder.finalize()}


GRAPHS: dict[str, Callable[[int], nb.Handle]] = {
    "the node itself": lambda seed: channels_first(seed),
    "an async one": lambda seed: channels_first_async(seed),
    "a node below": lambda seed: seen(channels_first(seed).IMAGE),
    "a node that expands": lambda seed: stands_for(seed),
    "a node below one that expands": lambda seed: seen(stands_for(seed)),
}


@pytest.mark.parametrize("name", GRAPHS)
async def test_what_was_cached_with_a_warning_fails_as_soon_as_it_is_strict(name: str) -> None:
    with nb.use_session(nb.Session()):
        with pytest.warns(nb.ComfyNBWarning, match=SAID):
            await GRAPHS[name](4)
        nb.configure(strict=True)
        for _ in range(2):
            with warnings.catch_warnings():
                warnings.simplefilter("error", nb.ComfyNBWarning)
                with pytest.raises(nb.NodeError, match=SAID):
                    await GRAPHS[name](4)


async def test_what_was_warned_of_is_not_on_disk_where_nobody_would_be_warned_again(tmp_path: Path) -> None:
    @nb.node
    def slow_channels_first(seed: int) -> nb.Image:
        time.sleep(0.05)
        return torch.rand(1, 3, 4, 5)

    for _ in range(2):
        session = nb.Session()
        with nb.use_session(session), pytest.warns(nb.ComfyNBWarning, match=SAID):
            nb.configure(cache_dir=tmp_path)
            run = await slow_channels_first(5).graph.run()
        assert run.counts["ran"] == 1
        assert session.store.disk is not None
        session.store.disk.close()


async def test_a_class_of_a_pack_returns_what_it_likes(pack: Pack) -> None:
    pack.node("Grey", lambda self: (torch.rand(1, 4, 5, 1),), None, ("IMAGE",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await run_of(pack, {"1": made("Grey")})
