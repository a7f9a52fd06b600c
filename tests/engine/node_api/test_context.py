"""The context of a call: what a node may know and do while it runs."""

from __future__ import annotations

import asyncio
import io

import pytest
import torch
from PIL import Image as Pictures

import comfy_nb as nb
from comfy_nb.engine.events import NodePreview, NodeProgress, NodeText
from comfy_nb.engine.node_api.context import (
    CallContext,
    ExecutionContext,
    check_interrupt,
    current_call,
    get_executing_context,
)
from comfy_nb.engine.node_api.progress import make_preview


class Listener:
    """A run as its calls see it."""

    def __init__(self, stopping=False):
        self.id, self.stopping, self.events, self.warned = "run", stopping, [], set()

    def name_of(self, node_id):
        return f"node {node_id}"

    def code_of(self, node_id):
        return None

    def emit(self, event):
        self.events.append(event)


@pytest.fixture
def listener():
    listener = Listener()
    token = current_call.set(CallContext(listener, "7", 2, 4))
    yield listener
    current_call.reset(token)


@pytest.fixture(autouse=True)
def session():
    with nb.use_session(nb.Session()) as session:
        yield session


# graph builders


def test_ids_have_the_node_the_list_index_and_the_builder_in_them(listener):
    first, second = nb.GraphBuilder(), nb.GraphBuilder()
    assert [first.node("A").id, first.node("A").id, first.node("A", id="x").id] == ["7.2.0.1", "7.2.0.2", "7.2.0.x"]
    assert second.node("A").id == "7.2.1.1"
    assert nb.GraphBuilder("mine.").node("A").id == "mine.1"
    assert nb.GraphBuilder.alloc_prefix("r", 1, 5) == "r.1.5."


def test_outside_of_a_node_ids_have_no_node_in_them():
    assert nb.GraphBuilder().node("A").id == ".0.0.1"


def test_a_builder_makes_the_prompt_of_its_nodes(listener):
    graph = nb.GraphBuilder("p.")
    first = graph.node("A", n=1)
    second = graph.node("B", id="b", x=first.out(1))
    second.set_input("y", 2)
    second.set_override_display_id("9")
    assert graph.node("C", id="b") is second and graph.lookup_node("b") is second
    assert graph.lookup_node("none") is None
    assert (second.get_input("y"), second.get_input("z")) == (2, None)
    assert graph.finalize() == {
        "p.1": {"class_type": "A", "inputs": {"n": 1}},
        "p.b": {"class_type": "B", "inputs": {"x": ["p.1", 1], "y": 2}, "override_display_id": "9"},
    }


def test_outputs_are_replaced_and_nodes_removed(listener):
    graph = nb.GraphBuilder("p.")
    first = graph.node("A", id="a")
    second = graph.node("B", x=first.out(0), y=first.out(1), z=3)
    graph.replace_node_output("a", 0, "value")
    assert second.inputs == {"x": "value", "y": ["p.a", 1], "z": 3}
    graph.replace_node_output("a", 1, None)
    assert second.inputs == {"x": "value", "z": 3}
    graph.remove_node("a")
    graph.remove_node("a")
    assert list(graph.finalize()) == ["p.1"]


async def test_prefixes_are_right_after_an_await_and_in_concurrent_runs():
    seen = {}

    @nb.node(cache="off")
    async def build(name: str) -> str:
        before = nb.GraphBuilder().prefix
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen[name] = (before, nb.GraphBuilder().prefix, get_executing_context().node_id)
        return name

    graphs = []
    for node_id in ("a", "b", "c"):
        graph = nb.Graph()
        graph.node("build", id=node_id, name=node_id)
        graphs.append(graph)
    await asyncio.gather(*(graph.run() for graph in graphs))
    assert seen == {each: (f"{each}.0.0.", f"{each}.0.1.", each) for each in ("a", "b", "c")}


# the executing context


def test_there_is_no_executing_context_outside_of_a_node():
    assert get_executing_context() is None
    check_interrupt()


def test_a_context_set_by_hand_holds_for_its_block():
    with nb.CurrentNodeContext("p", "3", 1):
        assert get_executing_context() == ExecutionContext("p", "3", 1)
        nb.ProgressBar(2).update(1)
        with nb.CurrentNodeContext("p", "4"):
            assert get_executing_context() == ExecutionContext("p", "4", 0)
        assert get_executing_context().node_id == "3"
    assert get_executing_context() is None


def test_a_context_set_within_a_run_reports_to_that_run(listener):
    with nb.CurrentNodeContext("run", "other"):
        nb.ProgressBar(2).update(1)
    assert [event.node_id for event in listener.events] == ["other"]


def test_a_node_knows_its_run_and_its_place_in_a_list():
    @nb.node(list_output=True)
    def numbers() -> int:
        return [5, 6]

    @nb.node(cache="off")
    def place(x: int) -> str:
        context = get_executing_context()
        return f"{context.prompt_id != ''} {context.list_index}"

    assert place(numbers()).run_sync() == ["True 0", "True 1"]


