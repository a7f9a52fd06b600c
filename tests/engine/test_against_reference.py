"""Random graphs give the same on the engine as in the slow reference evaluator: at once, after edits, side by side.

In a failed run the engine may have got less far than the reference, but never to another value.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.planning.planned import planned
from comfy_nb.errors import NodeError, NodeErrors, NotKept
from comfy_nb.graph.model import Graph
from comfy_nb.spec.registry import Registry
from tests.engine.support import reported
from tests.reference.classes import made, make_classes
from tests.reference.evaluator import Outcome, comparable, default_targets, evaluate
from tests.reference.graphs import Edit, Prompt, edited_prompts, prompts, sources_of, with_edit

pytestmark = pytest.mark.filterwarnings("ignore:.* missing, and None")

CLASSES = make_classes()
REGISTRY = Registry()
nb.register(make_classes(), registry=REGISTRY)
TOGETHER = 3
LIMIT_S = 60.0
BUDGET = 64 << 20

Wanted = list[str] | None


def together(main: Coroutine[Any, Any, None]) -> None:
    """Run on a loop of its own; a run that never ends is an error."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await main

    asyncio.run(limited())


async def run_of(
    session: nb.Session, graph: Graph, wanted: Wanted, **options: Any
) -> tuple[nb.Run, tuple[str, str] | None]:
    """Run a graph, and return its run and, where it failed, the node and the name of the exception's type."""
    try:
        return await session.run(graph, wanted, **options), None
    except NodeError as error:
        return error.run, (error.node_id, type(error.__cause__).__name__)


def values_of(run: nb.Run, ids: Mapping[str, Any]) -> dict[str, Any]:
    """The output slots of those of the nodes whose results are held."""
    found = {}
    for node_id in ids:
        try:
            found[node_id] = list(run.outputs(node_id))
        except NotKept:
            continue
    return found


def computed(run: nb.Run) -> set[str]:
    """The ids of the nodes, those of expansions included, that a run computed itself."""
    return {event.node_id for event in reported(run, events.NodeFinished) if event.source == "ran"}


def check_held(run: nb.Run, prompt: Prompt, due: Outcome) -> list[str]:
    """No value that a run holds differs from the reference; returns the ids of those that it holds."""
    values = values_of(run, prompt)
    held = [node_id for node_id in values if node_id in due.values]
    assert {name: comparable(values[name]) for name in held} == {name: comparable(due.values[name]) for name in held}
    ui = {name: {key: list(items) for key, items in shown.items()} for name, shown in run.ui.items()}
    assert ui == {name: due.ui[name] for name in ui if name in due.ui}
    return held


def check_values(run: nb.Run, failure: tuple[str, str] | None, prompt: Prompt, wanted: Wanted, due: Outcome) -> None:
    """No value that a run holds differs from the reference, and unless it failed all wanted values are there."""
    held = check_held(run, prompt, due)
    if failure is None:
        assert due.error is None
        targets = default_targets(prompt, CLASSES) if wanted is None else wanted
        assert set(targets) <= set(held)
        assert {name for name in targets if name in due.ui} <= set(run.ui)
    else:
        assert failure in due.possible_errors


def check_reports(run: nb.Run, failure: tuple[str, str] | None, due: Outcome) -> None:
    """Each message of a blocked node was reported once, also where it shared the result of an equal one."""
    reported = Counter(run.blocked)
    expected = Counter(due.blocked)
    assert not reported - expected
    if failure is None:
        assert reported == expected
        assert {message for _, message in reported} == {message for _, message in expected}


def below(prompt: Prompt, ids: set[str]) -> set[str]:
    """The nodes with these ids, and all that have links to them."""
    found = set(ids)
    while more := {name for name, node in prompt.items() if sources_of(node["inputs"]) & found} - found:
        found |= more
    return found


def check_nothing_left(graph: Graph, *runs: nb.Run) -> None:
    """No task is left and no run uses the plan."""
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert planned(graph).plan.users == 0
    for run in runs:
        assert run.plan.users == 0
        assert run.state in ("done", "failed")
        if run.state == "done":
            assert run.task.executor is not None and run.task.executor.scheduler.pending == 0


