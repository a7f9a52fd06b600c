"""The states of nodes, from the events of runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from comfy_nb.engine.events import (
    NodeBlocked,
    NodeFailed,
    NodeFinished,
    NodePreview,
    NodeProgress,
    NodeQueued,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from comfy_nb.ui.graph.states import States


def begun(*ids: str) -> States:
    states = States()
    states.take([RunStarted("r", 0.0, len(ids), 0)], lambda: ids)
    return states


def started(node_id: str, under: str = "") -> NodeStarted:
    return NodeStarted("r", 0.0, node_id, under or node_id, "A", "A", "loop")


def test_what_a_run_needs_waits_then_runs_then_is_done():
    states = begun("1", "2")
    assert states.of("1").state == "waiting" and states.of("3").state == "idle"
    states.take([started("1"), NodeProgress("r", 0.0, "1", 1, 4, 0, 2)])
    assert (states.of("1").state, states.of("1").share) == ("running", 0.125)
    states.take([NodeFinished("r", 0.0, "1", "ran", 0.5, None)])
    assert (states.of("1").state, states.of("1").share) == ("done", None)


@pytest.mark.parametrize("source, state", [("memory", "cached"), ("disk", "cached"), ("shared", "done")])
def test_the_state_shows_where_a_result_came_from(source, state):
    states = begun("1")
    states.take([NodeFinished("r", 0.0, "1", source, 0.0, None)])
    assert states.of("1").state == state


def test_a_node_that_waits_for_a_pool_notes_behind_how_many():
    states = begun("1")
    states.take([NodeQueued("r", 0.0, "1", "1", "A", "A", ("gpu", "ram"), 2)])
    assert (states.of("1").state, states.of("1").note) == ("waiting", "waits for gpu and ram, 2 ahead")
    states.take([started("1")])
    assert (states.of("1").state, states.of("1").note) == ("running", "")


def test_failed_and_blocked_nodes_note_why_and_stay_so():
    states = begun("1", "2")
    states.take([NodeFailed("r", 0.0, "1", "1", ValueError("no"))])
    states.take([NodeBlocked("r", 0.0, "2", "2", "closed"), NodeFinished("r", 0.0, "2", "ran", 0.1, None)])
    assert (states.of("1").state, states.of("1").note) == ("failed", "no")
    assert (states.of("2").state, states.of("2").note) == ("blocked", "closed")


@pytest.mark.parametrize("end, left", [("done", "skipped"), ("failed", "stopped"), ("stopped", "stopped")])
def test_at_the_end_nothing_waits_any_more(end, left):
    states = begun("1", "2")
    states.take([started("1"), RunFinished("r", 0.0, end, 1.0)])
    assert (states.of("1").state, states.of("2").state) == ("stopped", left)


def test_the_nodes_of_an_expansion_show_on_the_node_that_made_them():
    states = begun("1")
    states.take([started("1"), NodeWaiting("r", 0.0, "1", "its expansion"), started("1.2", "1")])
    states.take([NodePreview("r", 0.0, "1.2", "png", b"abc", 1, 1), NodeFinished("r", 0.0, "1.2", "ran", 0.1, None)])
    assert states.of("1").state == "running" and states.of("1").picture == b"abc"
    assert set(states.nodes) == {"1"}


def test_an_edit_makes_stale_until_a_run_that_was_begun_after_it():
    states = begun("1")
    states.mark_stale(["1"])
    assert states.of("1").state == "stale"
    finished = NodeFinished("r", 0.0, "1", "ran", 0.1, None)
    states.take([finished])
    assert states.of("1").state == "stale"
    states.take([RunStarted("r", math.inf, 1, 0), finished])
    assert states.of("1").state == "done"


def test_only_what_looks_different_counts_as_changed():
    states = begun("1")
    states.changed.clear()
    states.take([RunStarted("r", 0.0, 1, 0)], lambda: ["1"])
    assert states.changed == set()


@pytest.mark.parametrize("nonsense", ["a", None, math.nan])
def test_progress_may_be_any_number_and_nonsense_is_passed_over(nonsense):
    states = States()
    states.take([started("1"), NodeProgress("r", 0.0, "1", np.float32(1), np.int64(4), 0, 1)])
    states.take([NodeProgress("r", 0.0, "1", nonsense, 4, 0, 1)])
    assert (states.of("1").share, type(states.of("1").share)) == (0.25, float)
