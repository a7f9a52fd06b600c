"""Runs with `on_error="continue"`: what does not depend on a failed node runs (docs/semantics.md, "Errors")."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.execution.breakpoints import Pause
from tests.engine.support import Pack, failure_of, following, listed, made, number, ran, reported
from tests.reference.classes import INT, LAZY_INT

pytestmark = pytest.mark.usefixtures("zoo")


async def continued(graph: nb.Graph, outputs: list[str] | None = None, **options: Any) -> nb.Run:
    """Run a graph in which nodes fail to its end, and return its run."""
    with pytest.raises(nb.NodeErrors) as caught:
        await graph.run(outputs, **{"on_error": "continue", **options})
    run: nb.Run = caught.value.run
    assert run.error is caught.value
    assert run.state == "failed"
    return run


def two_branches(pack: Pack) -> nb.Graph:
    """A graph of a branch that fails in its middle, and one that does not."""
    prompt = {
        "1": number(4),
        "2": made("Refuse", n=["1", 0]),
        "3": made("Add", a=["2", 0], b=1),
        "4": made("Show", n=["3", 0]),
        "5": made("Add", a=["1", 0], b=1),
        "6": made("Show", n=["5", 0]),
    }
    return pack.graph(prompt)


async def test_what_does_not_depend_on_the_failed_node_runs(pack: Pack) -> None:
    run = await continued(two_branches(pack))
    assert sorted(ran(run)) == ["1", "5", "6"]
    assert run.ui["6"]["shown"] == [5]


async def test_all_failures_are_raised_together_with_the_run(pack: Pack) -> None:
    prompt = {"1": made("Refuse", n=4), "2": made("AsyncRefuse", n=9), "3": made("Show", n=1)}
    with pytest.raises(nb.NodeErrors) as caught:
        await pack.graph(prompt).run(["1", "2", "3"], on_error="continue")
    errors = caught.value
    assert {error.node_id for error in errors.exceptions} == {"1", "2"}
    assert all(error.run is errors.run for error in errors.exceptions)
    assert errors.run.ui["3"]["shown"] == [1]
    assert str(errors).startswith("2 nodes failed:")
    assert "Refuse (node 1): ValueError: 4 is not welcome." in str(errors)


async def test_a_single_failure_is_raised_as_a_group_too_and_can_be_caught_by_its_parts(pack: Pack) -> None:
    found: list[nb.NodeErrors] = []
    try:
        await two_branches(pack).run(on_error="continue")
    except* nb.NodeError as group:
        found.append(group)  # type: ignore[arg-type]
    (errors,) = found
    assert isinstance(errors, nb.NodeErrors)
    assert [error.node_id for error in errors.exceptions] == ["2"]
    assert "6" in errors.run


async def test_without_the_option_the_first_failure_ends_the_run(pack: Pack) -> None:
    with pytest.raises(nb.NodeError) as caught:
        await two_branches(pack).run()
    assert list(caught.value.run.failed) == ["2"]
    assert caught.value.run.failed["2"] is caught.value


async def test_a_run_is_a_container_of_the_values_that_it_can_give(pack: Pack) -> None:
    run = await continued(two_branches(pack))
    assert "6" in run
    assert 1 in run
    assert "2" not in run
    assert "3" not in run
    assert "no such node" not in run
    assert list(run) == ["1", "5", "6"]
    assert len(run) == 3
    assert [run[node_id] for node_id in run][:2] == [4, 5]


async def test_a_run_that_can_give_no_value_is_true_all_the_same(pack: Pack, session: nb.Session) -> None:
    run = await pack.graph({"1": number(4), "2": made("Add", a=["1", 0])}).run(["2"])
    assert list(run) == ["1", "2"]
    session.cache.clear()
    assert list(run) == ["2"]
    assert bool(await continued(pack.graph({"1": made("Refuse", n=4)})))


async def test_failed_maps_ids_to_errors_and_why_says_what_was_waited_for(pack: Pack) -> None:
    run = await continued(two_branches(pack))
    assert list(run.failed) == ["2"]
    assert isinstance(run.failed["2"].__cause__, ValueError)
    assert run.blocked == []
    assert run.why("2") == "failed: ValueError: 4 is not welcome."
    assert run.why("4") == "did not run: it waits for Refuse (node 2), which failed"
    with pytest.raises(nb.NotKept, match=r"Show \(node 4\) did not run: it waits for Refuse \(node 2\), which failed"):
        run["4"]
    assert "Show (node 4): did not run: it waits for Refuse (node 2), which failed" in run.summary()


async def test_the_nodes_below_report_what_they_wait_for(pack: Pack) -> None:
    run = await continued(two_branches(pack))
    given_up = reported(run, events.NodeGivenUp)
    assert [(event.node_id, event.failed_id) for event in given_up] == [("3", "2"), ("4", "2")]
    assert {event.reason for event in given_up} == {"waits for Refuse (node 2), which failed"}


async def test_the_next_run_does_only_what_failed_and_what_is_below(pack: Pack) -> None:
    graph = two_branches(pack)
    await continued(graph)
    graph["2"].inputs["n"] = 3
    run = await graph.run(on_error="continue")
    assert sorted(ran(run)) == ["2", "3", "4"]
    assert run.state == "done"
    assert run.failed == {}


async def test_a_node_that_failed_is_tried_again_in_the_next_run(pack: Pack) -> None:
    graph = two_branches(pack)
    await continued(graph)
    run = await continued(graph)
    assert ran(run) == []
    assert pack.calls["Refuse"] == 2


async def test_an_output_that_waits_behind_a_failing_node_on_the_lane_runs(pack: Pack) -> None:
    reached = threading.Event()

    def fail_late(self: Any) -> None:
        assert reached.wait(10)
        raise ValueError("late")

    async def reach(self: Any) -> tuple[int]:
        reached.set()
        return (7,)

    pack.node("FailLate", fail_late)
    pack.node("Reach", reach)
    prompt = {"1": made("FailLate"), "2": made("Show", n=["1", 0]), "3": made("Reach"), "4": made("Show", n=["3", 0])}
    run = await continued(pack.graph(prompt))
    assert run.ui["4"]["shown"] == [7]


async def test_async_nodes_in_flight_go_on(pack: Pack) -> None:
    failed = asyncio.Event()

    async def slow(self: Any) -> tuple[int]:
        await failed.wait()
        return (1,)

    pack.node("Slow", slow)
    prompt = {"1": made("Slow"), "2": made("Refuse", n=4), "3": made("Add", a=["1", 0], b=1)}
    job = pack.graph(prompt).start(["2", "3"], on_error="continue")

    def notice(batch: Any) -> None:
        if any(isinstance(event, events.NodeFailed) for event in batch):
            failed.set()

    job.run.subscribe(notice)
    with pytest.raises(nb.NodeErrors):
        await job
    assert job.run["3"] == 2


async def test_one_node_below_two_failed_ones_is_given_up_once(pack: Pack) -> None:
    prompt = {
        "1": made("Refuse", n=4),
        "2": made("AsyncRefuse", n=9),
        "3": made("Add", a=["1", 0], b=["2", 0]),
        "4": made("Show", n=["3", 0]),
    }
    run = await continued(pack.graph(prompt))
    assert set(run.failed) == {"1", "2"}
    assert [event.node_id for event in reported(run, events.NodeGivenUp)] == ["3", "4"]


# Expansions -----------------------------------------------------------------------------------------------------------


def expansion(pack: Pack, build: Any) -> None:
    """Add a class `Make`, whose expansion `build(graph)` makes; it returns the link of the result."""

    def run(self: Any, n: Any = None) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (build(graph),), "expand": graph.finalize()}

    pack.node("Make", run, None, optional={"n": INT})


async def test_a_failing_child_fails_its_parent_only(pack: Pack) -> None:
    def build(graph: nb.GraphBuilder) -> Any:
        bad = graph.node("Refuse", id="bad", n=4)
        graph.node("Show", id="show", n=8)
        return graph.node("Add", id="below", a=bad.out(0)).out(0)

    expansion(pack, build)
    prompt = {"1": made("Make"), "2": made("Add", a=["1", 0]), "3": made("Add", a=1, b=2)}
    run = await continued(pack.graph(prompt))
    assert list(run.failed) == ["1"]
    assert run.failed["1"].real_node_id == "1.0.0.bad"
    assert run["3"] == 3
    assert run.ui["1.0.0.show"]["shown"] == [8]
    assert [event.node_id for event in reported(run, events.NodeFailed)] == ["1.0.0.bad", "1"]
    assert [(event.node_id, event.failed_id) for event in reported(run, events.NodeGivenUp)] == [
        ("1.0.0.below", "1.0.0.bad"),
        ("2", "1"),
    ]


async def test_a_failure_inside_nested_expansions_fails_each_of_them(pack: Pack) -> None:
    def inner(self: Any) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Refuse", n=4).out(0),), "expand": graph.finalize()}

    pack.node("Inner", inner)
    expansion(pack, lambda graph: graph.node("Inner").out(0))
    run = await continued(pack.graph({"1": made("Make"), "2": made("Add", a=["1", 0])}))
    assert len(reported(run, events.NodeFailed)) == 3
    assert len(run.error.exceptions) == 1
    assert run.why("1") == f"failed: {run.failed['1'].args[0]}"
    assert run.why("2") == "did not run: it waits for Make (node 1), which failed"


async def test_an_expansion_that_links_to_a_failed_node_outside_is_blocked_and_has_not_failed(pack: Pack) -> None:
    failed = asyncio.Event()

    async def late(self: Any) -> dict[str, Any]:
        await failed.wait()
        return {"result": (["9", 0],), "expand": {"1.x": made("Add", a=["9", 0])}}

    pack.node("Late", late)
    job = pack.graph({"1": made("Late"), "9": made("Refuse", n=4)}).start(["1", "9"], on_error="continue")
    job.run.subscribe(lambda batch: failed.set() if any(type(e) is events.NodeFailed for e in batch) else None)
    with pytest.raises(nb.NodeErrors):
        await job
    assert list(job.run.failed) == ["9"]
    assert job.run.why("1") == "did not run: it waits for Refuse (node 9), which failed"


async def test_an_expansion_whose_outputs_do_not_fit_fails_its_node(pack: Pack) -> None:
    def expands(self: Any) -> dict[str, Any]:
        return {"result": (["x", 0],), "expand": {"x": number(5)}}

    pack.node("Uneven", expands, OUTPUT_IS_LIST=(True,))
    run = await continued(pack.graph({"1": made("Uneven"), "2": made("Add", a=1, b=1)}))
    assert list(run.failed) == ["1"]
    assert run.failed["1"].real_node_id == "1"
    assert run["2"] == 2


async def test_a_cycle_that_an_expansion_makes_fails_its_node(pack: Pack) -> None:
    first = {"result": (["x", 0],), "expand": {"x": made("Add", a=["2", 0])}}
    pack.node("Turn", lambda self, n=None: first, None, optional={"n": INT})
    prompt = {"1": made("Turn"), "2": made("Add", a=["1", 0]), "3": made("Add", a=1, b=1)}
    run = await continued(pack.graph(prompt))
    assert list(run.failed) == ["1"]
    assert run["3"] == 2


# Lazy inputs, blockers and breakpoints --------------------------------------------------------------------------------


async def test_a_lazy_input_that_fails_blocks_the_node_that_asked_for_it(pack: Pack) -> None:
    prompt = {"1": made("Refuse", n=4), "2": made("Switch", which=0, even=["1", 0], odd=3), "3": number(1)}
    run = await continued(pack.graph(prompt))
    assert run.why("2") == "did not run: it waits for Refuse (node 1), which failed"
    assert run["3"] == 1


async def test_a_lazy_input_that_had_failed_before_it_was_asked_for_blocks_the_node_too(pack: Pack) -> None:
    failed = asyncio.Event()

    async def wait(self: Any) -> tuple[bool]:
        await failed.wait()
        return (True,)

    pack.node("Wait", wait)
    pack.node(
        "Late",
        lambda self, w, n=None: (n,),
        {"w": INT, "n": LAZY_INT},
        check_lazy_status=lambda self, w, n=None: ["n"],
    )
    prompt = {"1": made("Refuse", n=4), "2": made("Wait"), "3": made("Late", w=["2", 0], n=["1", 0])}
    job = pack.graph(prompt).start(["1", "3"], on_error="continue")
    job.run.subscribe(lambda batch: failed.set() if any(type(e) is events.NodeFailed for e in batch) else None)
    with pytest.raises(nb.NodeErrors):
        await job
    assert job.run.why("3") == "did not run: it waits for Refuse (node 1), which failed"
    assert pack.calls["Refuse"] == 1


async def test_a_failing_node_behind_a_lazy_input_that_is_not_used_changes_nothing(pack: Pack) -> None:
    prompt = {"1": made("Refuse", n=4), "2": made("Switch", which=1, even=["1", 0], odd=3)}
    run = await pack.graph(prompt).run(["2"], on_error="continue")
    assert (run.state, run["2"]) == ("done", 3)


async def test_blockers_stay_what_they_are(pack: Pack) -> None:
    pack.node("Gate", lambda self: (nb.ExecutionBlocker("not allowed"),))
    prompt = {"1": made("Gate"), "2": made("Add", a=["1", 0]), "3": made("Refuse", n=4), "4": made("Add", a=["3", 0])}
    run = await continued(pack.graph(prompt))
    assert run.blocked == [("2", "not allowed")]
    assert list(run.failed) == ["3"]


async def test_a_breakpoint_whose_condition_fails_lets_its_node_fail_and_the_rest_runs(pack: Pack) -> None:
    graph = two_branches(pack)
    graph["1"].inputs["value"] = 3
    with nb.breakpoint(graph["2"], when=lambda value: 1 / 0):
        run = await continued(graph)
    assert list(run.failed) == ["2"]
    assert run.ui["6"]["shown"] == [4]
    assert run.why("4") == "did not run: it waits for Refuse (node 2), which failed"


async def test_a_run_can_be_paused_while_others_fail_and_be_resumed(pack: Pack, pauses: asyncio.Queue[Pause]) -> None:
    graph = two_branches(pack)
    with nb.breakpoint(graph["5"]):
        job = graph.start(on_error="continue")
        pause = await following(pauses)
        while not job.run.failed:
            await asyncio.sleep(0)
        pause.resume(50)
        with pytest.raises(nb.NodeErrors):
            await job
    assert job.run.ui["6"]["shown"] == [50]


# The end --------------------------------------------------------------------------------------------------------------


async def test_stopping_ends_everything_and_the_failures_so_far_are_in_the_run(pack: Pack) -> None:
    async def forever(self: Any) -> None:
        await asyncio.Event().wait()

    pack.node("Forever", forever)
    job = pack.graph({"1": made("Refuse", n=4), "2": made("Forever")}).start(["1", "2"], on_error="continue")
    while not job.run.failed:
        await asyncio.sleep(0)
    job.run.stop()
    run = await job
    assert run.state == "stopped"
    assert list(run.failed) == ["1"]
    assert run.failed["1"].run is run


async def test_a_node_that_interrupts_ends_everything(pack: Pack) -> None:
    def interrupt(self: Any, n: int) -> None:
        raise nb.InterruptProcessingException

    pack.node("Interrupt", interrupt, {"n": INT})
    prompt = {"1": made("AsyncRefuse", n=9), "2": number(1), "3": made("Interrupt", n=["2", 0])}
    run = await pack.graph(prompt).run(["1", "3"], on_error="continue")
    assert run.state == "stopped"


@pytest.mark.parametrize("kind", ["Refuse", "AsyncRefuse"])
async def test_equal_nodes_share_a_failure_as_they_share_a_result(pack: Pack, kind: str) -> None:
    prompt = {"1": made(kind, n=9), "2": made(kind, n=9), "3": number(1), "4": made("Add", a=["2", 0])}
    graph = pack.graph(prompt)
    for runs in (1, 2):
        run = await continued(graph)
        assert set(run.failed) == {"1", "2"}
        assert run.failed["1"].__cause__ is run.failed["2"].__cause__
        assert sorted(event.node_id for event in reported(run, events.NodeFailed)) == ["1", "2"]
        assert run.why("4") == f"did not run: it waits for {kind} (node 2), which failed"
        assert pack.calls[kind] == runs


async def test_a_failure_is_not_shared_by_nodes_that_share_no_result(pack: Pack) -> None:
    def refuses(self: Any) -> None:
        raise ValueError("no")

    pack.node("Unique", refuses, NOT_IDEMPOTENT=True)
    run = await continued(pack.graph({"1": made("Unique"), "2": made("Unique")}))
    assert set(run.failed) == {"1", "2"}
    assert pack.calls["Unique"] == 2


async def test_the_failure_of_one_run_is_not_that_of_another_at_the_same_time(pack: Pack) -> None:
    begun, release = asyncio.Event(), asyncio.Event()
    tries: list[int] = []

    async def luck(self: Any) -> tuple[int]:
        tries.append(1)
        if len(tries) > 1:
            return (7,)
        begun.set()
        await release.wait()
        raise ValueError("no luck")

    pack.node("Luck", luck)
    first = pack.graph({"1": made("Luck")}).start(on_error="continue")
    await begun.wait()
    second = pack.graph({"1": made("Luck")}).start(on_error="continue")
    await asyncio.sleep(0.01)
    release.set()
    with pytest.raises(nb.NodeErrors):
        await first
    assert (await second)["1"] == 7


async def test_one_bad_item_of_a_list_fails_its_node(pack: Pack) -> None:
    prompt = {"1": listed(1, 4, 6), "2": made("Refuse", n=["1", 0]), "3": made("Add", a=["1", 0], b=1)}
    run = await continued(pack.graph(prompt))
    assert list(run.failed) == ["2"]
    assert run["3"] == [2, 5, 7]


async def test_what_was_wrong_with_other_outputs_is_noted_with_the_failures(pack: Pack) -> None:
    prompt = {"1": made("Refuse", n=4), "2": made("Show", n=["1", 0]), "3": made("Show"), "4": made("Show", n=1)}
    run = await continued(pack.graph(prompt))
    assert run.ui["4"]["shown"] == [1]
    (note,) = run.error.__notes__
    assert "Show (node 3): Required input is missing: n" in note
    assert note.splitlines() == run.error._render_traceback_()[-2:]


async def test_a_failure_that_ends_the_run_tells_what_was_wrong_with_other_outputs_too(pack: Pack) -> None:
    prompt = {"1": made("Refuse", n=4), "2": made("Show", n=["1", 0]), "3": made("Show")}
    error = await failure_of(pack, prompt)
    problem = "Show (node 3): Required input is missing: n"
    assert error.node_id == "1"
    assert problem in error.__notes__[0]
    assert problem in "\n".join(error._render_traceback_())
    assert problem in error.run.summary()
    assert [each.node_id for each in error.run.validity.problems] == ["3"]


def test_it_works_from_a_script_too(pack: Pack) -> None:
    with pytest.raises(nb.NodeErrors) as caught:
        two_branches(pack).run_sync(on_error="continue")
    assert caught.value.run.ui["6"]["shown"] == [5]


# The option -----------------------------------------------------------------------------------------------------------

POLICY = {"node_failure_policy": "continue_independent"}


async def test_the_policy_of_a_posted_prompt_is_kept_with_its_graph(pack: Pack, tmp_path: Path) -> None:
    prompt = two_branches(pack).to_prompt()
    path = tmp_path / "posted.json"
    path.write_text(json.dumps({"prompt": prompt, "extra_data": POLICY}))
    graph = nb.load(path, registry=pack.registry)
    assert graph.on_error == graph.copy().on_error == "continue"
    run = await continued(graph, on_error=None)
    assert run.ui["6"]["shown"] == [5]
    with pytest.raises(nb.NodeError):
        await graph.run(on_error="stop")


def test_a_graph_that_continues_is_saved_with_its_policy_and_any_other_as_a_plain_prompt(
    pack: Pack, tmp_path: Path
) -> None:
    graph, path = two_branches(pack), tmp_path / "graph.json"
    graph.save(path)
    assert json.loads(path.read_text()) == graph.to_prompt()
    graph.on_error = "continue"
    graph.save(path)
    assert json.loads(path.read_text()) == {"prompt": graph.to_prompt(), "extra_data": POLICY}
    loaded = nb.load(path, registry=pack.registry)
    assert (loaded.on_error, loaded.to_prompt()) == ("continue", graph.to_prompt())
    graph.on_error = "go"
    with pytest.raises(nb.GraphError, match="on_error is 'go'"):
        graph.save(path)


async def test_the_policy_may_come_with_the_run(pack: Pack) -> None:
    run = await continued(two_branches(pack), extra_data=POLICY, on_error=None)
    assert run.ui["6"]["shown"] == [5]


def test_a_prompt_without_a_policy_stops_at_the_first_failure(pack: Pack) -> None:
    prompt = two_branches(pack).to_prompt()
    assert nb.load({"prompt": prompt}, registry=pack.registry).on_error == "stop"
    posted = {"prompt": prompt, "extra_data": {"node_failure_policy": "fail_fast"}}
    assert nb.load(posted, registry=pack.registry).on_error == "stop"


def test_an_unknown_policy_in_a_file_is_named_and_ignored(pack: Pack) -> None:
    posted = {"prompt": two_branches(pack).to_prompt(), "extra_data": {"node_failure_policy": "continue_all"}}
    with pytest.warns(nb.ComfyNBWarning, match="no node_failure_policy 'continue_all'.*continue_independent"):
        assert nb.load(posted, registry=pack.registry).on_error == "stop"


@pytest.mark.parametrize(
    "options", [{"on_error": "go"}, {"on_error": ""}, {"on_error": 1}, {"extra_data": {"node_failure_policy": 3}}]
)
async def test_an_unknown_choice_is_refused_before_anything_runs(pack: Pack, options: dict[str, Any]) -> None:
    with pytest.raises(nb.GraphError, match="on_error|node_failure_policy"):
        await two_branches(pack).run(**options)
    assert not pack.calls