def close(session: nb.Session) -> None:
    """Let the session's threads end, with what a failed run left behind on them; then no key is still claimed."""
    for lane in (session.lanes.lane, session.lanes.pool, *session.lanes._of_pools.values()):
        threads = [worker.thread for worker in lane.workers]
        lane.close()
        for thread in threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
    assert len(session.store.in_flight) == 0


@pytest.mark.long
@given(prompts())
def test_a_random_graph_gives_what_the_reference_gives(drawn: tuple[Prompt, Wanted]) -> None:
    prompt, wanted = drawn
    due = evaluate(prompt, CLASSES, wanted)

    async def main() -> None:
        session = nb.Session(budget=BUDGET)
        graph = Graph.from_prompt(prompt, REGISTRY)
        run, failure = await run_of(session, graph, wanted)
        check_values(run, failure, prompt, wanted, due)
        check_reports(run, failure, due)
        if failure is None:
            assert set(run.ui) == set(due.ui)
        check_nothing_left(graph, run)
        close(session)

    together(main())


@pytest.mark.long
@given(edited_prompts())
@settings(max_examples=settings().max_examples // 2)
def test_the_cache_never_gives_a_wrong_value_when_a_graph_is_edited_between_runs(
    drawn: tuple[Prompt, Wanted, list[Edit]],
) -> None:
    prompt, wanted, edits = drawn

    async def main() -> None:
        session = nb.Session(budget=BUDGET)
        graph = Graph.from_prompt(prompt, REGISTRY)
        present = prompt
        for edit in [None, *edits]:
            if edit is not None:
                present = with_edit(present, edit)
                node_id, name, value = edit
                graph[node_id].inputs[name] = value
            for _ in range(2):
                run, failure = await run_of(session, graph, wanted)
                check_values(run, failure, present, wanted, evaluate(present, CLASSES, wanted))
                check_nothing_left(graph, run)
        close(session)

    together(main())


@given(edited_prompts(max_nodes=8, max_edits=2), st.integers(1 << 10, 1 << 13))
@settings(max_examples=settings().max_examples // 4)
def test_a_cache_that_is_too_small_changes_nothing_but_what_is_computed_again(
    drawn: tuple[Prompt, Wanted, list[Edit]], budget: int
) -> None:
    prompt, wanted, edits = drawn

    async def main() -> None:
        session = nb.Session(budget=budget)
        graph = Graph.from_prompt(prompt, REGISTRY)
        present = prompt
        for edit in [None, *edits]:
            if edit is not None:
                present = with_edit(present, edit)
                graph[edit[0]].inputs[edit[1]] = edit[2]
            run, failure = await run_of(session, graph, wanted)
            check_values(run, failure, present, wanted, evaluate(present, CLASSES, wanted))
            check_nothing_left(graph, run)
        close(session)

    together(main())


@given(prompts(max_nodes=8))
@settings(max_examples=settings().max_examples // 2)
def test_runs_of_equal_graphs_side_by_side_give_what_one_gives(drawn: tuple[Prompt, Wanted]) -> None:
    prompt, wanted = drawn
    due = evaluate(prompt, CLASSES, wanted)

    async def main() -> None:
        session = nb.Session(budget=BUDGET)
        graphs = [Graph.from_prompt(prompt, REGISTRY) for _ in range(TOGETHER - 1)]
        graphs.append(graphs[0])
        ended = await asyncio.gather(*(run_of(session, graph, wanted) for graph in graphs))
        for run, failure in ended:
            check_values(run, failure, prompt, wanted, due)
        for graph, (run, _) in zip(graphs, ended, strict=True):
            check_nothing_left(graph, run)
        close(session)

    together(main())


POOLS = ("few", "some", "many")
SIZES = st.fixed_dictionaries({name: st.integers(1, 3) for name in POOLS})
USES = st.dictionaries(
    st.sampled_from(sorted(CLASSES)), st.dictionaries(st.sampled_from(POOLS), st.integers(1, 3), min_size=1)
)
PRIORITIES = st.lists(st.integers(-2, 2), min_size=TOGETHER, max_size=TOGETHER)
OF_CLASSES = st.dictionaries(st.sampled_from(sorted(CLASSES)), st.integers(-2, 2))


@given(prompts(max_nodes=8), SIZES, USES, PRIORITIES, OF_CLASSES)
@settings(max_examples=settings().max_examples // 2)
def test_pools_and_priorities_change_nothing_but_the_order(
    drawn: tuple[Prompt, Wanted],
    sizes: dict[str, int],
    uses: dict[str, dict[str, int]],
    priorities: list[int],
    of_classes: dict[str, int],
) -> None:
    prompt, wanted = drawn
    due = evaluate(prompt, CLASSES, wanted)
    registry = Registry()
    for class_type in REGISTRY:
        registry.register(replace(REGISTRY[class_type], priority=of_classes.get(class_type, 0)))

    async def main() -> None:
        session = nb.Session(budget=BUDGET)
        for name, size in sizes.items():
            session.pools.define(name, size, None, False)
        for class_type, needs in uses.items():
            session.pools.assign(class_type, {name: min(count, sizes[name]) for name, count in needs.items()})
        graphs = [Graph.from_prompt(prompt, registry) for _ in priorities]
        runs = zip(graphs, priorities, strict=True)
        ended = await asyncio.gather(*(run_of(session, each, wanted, priority=priority) for each, priority in runs))
        for run, failure in ended:
            check_values(run, failure, prompt, wanted, due)
        for graph, (run, _) in zip(graphs, ended, strict=True):
            check_nothing_left(graph, run)
        close(session)
        assert all(not state.in_use and not state.waiting for state in session.pools.states())

    together(main())


WRONG = {
    "another value": {"1": made("Number", value=2), "2": made("Show", n=["1", 0])},
    "another failure": {"1": made("Refuse", n=4), "2": made("Show", n=["1", 0])},
}


@pytest.mark.parametrize("what", WRONG)
async def test_the_comparison_notices_a_difference(what: str) -> None:
    """A check that cannot fail would prove nothing."""
    due = evaluate({"1": made("Number", value=1), "2": made("Show", n=["1", 0])}, CLASSES)
    session = nb.Session(budget=BUDGET)
    run, failure = await run_of(session, Graph.from_prompt(WRONG[what], REGISTRY), None)
    with pytest.raises(AssertionError):
        check_values(run, failure, WRONG[what], None, due)
    close(session)


@pytest.mark.long
@given(prompts())
def test_a_run_that_continues_computes_all_that_does_not_depend_on_a_failure(drawn: tuple[Prompt, Wanted]) -> None:
    prompt, wanted = drawn
    due = evaluate(prompt, CLASSES, wanted)
    targets = default_targets(prompt, CLASSES) if wanted is None else wanted
    # The reference computes a node though an output node in its expansion fails.
    unknown = below(prompt, {node_id for node_id, _ in due.possible_errors if node_id in due.values})

    async def main() -> None:
        session = nb.Session(budget=BUDGET)
        graph = Graph.from_prompt(prompt, REGISTRY)
        for number in range(2):
            failures: set[tuple[str, str]] = set()
            try:
                run = await session.run(graph, wanted, on_error="continue")
            except NodeErrors as errors:
                run = errors.run
                failures = {(each.node_id, type(each.__cause__).__name__) for each in errors.exceptions}
            held = check_held(run, prompt, due) if number == 0 else list(run)
            assert {name for name in targets if name in due.values} - unknown <= set(held)
            assert {each for each in due.possible_errors if each[0] not in unknown} <= failures
            assert failures <= set(due.possible_errors)
            assert run.state == ("failed" if failures else "done")
            assert set(run.failed) == {node_id for node_id, _ in failures}
            assert run.task.executor is not None
            assert (run.task.executor.scheduler.pending, run.task.executor.scheduler.running) == (0, 0)
        check_nothing_left(graph, run)
        close(session)

    together(main())
