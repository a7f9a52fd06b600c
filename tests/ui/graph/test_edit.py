"""Edits from a view: what they make stale, and what they are refused."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Literal

import pytest

import comfy_nb as nb
from comfy_nb.engine.session import Session, use_session
from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.hints import Range
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.edit import set_from_text
from comfy_nb.ui.graph.live import LiveGraph
from tests.reference.classes import node
from tests.ui.scripted import until


def number(value: Annotated[int, Range(0, 9)] = 1) -> int:
    return value


def add(a: int, b: int = 0) -> int:
    return a + b


@pytest.fixture
def graph() -> Graph:
    registry = Registry()
    registry.register(spec_from_function(number))
    registry.register(spec_from_function(add))
    graph = Graph(registry=registry)
    first = graph.node("number", value=3)
    graph.node("add", a=graph.node("add", a=first))
    graph.node("number")
    return graph


def test_an_edit_changes_the_graph(graph):
    assert set_from_text(graph, "1", "value", "5")
    assert graph["1"].inputs["value"] == 5
    assert not set_from_text(graph, "1", "value", "5")


@pytest.mark.parametrize(
    ("node_id", "name", "text", "error", "reason"),
    [
        ("1", "value", "50", GraphError, "50 is out of range; it must lie between 0 and 9"),
        ("1", "value", "nan", GraphError, r"expected a whole number \(INT\), got 'nan'"),
        ("1", "values", "5", UnknownName, "Did you mean 'value'"),
        ("2", "a", "5", GraphError, "has been linked meanwhile; show the graph again"),
        ("9", "value", "5", UnknownName, "no node '9'"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(graph, node_id, name, text, error, reason):
    before = graph.to_prompt()
    with pytest.raises(error, match=reason):
        set_from_text(graph, node_id, name, text)
    assert graph.to_prompt() == before


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("share", "3", 3.0),
        ("is_on", "false", False),
        ("words", "true", "true"),
        ("words", "[1]", "[1]"),
        ("way", "up", "up"),
    ],
)
def test_a_text_is_read_as_its_input_is_declared(name, text, value):
    def mixed(share: float = 0.5, is_on: bool = True, words: str = "", way: Literal["up", "down"] = "down") -> str: ...

    registry = Registry()
    registry.register(spec_from_function(mixed))
    graph = Graph(registry=registry)
    graph.node("mixed", share=0.5, is_on=True, words="", way="down")
    assert set_from_text(graph, "1", name, text)
    found = graph["1"].inputs[name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e999"])
def test_a_number_that_a_field_could_not_show_is_refused(text):
    def share(value: float = 0.5) -> float: ...

    registry = Registry()
    registry.register(spec_from_function(share))
    graph = Graph(registry=registry)
    graph.node("share", value=0.5)
    with pytest.raises(GraphError, match=r"expected a number \(FLOAT\)"):
        set_from_text(graph, "1", "value", text)


class Watched:
    """A view whose messages are kept, newest last."""

    def __init__(self, graph: Graph) -> None:
        self.live = LiveGraph(graph)
        self.sent: list[dict] = []
        self.live._graph.send = lambda message, pictures=(): self.sent.append(message)

    def ask(self, **message: object) -> str:
        """Answer a request, and return the last text that is sent."""
        self.live._answer(message)
        return next((each["text"] for each in reversed(self.sent) if "text" in each), "")

    def value(self) -> str:
        """The value that is drawn on the first node."""
        return self.live._graph.scene["nodes"][0]["fields"][0]["value"]


@pytest.fixture
async def views(graph):
    with use_session(Session()):
        found = [Watched(graph), Watched(graph)]
        yield found
        for each in found:
            each.live.close()


async def test_every_view_of_a_graph_shows_an_edit(views, graph):
    views[0].ask(type="edit", id="1", name="value", value="7")
    await asyncio.sleep(0)
    assert [view.value() for view in views] == ["7", "7"]
    assert views[1].sent[-1]["states"] == {node_id: ["stale", None, ""] for node_id in ("1", "2", "3")}


async def test_a_view_that_was_closed_takes_no_more_edits(views):
    views[1].live.close()
    views[0].ask(type="edit", id="1", name="value", value="7")
    await asyncio.sleep(0)
    assert [view.value() for view in views] == ["7", "3"]


async def test_what_was_edited_in_a_cell_is_shown_when_it_is_run(views, graph):
    before = [node["box"] for node in views[0].live._graph.scene["nodes"]]
    graph["1"].inputs["value"] = 5
    await graph.run(quiet=True)
    await asyncio.sleep(0)
    assert [view.value() for view in views] == ["5", "5"]
    assert [node["box"] for node in views[0].live._graph.scene["nodes"]] == before


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "edit", "id": "1", "name": "value", "value": "1.5"}, "expected a whole number (INT), got '1.5'"),
        ({"type": "edit", "id": "1", "name": "value", "value": float("inf")}, "expected a whole number"),
        ({"type": "edit", "id": "1", "name": "value", "value": 10**400}, "out of range"),
        ({"type": "edit", "id": 1, "name": "value", "value": "99"}, "it must lie between 0 and 9"),
        ({"type": "inspect", "id": "1", "slot": 0}, "Nothing is there yet"),
        ({"type": "dance", "id": "1"}, "no answer to 'dance'"),
        ({"type": "edit"}, "KeyError"),
        ({"type": []}, "no answer to []"),
    ],
)
async def test_what_cannot_be_done_is_reported_and_changes_nothing(views, graph, message, text):
    assert text in views[0].ask(**message)
    assert graph["1"].inputs["value"] == 3
    views[0].sent.clear()
    assert views[0].ask(type="ready") == "", "the view still answers, and has nothing to complain of"


async def test_a_value_that_is_the_same_makes_nothing_stale(views, graph):
    views[0].ask(type="edit", id="1", name="value", value="003")
    await asyncio.sleep(0)
    assert views[0].sent[-1] == {"type": "unchanged"} and views[1].sent == []


def state_of(view: Watched, node_id: str) -> str:
    return view.live._states.of(node_id).state


@pytest.fixture
def gated(graph):
    """A graph whose run waits for a gate, and the gate."""
    gate = asyncio.Event()

    async def wait(value: int = 1) -> int:
        await gate.wait()
        return value

    graph.registry.register(spec_from_function(wait))
    graph.node("add", a=graph.node("wait", value=1))
    return graph, gate


async def test_what_is_edited_during_a_run_stays_stale(gated, views):
    graph, gate = gated
    job = graph.start(["6"], quiet=True)
    await until(lambda: state_of(views[0], "5") == "running")
    views[0].ask(type="edit", id="5", name="value", value="7")
    gate.set()
    await job
    await until(lambda: state_of(views[0], "6") == "stale")
    assert state_of(views[0], "5") == "stale"
    await graph.run(["6"], quiet=True)
    await until(lambda: state_of(views[0], "5") == "done")


async def test_a_view_that_is_shown_during_a_run_follows_it(gated):
    graph, gate = gated
    with use_session(Session()):
        job = graph.start(["6"], quiet=True)
        await until(lambda: job.run.loop is not None)
        late = Watched(graph)
        await until(lambda: state_of(late, "5") == "running")
        gate.set()
        await job
        await until(lambda: state_of(late, "6") == "done")
        late.live.close()


async def test_a_view_runs_in_the_session_that_it_was_shown_in(graph):
    session = Session()
    with use_session(session):
        view = Watched(graph)
    begun: list = []
    session.on_run(begun.append)
    thread = threading.Thread(target=view.live._on_message, args=(None, {"type": "run"}, []))
    thread.start()
    await until(lambda: state_of(view, "4") == "done")
    assert begun[0].session is session
    view.live.close()


async def test_a_redeclared_class_and_removed_nodes_are_noticed(views, graph):
    await graph.run(quiet=True)
    await until(lambda: state_of(views[0], "4") == "done")

    def number(value: Annotated[int, Range(0, 9)] = 1) -> str:
        return str(value)

    graph.registry.register(spec_from_function(number))
    graph.remove("3")
    graph.remove("2")
    await graph.run(quiet=True)
    await asyncio.sleep(0)
    drawn = views[0].live._graph.scene["nodes"]
    assert [node["outputs"] for node in drawn] == [[["STRING", "STRING"]]] * 2
    assert set(views[0].live._states.nodes) <= {"1", "4"}


async def test_a_new_seed_lies_within_its_bounds(views, graph):
    drawn = set()
    for _ in range(50):
        views[0].ask(type="reseed", id="1", name="value")
        await asyncio.sleep(0)
        drawn.add(graph["1"].inputs["value"])
        assert views[0].value() == str(graph["1"].inputs["value"])
    assert len(drawn) > 1 and drawn <= set(range(10))


async def test_a_class_that_cannot_be_read_any_more_is_named_and_nothing_is_lost(views, graph):
    broken = False

    def fickle() -> dict:
        if broken:
            raise FileNotFoundError("models/")
        return {"required": {}}

    made = node("Fickle", lambda self: (1,), {}, returns=("INT",))
    made.INPUT_TYPES = classmethod(lambda cls: fickle())
    nb.register(made, registry=graph.registry)
    graph.node("Fickle")
    views[0].ask(type="edit", id="1", name="value", value="7")
    broken = True
    views[0].ask(type="edit", id="1", name="value", value="8")
    assert graph["1"].inputs["value"] == 8
    with pytest.raises(nb.ValidationError, match="Fickle .*: Cannot execute because a node class cannot be read"):
        await graph.run(quiet=True)


async def test_what_the_run_button_cannot_run_is_reported(graph):
    with use_session(Session()):
        live = LiveGraph(graph)
        sent = asyncio.Queue()
        live._graph.send = lambda message, pictures=(): sent.put_nowait(message)
        graph["1"].inputs["value"] = graph["4"].inputs["value"] = 99
        live._on_message(None, {"type": "run"}, [])
        while (message := await asyncio.wait_for(sent.get(), 10))["type"] != "note" or not message["text"]:
            pass
        assert "99 bigger than max of 9" in message["text"]
        live.close()


async def test_a_click_on_a_node_that_has_not_run_is_answered_by_a_hint_and_on_a_failed_one_by_an_error(graph):
    def fail(self):
        raise ValueError("broken")

    nb.register(node("Broken", fail, {}, returns=("INT",)), registry=graph.registry)
    broken = graph.node("Broken").id
    with use_session(Session()):
        live = LiveGraph(graph)
        sent = asyncio.Queue()
        live._graph.send = lambda message, pictures=(): sent.put_nowait(message)

        async def answer(node_id: str) -> str:
            live._on_message(None, {"type": "inspect", "id": node_id, "slot": 0}, [])
            while (message := await asyncio.wait_for(sent.get(), 10))["type"] not in ("hint", "note"):
                pass
            return message["type"]

        assert await answer(broken) == "hint"
        with pytest.raises(nb.NodeError):
            await graph.run([broken], quiet=True)
        assert await answer(broken) == "note"
        live.close()
