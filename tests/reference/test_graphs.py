"""The random prompts are valid, do not depend on the order in which nodes run, and use every feature."""

from __future__ import annotations

from collections import Counter
from graphlib import TopologicalSorter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from comfy_nb.engine.node_api.context import ExecutionBlocker
from tests.reference.classes import make_classes
from tests.reference.evaluator import Outcome, comparable, evaluate, is_link
from tests.reference.graphs import (
    CLASSES,
    Edit,
    Prompt,
    edited_prompts,
    is_declared,
    prompts,
    type_of,
    with_edit,
)

pytestmark = pytest.mark.long

SEEDS = range(10)  # a single seed makes many similar graphs
PROMPTS_PER_SEED = 40
SAMPLE_SIZE = len(SEEDS) * PROMPTS_PER_SEED
PYTHON_TYPES = {"INT": int, "STRING": str, "INTS": dict}
Drawn = tuple[Prompt, list[str] | None]

sampled = settings(
    max_examples=PROMPTS_PER_SEED,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def sample() -> list[tuple[Prompt, list[str] | None, Outcome, Counter[str]]]:
    """The same few hundred prompts each time, their outcomes, and the number of calls of each class."""
    runs = []

    def collect(drawn: Drawn) -> None:
        calls: Counter[str] = Counter()
        runs.append((*drawn, evaluate(drawn[0], make_classes(calls), drawn[1]), calls))

    for number in SEEDS:
        seed(number)(sampled(given(prompts())(collect)))()
    return runs


def links_of(node: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [(name, value) for name, value in node["inputs"].items() if is_link(value)]


def sources_first(prompt: Prompt) -> list[str]:
    """Return the ids in an order in which each node comes after all nodes that it links to, lazily or not."""
    sources = {node_id: [link[0] for _, link in links_of(node)] for node_id, node in prompt.items()}
    return list(TopologicalSorter(sources).static_order())


@given(prompts())
def test_prompts_are_valid(drawn: Drawn) -> None:
    prompt, wanted = drawn
    sources_first(prompt)
    assert set(wanted or []) <= set(prompt)
    for node in prompt.values():
        class_type = node["class_type"]
        assert set(CLASSES[class_type].INPUT_TYPES()["required"]) <= set(node["inputs"])
        for name, value in node["inputs"].items():
            if not is_declared(class_type, name):
                assert class_type == "Variadic"
            elif is_link(value):
                source_class = CLASSES[prompt[value[0]]["class_type"]]
                assert source_class.RETURN_TYPES[value[1]] == type_of(class_type, name)
            else:
                assert type(value) is PYTHON_TYPES[type_of(class_type, name)]


@settings(deadline=None)
@given(prompts())
def test_values_do_not_depend_on_the_order_in_which_nodes_run(drawn: Drawn) -> None:
    prompt, wanted = drawn
    as_needed = evaluate(prompt, make_classes(), wanted)
    all_there = evaluate(prompt, make_classes(), sources_first(prompt))
    for node_id, slots in as_needed.values.items():
        assert comparable(slots) == comparable(all_there.values[node_id])
    assert set(as_needed.possible_errors) <= set(all_there.possible_errors)
    assert set(as_needed.blocked) <= set(all_there.blocked)


@settings(deadline=None, max_examples=30)
@given(prompts())
def test_a_prompt_has_the_same_outcome_each_time(drawn: Drawn) -> None:
    prompt, wanted = drawn
    once, again = (evaluate(prompt, make_classes(), wanted) for _ in range(2))
    assert comparable(once.values) == comparable(again.values)
    assert (once.ui, once.blocked, once.possible_errors) == (again.ui, again.blocked, again.possible_errors)


@given(edited_prompts())
def test_an_edit_changes_one_constant_to_another_of_its_type(
    drawn: tuple[Prompt, list[str] | None, list[Edit]],
) -> None:
    prompt, _, edits = drawn
    for edit in edits:
        node_id, name, value = edit
        changed = with_edit(prompt, edit)
        assert changed[node_id]["inputs"][name] == value
        assert type(value) is type(prompt[node_id]["inputs"][name])
        changed[node_id]["inputs"][name] = prompt[node_id]["inputs"][name]
        assert changed == prompt


def test_every_class_of_the_zoo_is_called(sample: Any) -> None:
    assert {name for *_, calls in sample for name in calls} == set(CLASSES)


def test_lazy_inputs_are_sometimes_skipped_and_sometimes_used(sample: Any) -> None:
    seen: Counter[Any] = Counter()
    for prompt, _, outcome, _ in sample:
        for node_id, node in prompt.items():
            if node["class_type"] in ("Switch", "ListSwitch", "AsyncSwitch", "Stages") and node_id in outcome.values:
                seen.update(link[0] in outcome.values for _, link in links_of(node))
    assert seen[True] > 20
    assert seen[False] > 10


def test_errors_are_rare_but_a_graph_may_have_several(sample: Any) -> None:
    failed = [outcome for _, _, outcome, _ in sample if outcome.error]
    assert SAMPLE_SIZE * 0.01 < len(failed) < SAMPLE_SIZE * 0.2
    assert {kind for outcome in failed for _, kind in outcome.possible_errors} >= {
        "ValueError",
        "LookupError",
    }
    assert any(len(outcome.possible_errors) > 1 for outcome in failed)


def test_blockers_occur_with_and_without_a_message(sample: Any) -> None:
    assert sum(bool(outcome.blocked) for _, _, outcome, _ in sample) > SAMPLE_SIZE * 0.03
    slots = [slot for _, _, outcome, _ in sample for slots in outcome.values.values() for slot in slots]
    messages = {item.message for slot in slots for item in slot if isinstance(item, ExecutionBlocker)}
    assert {None, "stop"} <= messages


def test_lists_of_different_lengths_meet_in_one_node(sample: Any) -> None:
    def lengths_met(node: dict[str, Any], outcome: Outcome) -> set[int]:
        slots = [(outcome.values.get(link[0], []), link[1]) for _, link in links_of(node)]
        return {len(found[slot]) for found, slot in slots if -len(found) <= slot < len(found)}

    met = [lengths_met(node, outcome) for prompt, _, outcome, _ in sample for node in prompt.values()]
    assert sum(len(lengths - {1}) > 1 for lengths in met) > 3


def test_graphs_share_parents_repeat_nodes_and_count_slots_from_the_end(sample: Any) -> None:
    seen: Counter[Any] = Counter()
    for prompt, _, _, _ in sample:
        sources = [link[0] for node in prompt.values() for _, link in links_of(node)]
        seen["shared"] += len(set(sources)) < len(sources)
        seen["equal"] += len({repr(node) for node in prompt.values()}) < len(prompt)
        seen["negative"] += any(link[1] < 0 for node in prompt.values() for _, link in links_of(node))
    assert min(seen["shared"], seen["equal"], seen["negative"]) > SAMPLE_SIZE * 0.1


def test_expansions_show_and_recurse(sample: Any) -> None:
    shown = [node_id for _, _, outcome, _ in sample for node_id in outcome.ui if node_id.endswith(".show")]
    deepest = max(calls["Countdown"] for *_, calls in sample)
    assert len(shown) > 3
    assert deepest >= 4


def test_targets_are_sometimes_given_and_sometimes_not(sample: Any) -> None:
    given_ones = sum(wanted is not None for _, wanted, _, _ in sample)
    assert SAMPLE_SIZE * 0.2 < given_ones < SAMPLE_SIZE * 0.95
