"""A sweep: what it runs, what it shares, and what of it remains when something goes wrong."""

from __future__ import annotations

import asyncio
import builtins
import math
import subprocess
import sys
from collections import Counter

import pytest
import torch

import comfy_nb as nb
from comfy_nb.errors import ComfyNBError, GraphError, NodeError, NotKept, UnknownName
from comfy_nb.parameters import sweep as sweeping
from comfy_nb.parameters.sweep import AT_ONCE


class World:
    """Nodes that count their calls."""

    def __comfy_nb_key__(self) -> str:
        return "world"

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.now = self.most = 0
        self.gate = asyncio.Event()

        @nb.node
        def load(size: int) -> torch.Tensor:
            self.calls["load"] += 1
            return torch.full((1, 8, size, 3), 0.5)

        @nb.node
        def double(value: torch.Tensor, times: int = 1) -> float:
            self.calls["double"] += 1
            if times == 13:
                raise ValueError("thirteen is bad luck")
            return float(value.sum()) * times

        @nb.node
        async def waits(number: int, tag: str = "") -> int:
            self.calls["waits"] += 1
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await self.gate.wait()
            finally:
                self.now -= 1
            return number

        self.load, self.double, self.waits = load, double, waits

    async def until_waiting(self, count: int) -> None:
        while self.calls["waits"] < count:
            await asyncio.sleep(0.001)


@pytest.fixture
def session():
    with nb.use_session(nb.Session()) as made:
        yield made


@pytest.fixture
def world(session) -> World:
    return World()


async def test_cells_that_share_what_is_above_compute_it_once(world):
    sweep = await nb.sweep(world.double(world.load(8)), {"times": range(1, 6), "size": [8, 16]})
    assert world.calls == {"load": 2, "double": 10}
    assert sweep[{"times": 3, "size": 16}] == 8 * 16 * 3 * 0.5 * 3
    assert sweep.values[2][1] == sweep[{"times": 3, "size": 16}]


async def test_axes_are_keywords_a_dict_or_both(world):
    handle = world.double(world.load(8))
    sweep = await nb.sweep(handle, times=[1, 2])
    assert sweep[{"times": 2}] == 8 * 8 * 3 * 0.5 * 2
    both = await nb.sweep(handle, {"1.size": [8, 16]}, times=[1, 2, 3])
    assert [len(axis.points) for axis in both.layout.axes] == [2, 3]


async def test_an_input_that_is_called_like_an_option_of_a_sweep_is_swept_by_a_dict(session):
    @nb.node
    def first(limit: int) -> int:
        return limit

    assert (await nb.sweep(first(1), {"limit": [1, 2, 3]})).values == [1, 2, 3]


async def test_a_sweep_without_an_axis_says_how_one_is_written(world):
    with pytest.raises(GraphError, match=r"such as seed=range\(4\), or a dict .*; got none"):
        nb.sweep(world.double(world.load(8)))
    with pytest.raises(UnknownName, match="Did you mean 'times'"):
        nb.sweep(world.double(world.load(8)), tims=[1, 2])


async def test_a_cell_whose_output_is_blocked_says_so_with_the_message(session):
    @nb.node
    def gate(number: int) -> int:
        return nb.ExecutionBlocker("odd" if number < 5 else None) if number % 2 else number

    @nb.node
    def half(of: int) -> float:
        return of / 2

    for _ in range(2):
        sweep = await nb.sweep(half(gate(2)), {"number": [2, 3, 5]})
        assert [(cell.state, cell.value, cell.reason) for cell in sweep] == [
            ("done", 1.0, ""),
            ("blocked", None, "odd"),
            ("blocked", None, "its input 'of' is blocked"),
        ]
        assert repr(sweep.cell(1)) == "<Cell 1.number=3: blocked: odd>"
        assert "done: 3 of 3 cells, 2 blocked" in repr(sweep)
        with pytest.raises(NotKept, match="blocked: odd"):
            sweep[{"number": 3}]
        assert sweep.best(key=float) is sweep.cell(0)
    sweep = await nb.sweep(gate(2), {"number": [3, 5]})
    assert [cell.outcome for cell in sweep] == ["blocked: odd", "blocked"]


async def test_a_list_of_which_only_some_items_are_blocked_is_a_value(session):
    @nb.node(list_output=True)
    def several(number: int) -> int:
        return [number, nb.ExecutionBlocker("no")]

    sweep = await nb.sweep(several(1), {"number": [1, 2]})
    assert [cell.state for cell in sweep] == ["done", "done"]


async def test_a_small_cache_is_enough_since_the_deepest_axis_varies_fastest(world, session, monkeypatch):
    monkeypatch.setattr(sweeping, "AT_ONCE", 1)
    session.store.set_policy(4)
    await nb.sweep(world.double(world.load(8)), {"size": [8, 16, 24, 32], "times": range(1, 9)})
    assert world.calls["load"] == 4


async def test_async_nodes_of_several_cells_overlap_up_to_the_bound(world):
    sweep = nb.sweep(world.waits(0), {"number": range(10)})
    await world.until_waiting(AT_ONCE)
    assert [cell.state for cell in sweep][: AT_ONCE + 1] == ["running"] * AT_ONCE + ["waiting"]
    world.gate.set()
    await sweep
    assert world.most == AT_ONCE
    assert sweep.values == list(range(10))


