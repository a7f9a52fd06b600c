"""Controls and the value that follows them: what a change runs, what it stops, and what is shown."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Annotated

import ipywidgets as widgets
import pytest
import torch
from ipywidgets.widgets.widget import _instances

import comfy_nb as nb
from comfy_nb.errors import GraphError, NodeError, UnknownName
from comfy_nb.parameters.live_value import LiveValue
from comfy_nb.parameters.parameter import find_parameter
from comfy_nb.parameters.shown_output import copy_with_output


class World:
    """Nodes that count their calls, and one that waits until it is let go."""

    def __comfy_nb_key__(self) -> str:
        return "world"

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.seen: list[int] = []
        self.cancelled: list[int] = []
        self.gate = asyncio.Event()

        @nb.node
        def source(size: Annotated[int, nb.Range(1, 64)] = 8) -> nb.Image:
            self.calls["source"] += 1
            return torch.full((1, size, size, 3), 0.5)

        @nb.node
        def bright(image: nb.Image, gain: Annotated[float, nb.Range(0.0, 2.0, step=0.1)] = 1.0) -> nb.Image:
            self.calls["bright"] += 1
            if gain == 2.0:
                raise ValueError("too bright <b>")
            return image * gain

        @nb.node
        async def slow(number: Annotated[int, nb.Range(0, 100)] = 0) -> int:
            self.calls["slow"] += 1
            self.seen.append(number)
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.append(number)
                raise
            return number

        self.source, self.bright, self.slow = source, bright, slow

    async def until_called(self, number: int) -> None:
        while number not in self.seen:
            await asyncio.sleep(0.001)


@pytest.fixture
def world():
    with nb.use_session(nb.Session()):
        yield World()


async def test_a_change_runs_only_what_depends_on_it(world):
    controls = nb.interact(world.bright(world.source()), gain=(0.0, 2.0))
    assert (await controls).max() == 0.5
    controls["gain"].value = 0.5
    assert (await controls).max() == 0.25
    assert world.calls == {"source": 1, "bright": 2}
    assert controls.state.startswith("done in") and "1 of 2 nodes ran" in controls.state


async def test_reset_sets_the_controls_to_where_they_began(world):
    controls = nb.interact(world.bright(world.source()), gain=(0.0, 2.0))
    controls["gain"].value = 0.5
    assert (await controls).max() == 0.25
    controls.reset()
    assert controls["gain"].value == 1.0 and (await controls).max() == 0.5


async def test_a_drag_computes_its_end_only(world):
    controls = nb.interact(world.bright(world.source()), gain=(0.0, 2.0))
    await controls
    for step in range(1, 20):
        controls["gain"].value = step / 20
        await asyncio.sleep(0)
    assert (await controls).max().item() == pytest.approx(0.5 * 19 / 20)
    assert world.calls["bright"] == 2


async def test_a_change_stops_the_run_that_it_overtakes(world):
    controls = nb.interact(world.slow(), number=(0, 100))
    await world.until_called(0)
    controls["number"].value = 7
    await world.until_called(7)
    assert world.cancelled == [0]
    world.gate.set()
    assert await controls == 7
    assert controls.value == 7


async def test_a_value_that_comes_back_off_by_a_rounding_error_changes_nothing(world):
    controls = nb.interact(world.bright(world.source(), 0.3), gain=(0.0, 2.0))
    await controls
    controls["gain"].value = 0.30000000000000004
    await asyncio.sleep(0)
    assert controls.settings == {"2.gain": 0.3}
    await controls
    assert world.calls["bright"] == 1 and "0.3)" in controls.code


async def test_a_change_from_another_thread_arrives_on_the_loop(world):
    controls = nb.interact(world.bright(world.source()), gain=(0.0, 2.0))
    await controls
    asyncio.get_running_loop().set_debug(True)  # then a call from another thread raises
    thread = threading.Thread(target=lambda: setattr(controls["gain"], "value", 0.2))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert (await controls).max().item() == pytest.approx(0.1)


async def test_an_error_is_shown_in_place_of_the_value_and_the_next_change_mends_it(world):
    controls = nb.interact(world.bright(world.source()), gain=(0.0, 2.0))
    await controls
    controls["gain"].value = 2.0
    with pytest.raises(NodeError, match="too bright"):
        await controls
    shown = controls._static()["text/html"]
    assert "too bright &lt;b&gt;" in shown and controls.state == "failed" and controls.value is None
    controls["gain"].value = 1.0
    assert (await controls).max() == 0.5
    assert controls.error is None


async def test_the_result_is_shown_as_a_handle_shows_it(world):
    controls = nb.interact(world.source())
    await controls
    assert "IMAGE [1, 8, 8, 3]" in controls._result.value and "data:image/" in controls._result.value
    assert controls._static()["text/plain"].startswith("<Controls of source(size=8): done")
    assert len(controls._static()["text/html"].encode()) < 300_000


async def test_the_graph_given_is_left_as_it_is(world):
    graph = nb.Graph(world.bright(world.source()))
    controls = nb.interact(graph, {"1.size": True}, gain=(0.0, 2.0))
    controls["size"].value = 16
    assert (await controls).shape[1] == 16
    assert (graph["1"].inputs["size"], controls.graph["1"].inputs["size"]) == (8, 16)
    assert controls.settings == {"1.size": 16, "2.gain": 1.0}


async def test_a_start_value_and_a_slider_that_begins_elsewhere_are_what_runs_first(world):
    controls = nb.interact(world.bright(world.source()), size=4, gain=(0.0, 0.5))
    value = await controls
    assert value.shape[1] == 4 and value.max() == 0.25


async def test_a_seed_has_a_button_for_another(world):
    @nb.node
    def draw(seed: Annotated[int, nb.Range(0, 2**64 - 1)] = 5) -> int:
        return seed

    controls = nb.interact(draw())
    assert await controls == 5
    (row, *_) = controls.widget.children
    row.children[1].click()
    await asyncio.sleep(0)
    assert await controls == controls["seed"].value != 5


async def test_every_kind_of_control_sets_what_the_node_takes(world):
    @nb.node
    def all_of(
        whole: Annotated[int, nb.Range(0, 9)] = 1, real: float = 0.5, on: bool = True, text: str = "", many: str = "x"
    ) -> str:
        return repr((whole, real, on, text, many))

    controls = nb.interact(all_of(), whole=True, real=True, on=True, text=True, many=["x", "y"])
    await controls
    for name, value in {"whole": 2, "real": 0.25, "on": False, "text": "hi", "many": "y"}.items():
        controls[name].value = value
    assert await controls == "(2, 0.25, False, 'hi', 'y')"


async def test_closing_stops_the_run_and_closes_every_widget(world):
    before = set(_instances)
    controls = nb.interact(world.slow())
    await world.until_called(0)
    controls.close()
    while not world.cancelled:
        await asyncio.sleep(0.001)
    assert set(_instances) == before


async def test_awaiting_closed_controls_raises_stopped(world):
    controls = nb.interact(world.slow())
    waiting = asyncio.ensure_future(controls._live_value._settled())
    await world.until_called(0)
    controls.close()
    for awaited in (waiting, controls):
        with pytest.raises(nb.Stopped, match="stopped before the value was there"):
            await awaited
    assert controls.state == "stopped" and repr(controls).endswith(": stopped>")


async def test_a_misspelt_name_and_a_missing_loop_are_reported_at_once(world):
    with pytest.raises(UnknownName, match="Did you mean 'gain'"):
        nb.interact(world.bright(world.source()), gian=True)
    with pytest.raises(GraphError, match="running event loop"):
        await asyncio.to_thread(nb.interact, world.source())
    with pytest.raises(GraphError, match="Expected a handle or a graph"):
        nb.interact(3)


async def test_its_runs_are_marked_so_that_no_panel_shows_them(world):
    shown = []
    nb.default_session().on_run(shown.append)
    await nb.interact(world.source())
    assert [run.is_quiet for run in shown] == [True]
    await world.source().fresh()
    assert [run.is_quiet for run in shown] == [True, False]


async def test_a_live_value_waits_until_the_edits_have_rested(world):
    graph, output = copy_with_output(world.source())
    states = []
    live = LiveValue(graph, output, lambda: states.append(live.state), rest_s=0.05)
    parameter = find_parameter(graph, "size")
    for size in (2, 3, 4):
        live.edit(parameter, size)
    assert states == []
    assert (await live).shape[1] == 4
    assert world.calls["source"] == 1
    assert states.count("running…") == 1 and len(states) == 2


@pytest.mark.parametrize("limits", [nb.Range(0, 2**64 - 1), nb.Range(-(2**63), 2**63), None])
async def test_a_whole_number_of_any_size_stays_exact_in_the_page(limits):
    @nb.node
    def draw(seed: Annotated[int, limits] if limits else int = 2**53 + 1) -> int:
        return seed

    controls = nb.interact(draw(), seed=...)
    field = controls["seed"]
    assert field.get_state("value") == {"value": str(2**53 + 1)}
    assert await controls == 2**53 + 1
    field.set_state({"value": " 9007199254740995 "})
    assert await controls == field.value == 9007199254740995
    assert isinstance(field, widgets.Text)


async def test_what_is_no_whole_number_is_put_back(monkeypatch):
    @nb.node
    def draw(seed: Annotated[int, nb.Range(0, 2**64 - 1)] = 5) -> int:
        return seed

    controls = nb.interact(draw(), seed=...)
    field, sent = controls["seed"], []
    monkeypatch.setattr(field, "send_state", lambda key: sent.append((key, field.value)))
    for text in ("abc", "", "1.5", "1e3"):
        field.set_state({"value": text})
    assert (field.value, set(sent), len(sent)) == (5, {("value", 5)}, 4)
    assert await controls == 5


async def test_a_small_whole_number_keeps_its_arrows():
    @nb.node
    def draw(size: Annotated[int, nb.Range(16, 16384)] = 512) -> int:
        return size

    assert isinstance(nb.interact(draw(), size=...)["size"], widgets.IntText)
