"""Who writes to a large value, how, and when that is noticed (docs/semantics.md, "Changed in place")."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

import comfy_nb as nb
from comfy_nb.engine.cache import marks
from comfy_nb.engine.cache.glance import glance_at
from comfy_nb.engine.execution.node_run import NodeState

SHAPE = (1, 256, 256, 3)
LATER = "is computed again"


@nb.node
def sheet(seed: int) -> nb.Image:
    return torch.full(SHAPE, 0.5) + seed


@nb.node
def dims(image: nb.Image) -> nb.Image:
    return image * 0.5


@nb.node
def first_of(image: nb.Image) -> nb.Image:
    return image[:1]


def _rows(image: torch.Tensor) -> torch.Tensor:
    return image.view(-1, 3)


@nb.node
def doubles(image: nb.Image) -> nb.Image:
    return image.mul_(2)


@nb.node
def doubles_a_view(image: nb.Image) -> nb.Image:
    _rows(image)[5:].mul_(2)
    return image.clone()


@nb.node
def writes_detached(image: nb.Image) -> nb.Image:
    image.detach()[0, 3, 4, 1] = 7
    return image.clone()


@nb.node
def doubles_out(image: nb.Image) -> nb.Image:
    return torch.mul(image, 2, out=image).clone()


@nb.node
def one_pixel_by_numpy(image: nb.Image) -> float:
    image.numpy()[0, 3, 4, 1] = 7
    return 0.0


@nb.node
def one_pixel_by_data(image: nb.Image) -> float:
    image.data[0, 3, 4, 1] = 7
    return 0.0


@nb.node
def one_pixel_by_apply(image: nb.Image) -> float:
    image[0, 3, 4, 1:2].apply_(lambda value: 7)
    return 0.0


@nb.node
def one_pixel_by_another_package(image: nb.Image) -> float:
    np.asarray(image)[0, 3, 4, 1] = 7
    return 0.0


@nb.node
def one_value_of_a_sparse_tensor(image: nb.Image) -> float:
    flat = image.view(-1)
    rows, columns = torch.tensor([0, len(flat)]), torch.arange(len(flat))
    torch.sparse_csr_tensor(rows, columns, flat, (1, len(flat))).values()[5] = 7
    return 0.0


@nb.node
def one_value_of_another_tensor_of_its_memory(image: nb.Image) -> float:
    torch.empty(0).set_(image.view(-1))[5:6].fill_(7)
    return 0.0


@nb.node
def one_value_of_an_unsafe_view(image: nb.Image) -> float:
    torch.unsafe_split(image.view(-1), 6)[0][5:6].fill_(7)
    return 0.0


@nb.node
def one_moving_average(image: nb.Image) -> float:
    flat, on, none = image.view(-1), torch.ones(1), torch.zeros(1, dtype=torch.int32)
    low, high, scale = flat[:1], flat[1:2], flat[2:3]
    torch.fused_moving_avg_obs_fake_quant(flat * 28, on, on, low, high, scale, none, 0.5, 0, 255, -1)
    return 0.0


@nb.node
def brightest(image: nb.Image, after: float | nb.Image = 0.0) -> float:
    return float(image.max())


@pytest.mark.parametrize("writes", [doubles, doubles_a_view, writes_detached, doubles_out])
def test_a_node_that_reaches_only_torch_is_named_right_after_it_wrote_to_its_input(
    writes: Callable[..., object],
) -> None:
    below = dims(sheet(0))
    written = writes(below)
    with pytest.warns(nb.ComfyNBWarning, match=rf"{writes.__name__} .* changed its input 'image' in place"):
        assert brightest(below, written).run_sync() == 0.25
    assert brightest(dims(sheet(0)), 0.0).run_sync() == 0.25


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    "writes",
    [
        one_pixel_by_numpy,
        one_pixel_by_data,
        one_pixel_by_apply,
        one_pixel_by_another_package,
        one_value_of_a_sparse_tensor,
        one_value_of_another_tensor_of_its_memory,
        one_value_of_an_unsafe_view,
        one_moving_average,
    ],
)
def test_any_other_node_is_named_right_after_it_wrote_to_one_element(writes: Callable[..., object]) -> None:
    below = dims(sheet(0))
    with pytest.warns(nb.ComfyNBWarning, match=rf"{writes.__name__} .* changed its input 'image' in place"):
        assert brightest(below, writes(below)).run_sync() == 0.25
    assert brightest(dims(sheet(0)), 0.0).run_sync() == 0.25


def test_a_node_that_writes_to_a_view_of_a_result_spoils_both() -> None:
    below = dims(sheet(0))
    view = first_of(below)
    with pytest.warns(nb.ComfyNBWarning, match="in place"):
        one_pixel_by_numpy(view).run_sync()
    with pytest.warns(nb.ComfyNBWarning, match=f"result of dims .* {LATER}"):
        assert brightest(dims(sheet(0))).run_sync() == 0.25
    assert brightest(first_of(dims(sheet(0)))).run_sync() == 0.25


def test_a_node_that_writes_to_what_passed_through_an_expansion_spoils_what_came_from_inside() -> None:
    @nb.node
    def sheets(seed: int) -> dict:  # type: ignore[type-arg]
        graph = nb.GraphBuilder()
        inner = graph.node("dims", image=graph.node("sheet", seed=seed).out(0))
        return {"result": (inner.out(0),), "expand": graph.finalize()}

    with pytest.warns(nb.ComfyNBWarning, match="one_pixel_by_numpy .* changed its input"):
        one_pixel_by_numpy(sheets(0)).run_sync()
    with pytest.warns(nb.ComfyNBWarning, match=f"result of dims .* {LATER}"):
        assert brightest(dims(sheet(0))).run_sync() == 0.25


async def test_a_result_that_two_runs_share_is_watched_in_both() -> None:
    @nb.node(thread_safe=True)
    def slow_sheet(seed: int) -> nb.Image:
        product = torch.eye(400)
        for _ in range(60):
            product = product @ product
        return torch.full((1, 256, 256, 3), 0.5) + product[0, 1]

    shared = slow_sheet(0)
    computing = nb.Graph(brightest(dims(shared))).start()
    while (node_run := computing.run.node_run("1")) is None or node_run.state is not NodeState.RUNNING:
        await asyncio.sleep(0)
    writing = nb.Graph(one_pixel_by_numpy(shared)).start()
    with pytest.warns(nb.ComfyNBWarning, match="one_pixel_by_numpy .* changed its input"):
        await asyncio.gather(computing, writing)
    assert writing.run.counts["shared"] == 1
    assert await brightest(slow_sheet(0)) == 0.5


def test_what_a_node_wrote_to_by_a_view_is_computed_again_before_others_of_the_run_take_it() -> None:
    @nb.node
    def later(number: float) -> float:
        return number * 1.0

    after: Any = 0.0
    for _ in range(5):
        after = later(after)
    below = dims(sheet(0))
    with pytest.warns(nb.ComfyNBWarning, match=r"one_pixel_by_numpy .* changed the result of dims \(.*\) in place"):
        nb.Graph(one_pixel_by_numpy(first_of(below)), brightest(below, after)).run_sync()
    assert brightest(dims(sheet(0)), after).run_sync() == 0.25


def test_a_person_who_writes_to_a_value_that_was_handed_out_has_it_computed_again() -> None:
    below = dims(sheet(0))
    graph = nb.Graph(brightest(below))
    run = graph.run_sync()
    run["2"].numpy()[0, 3, 4, 1] = 7
    with pytest.warns(nb.ComfyNBWarning, match=f"result of dims .* {LATER}"):
        assert nb.Graph(brightest(below, 1.0)).run_sync()["3"] == 0.25


async def test_a_value_that_is_handed_out_while_the_run_goes_on_is_watched() -> None:
    go_on = nb.constant(asyncio.Event())

    @nb.node
    async def waits() -> float:
        await go_on.wait()
        return 0.0

    @nb.node
    def brighter(image: nb.Image, after: float) -> nb.Image:
        return image + after

    job = nb.Graph(brightest(brighter(dims(sheet(0)), waits()))).start()
    while "2" not in job.run:
        await asyncio.sleep(0)
    job.run["2"].numpy()[0, 3, 4, 1] = 7
    go_on.set()
    await job
    with pytest.warns(nb.ComfyNBWarning, match=f"result of dims .* {LATER}"):
        assert await brightest(dims(sheet(0))) == 0.25


def test_the_inputs_of_a_failed_node_are_watched() -> None:
    @nb.node
    def fails(image: nb.Image) -> float:
        raise ValueError("no")

    with pytest.raises(nb.NodeError) as failed:
        fails(dims(sheet(0))).run_sync()
    frames = [frame for frame, _ in traceback.walk_tb(failed.value.__cause__.__traceback__)]  # type: ignore[union-attr]
    frames[-1].f_locals["image"].numpy()[0, 3, 4, 1] = 7
    with pytest.warns(nb.ComfyNBWarning, match=f"result of dims .* {LATER}"):
        assert brightest(dims(sheet(0))).run_sync() == 0.25


@nb.node
def writes_and_fails(image: nb.Image) -> float:
    image.numpy()[0, 3, 4, 1] = 7
    raise ValueError("no")


def _tries(start: list[int]) -> None:
    start[0] += 1
    if start[0] == 1:
        raise ValueError("not yet")


tried = nb.constant([0])


@nb.node(retries=1)
def writes_and_is_tried_again(image: nb.Image) -> float:
    image.numpy()[0, 3, 4, 1] = 7
    _tries(tried)
    return 0.0


class _Writes:
    RETURN_TYPES, FUNCTION = ("FLOAT",), "call"

    def _write(self, image: torch.Tensor) -> None:
        image.numpy()[0, 3, 4, 1] = 7


class WritesAndExpands(_Writes):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"image": ("IMAGE",)}})

    def call(self, image: torch.Tensor) -> dict[str, Any]:
        self._write(image)
        graph = nb.GraphBuilder()
        return {"result": (graph.node("zero").out(0),), "expand": graph.finalize()}


class WritesAndAsks(_Writes):
    INPUT_TYPES = classmethod(lambda cls: {"required": {"image": ("IMAGE",), "more": ("FLOAT", {"lazy": True})}})

    def check_lazy_status(self, image: torch.Tensor, more: float | None) -> list[str]:
        if more is None:
            self._write(image)
        return ["more"] if more is None else []

    def call(self, image: torch.Tensor, more: float) -> tuple[float]:
        return (more,)


@nb.node
def zero() -> float:
    return 0.0


def _writes_and_fails(image: nb.Handle) -> nb.Handle:
    return writes_and_fails(image)


def _is_tried_again(image: nb.Handle) -> nb.Handle:
    tried[0] = 0
    return writes_and_is_tried_again(image)


def _expands(image: nb.Handle) -> nb.Handle:
    nb.register(WritesAndExpands)
    return nb.nodes.WritesAndExpands(image)


def _asks(image: nb.Handle) -> nb.Handle:
    nb.register(WritesAndAsks)
    return nb.nodes.WritesAndAsks(image, brightest(image))


@pytest.mark.parametrize("writes", [_writes_and_fails, _is_tried_again, _expands, _asks])
def test_a_node_that_gives_no_result_at_once_is_named_before_others_take_what_it_wrote_to(
    writes: Callable[[nb.Handle], nb.Handle],
) -> None:
    below = dims(sheet(0))
    graph = nb.Graph(writes(below), brightest(below))
    with (
        pytest.warns(nb.ComfyNBWarning, match=r"[wW]rites\w+ .* changed its input 'image' in place"),
        contextlib.suppress(nb.NodeErrors),
    ):
        graph.run_sync(on_error="continue")
    assert brightest(dims(sheet(0))).run_sync() == 0.25


def test_a_constant_that_somebody_writes_to_while_the_run_goes_on_leaves_nothing_behind() -> None:
    picture = nb.constant([torch.full(SHAPE, 0.5)])

    @nb.node
    def somebody(after: nb.Image) -> float:
        picture[0].numpy()[0, 3, 4, 1] = 7
        return 0.0

    taken = dims(picture[0])
    with pytest.warns(nb.ComfyNBWarning, match=r"A constant of dims .* was changed while the run went on"):
        somebody(taken).run_sync()
    run = nb.Graph(dims(torch.full(SHAPE, 0.5))).run_sync()
    assert run.why("1") != "from an earlier run"
    assert float(run["1"].max()) == 0.25


def test_a_node_that_keeps_its_input_and_writes_to_it_later_is_found_out_when_the_value_is_used() -> None:
    kept = nb.constant([])

    @nb.node
    def keeps(image: nb.Image) -> float:
        kept.append(image)
        return 0.0

    keeps(dims(sheet(0))).run_sync()
    kept[0].numpy()[0, 3, 4, 1] = 7
    with pytest.warns(nb.ComfyNBWarning, match=f"result of dims .* {LATER}"):
        assert brightest(dims(sheet(0))).run_sync() == 0.25


def test_a_mode_of_torch_that_keeps_what_it_sees_and_writes_to_it_is_found_out_when_the_value_is_used() -> None:
    class Keeps(TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.kept: list[torch.Tensor] = []

        def __comfy_nb_key__(self) -> str:
            return "keeps"

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.kept += [each for each in args if getattr(each, "shape", None) == SHAPE]
            return function(*args, **(kwargs or {}))

    with Keeps() as mode:
        brightest(dims(sheet(0))).run_sync()
        for tensor in list(mode.kept):
            tensor.detach().numpy()[0, 3, 4, 1] = 7
        with pytest.warns(nb.ComfyNBWarning) as warned:
            assert brightest(dims(sheet(0)), 1.0).run_sync() == 0.25
    assert [str(each.message).split()[3] for each in warned] == ["dims", "sheet"]


async def test_what_a_node_computed_while_another_one_wrote_to_its_input_is_not_kept() -> None:
    begun, go_on = nb.constant(asyncio.Event()), nb.constant(asyncio.Event())

    @nb.node
    async def writes_and_waits(image: nb.Image) -> float:
        image.numpy()[0, 3, 4, 1] = 7
        begun.set()
        await go_on.wait()
        return 0.0

    @nb.node
    async def waits() -> float:
        await begun.wait()
        return 0.0

    below = dims(sheet(0))
    reader = brightest(below, waits())
    job = nb.Graph(writes_and_waits(below), reader).start()
    with pytest.warns(nb.ComfyNBWarning, match="in place"):
        while "5" not in job.run:
            await asyncio.sleep(0)
        go_on.set()
        await job
    assert await brightest(dims(sheet(0)), waits()) == 0.25


@nb.node
def two_of_other_sizes(seed: int) -> object:
    return torch.nested.nested_tensor([torch.rand(300, 100), torch.rand(200, 100)])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_tensor_of_a_layout_that_cannot_be_glanced_at_passes() -> None:
    assert nb.Graph(two_of_other_sizes(0)).run_sync().state == "done"
    assert brightest(sheet(0), two_of_other_sizes(1)).run_sync() == 0.5


def test_released_memory_is_not_looked_at() -> None:
    tensor = torch.rand(300, 300)
    glance = glance_at(tensor)
    assert glance is not None and glance.is_same()
    other = torch.rand(300, 300)
    other.untyped_storage().resize_(0)
    assert glance_at(other) is None


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float32, torch.int64, torch.complex128])
def test_a_glance_sees_a_write_that_torch_does_not_count(dtype: torch.dtype) -> None:
    tensor = torch.ones(300, 300).to(dtype)
    glance = glance_at(tensor)
    tensor.data[:] = 0
    assert glance is not None and not glance.is_same()


def test_a_glance_takes_what_is_not_equal_to_itself_for_the_same() -> None:
    glance = glance_at(torch.full((300, 300), torch.nan))
    assert glance is not None and glance.is_same()


def test_between_nodes_that_reach_only_torch_no_content_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[torch.Tensor] = []
    content = marks._tensor_content
    monkeypatch.setattr(marks, "_tensor_content", lambda value: read.append(value) or content(value))  # type: ignore[func-returns-value]
    result = dims(dims(dims(sheet(0)))).run_sync()
    assert [value is result for value in read] == [True]