async def test_an_error_in_one_cell_stays_there_and_the_others_go_on(world):
    sweep = await nb.sweep(world.double(world.load(8)), {"times": [1, 13, 2]})
    assert [cell.state for cell in sweep] == ["done", "failed", "done"]
    assert "1 failed" in repr(sweep)
    with pytest.raises(NodeError, match="thirteen"):
        sweep[{"times": 13}]
    assert sweep.values == [96.0, None, 192.0]


async def test_cancelling_stops_all_its_runs_and_starts_no_more(world):
    sweep = nb.sweep(world.waits(0), {"number": range(20)})
    await world.until_waiting(AT_ONCE)
    sweep.cancel()
    await sweep
    assert world.now == 0 and world.calls["waits"] == AT_ONCE
    assert {cell.state for cell in sweep} == {"stopped"}
    assert sweep.state == "stopped"
    with pytest.raises(NotKept, match="stopped"):
        sweep[{"number": 3}]
    with pytest.raises(NotKept):
        sweep.best(abs)


async def test_stopping_everything_stops_the_sweep_too(world, session):
    sweep = nb.sweep(world.waits(0), {"number": range(20)})
    await world.until_waiting(AT_ONCE)
    session.stop_all()
    assert (await sweep).state == "stopped"
    assert world.calls["waits"] == AT_ONCE


async def test_a_cancelled_wait_cancels_the_sweep(world):
    sweep = nb.sweep(world.waits(0), {"number": range(8)})
    waiting = asyncio.create_task(sweep._wait())
    await world.until_waiting(AT_ONCE)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await sweep).state == "stopped"


async def test_it_works_on_a_copy_that_later_edits_do_not_reach(world):
    graph = nb.Graph(world.waits(0, tag="old"))
    sweep = nb.sweep(graph, {"number": range(6)})
    await world.until_waiting(AT_ONCE)
    graph["1"].inputs["tag"] = "new"
    graph["1"].inputs["number"] = 99
    world.gate.set()
    assert (await sweep).values == list(range(6))
    assert graph["1"].inputs["number"] == 99


async def test_seeds_under_control_stand_still(world):
    graph = nb.Graph(world.double(world.load(8), times=2))
    graph["1"].seed("increment", "size")
    await nb.sweep(graph, {"times": range(5)})
    assert world.calls["load"] == 1 and graph["1"].inputs["size"] == 8


async def test_a_cells_parameters_are_taken_into_the_graph(world):
    graph = nb.Graph(world.double(world.load(8)))
    sweep = await nb.sweep(graph, {"times": [1, 2, 3], "size": [8, 16]})
    best = sweep.best(lambda value: value)
    assert best.parameters == {"2.times": 3, "1.size": 16}
    assert sweep.take(best) is graph
    assert (graph["2"].inputs["times"], graph["1"].inputs["size"]) == (3, 16)
    assert sweep.take({"times": 2, "size": 8})["2"].inputs["times"] == 2


async def test_of_a_handle_the_handles_graph_takes_the_parameters(world):
    handle = world.double(world.load(8))
    sweep = await nb.sweep(handle, {"times": [1, 2]})
    assert sweep.take(1) is handle.graph
    assert (await handle.graph.run())["2"] == 192.0


async def test_a_sweep_saves_no_files(session, tmp_path):
    from comfy_nb.library.folders import current_folders

    before = current_folders().base
    nb.configure(base_dir=tmp_path)
    try:
        picture = nb.nodes.EmptyImage(width=16, height=16)
        sweep = await nb.sweep(nb.Graph(nb.nodes.SaveImage(picture)), {"width": [16, 32]})
    finally:
        nb.configure(base_dir=before)
    assert [value.shape[2] for value in sweep.values] == [16, 32]
    assert not list(tmp_path.rglob("*.png"))


async def test_cells_note_what_ran_and_what_was_cached(world):
    handle = world.double(world.load(8))
    await handle
    sweep = await nb.sweep(handle, {"times": [1, 2]})
    assert [cell.note for cell in sweep] == ["2 cached", "1 ran, 1 cached"]


async def test_a_table_has_a_row_for_each_cell(world):
    sweep = await nb.sweep(world.double(world.load(8)), {"times": [1, 13]})
    table = sweep.dataframe()
    assert list(table["2.times"]) == [1, 13]
    assert list(table["state"]) == ["done", "failed"]
    assert table["value"][0] == 96.0 and math.isnan(table["value"][1])


async def test_without_pandas_the_error_names_what_to_install(world, monkeypatch):
    sweep = await nb.sweep(world.double(world.load(8)), {"times": [1]})
    real = builtins.__import__

    def no_pandas(name, *rest, **more):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_pandas)
    with pytest.raises(ComfyNBError, match="pip install pandas"):
        sweep.dataframe()


def test_outside_a_loop_the_error_names_what_is_missing(world):
    with pytest.raises(GraphError, match="running event loop"):
        nb.sweep(world.double(world.load(8)), {"times": [1]})


async def test_progress_is_in_the_headline(world):
    sweep = nb.sweep(world.waits(0), {"number": range(3)})
    assert sweep.headline().startswith("running: 0 of 3 cells")
    world.gate.set()
    await sweep
    assert sweep.headline().startswith("done: 3 of 3 cells")


def test_outside_a_notebook_no_widgets_are_loaded():
    code = (
        "import asyncio, sys, comfy_nb as nb\n"
        "async def main():\n"
        "    sweep = await nb.sweep(nb.nodes.EmptyImage(width=8, height=8), {'width': [4, 8]})\n"
        "    assert sweep.grid.size[0] > 8\n"
        "asyncio.run(main())\n"
        "print([name for name in ('ipywidgets', 'anywidget', 'IPython') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