def test_a_node_of_a_run_that_is_to_stop_is_interrupted():
    token = current_call.set(CallContext(Listener(stopping=True), "1"))
    try:
        with pytest.raises(nb.InterruptProcessingException):
            check_interrupt()
        with pytest.raises(nb.InterruptProcessingException):
            nb.ProgressBar(3).update(1)
    finally:
        current_call.reset(token)


# progress


def test_a_progress_bar_counts_up_to_its_total(listener):
    bar = nb.ProgressBar(3)
    bar.update(2)
    bar.update(5)
    bar.update_absolute(1, 10)
    assert [(event.value, event.total) for event in listener.events] == [(2, 3), (3, 3), (1, 10)]
    assert {(event.node_id, event.call, event.calls) for event in listener.events} == {("7", 2, 4)}


def test_a_progress_bar_may_report_for_another_node(listener):
    nb.ProgressBar(3, node_id=9).update(1)
    assert listener.events[0].node_id == "9"


def test_a_progress_bar_outside_of_a_node_only_counts():
    bar = nb.ProgressBar(3)
    bar.update(2)
    assert bar.current == 2


def test_a_progress_bar_shows_previews_in_comfyuis_form(listener):
    nb.ProgressBar(3).update_absolute(1, preview=("JPEG", Pictures.new("RGB", (8, 4)), 512))
    assert [type(event) for event in listener.events] == [NodeProgress, NodePreview]
    assert (listener.events[1].width, listener.events[1].height) == (8, 4)


def test_progress_reports_steps_previews_and_text(listener):
    progress = nb.Progress(current_call.get())
    assert list(progress.over("ab")) == ["a", "b"]
    progress.update(1)
    progress(text="hello", preview=torch.zeros(1, 4, 4, 3))
    progress.text("more", append=True)
    steps = [(event.value, event.total) for event in listener.events if isinstance(event, NodeProgress)]
    assert steps == [(0, 2), (1, 2), (2, 2), (3, 2)]
    assert [(event.text, event.append) for event in listener.events if isinstance(event, NodeText)] == [
        ("hello", False),
        ("more", True),
    ]
    assert sum(isinstance(event, NodePreview) for event in listener.events) == 1


def test_progress_is_not_gone_over_by_itself(listener):
    with pytest.raises(TypeError, match=r"for step in progress.over\(range\(20\)\)"):
        list(nb.Progress(current_call.get()))


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (torch.zeros(2, 4, 6, 3), (6, 4)),
        (torch.zeros(4, 6, 1), (6, 4)),
        (torch.zeros(4, 6), (6, 4)),
        (torch.zeros(4, 6, 4), (6, 4)),
        (torch.full((4, 6, 3), float("nan")), (6, 4)),
        (torch.zeros(1024, 512, 3), (128, 256)),
        (Pictures.new("RGBA", (1000, 500)), (256, 128)),
    ],
)
def test_a_preview_is_a_small_jpeg(listener, picture, size):
    preview = make_preview(current_call.get(), picture)
    with Pictures.open(io.BytesIO(preview.data)) as shown:
        assert shown.format == "JPEG" and shown.size == size == (preview.width, preview.height)


@pytest.mark.parametrize("picture", [torch.zeros(4, 4, 2), torch.zeros(0, 4, 3), torch.zeros(3), "text"])
def test_what_is_not_a_picture_has_no_preview(listener, picture):
    nb.Progress(current_call.get()).preview(picture)
    assert listener.events == []


def closed() -> object:
    picture = Pictures.new("RGB", (4, 4))
    picture.close()
    return picture


@pytest.mark.parametrize(
    "picture",
    [torch.eye(4).to_sparse(), torch.zeros(4, 4, 3, device="meta"), closed()],
    ids=["sparse", "without data", "closed"],
)
def test_a_picture_that_cannot_be_read_fails_no_node(listener, picture):
    with pytest.warns(nb.ComfyNBWarning, match="node 7: A preview of class .* was left out"):
        nb.Progress(current_call.get())(1, 2, preview=picture)
    assert len(listener.events) == 1


# links and blockers


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (["3", 0], True),
        (["3", 1], True),
        (["3"], False),
        (["3", "0"], False),
        (["3", 0, 1], False),
        (("3", 0), False),
        ("3", False),
        (None, False),
    ],
)
def test_a_link_is_a_list_of_an_id_and_a_slot(value, is_one):
    assert nb.is_link(value) is is_one


def test_the_repr_of_a_blocker_has_its_message():
    assert nb.ExecutionBlocker("no").message == "no" and nb.ExecutionBlocker().message is None
    assert repr(nb.ExecutionBlocker("no")) == "ExecutionBlocker('no')"


def test_inputs_that_are_set_after_finalize_are_in_the_prompt_too():
    builder = nb.GraphBuilder("p.")
    made = builder.node("Number", value=1)
    prompt = builder.finalize()
    made.set_input("value", 2)
    assert prompt["p.1"]["inputs"] == {"value": 2}
