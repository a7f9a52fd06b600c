"""The messages that a front end receives of a run, made from snapshots."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from comfy_nb.engine.events import NodeBlocked, NodeLog, NodeText, NodeWaiting
from comfy_nb.errors import NodeError
from comfy_nb.ui.render.tracebacks import MESSAGE_MAX, report_error
from comfy_nb.ui.run.messages import AGAIN_S, EVERY_S, MessageEncoder
from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.snapshot import Row, RunSnapshot
from tests.ui.scripted import RUN, all_cached, done, failed, finished, jpeg, node, preview, progress, started

MESSAGE_MAX_BYTES = 8_000


def snapshot_of(*events) -> RunSnapshot:
    model = RunModel()
    model.apply(events)
    return model.snapshot()


def message_of(snapshot: RunSnapshot, now: float = 2.0) -> dict:
    return MessageEncoder().encode(snapshot, now, is_asked=True)


def only_row(*events) -> dict:
    (row,) = message_of(snapshot_of(started(), *events))["rows"]
    return row


def part_of(message: dict, name: str):
    (row,) = message["rows"]
    return message["parts"].get(row[name])


def raised(message: str = "no such layer") -> NodeError:
    def look_up() -> None:
        raise LookupError(message)

    try:
        look_up()
    except LookupError as cause:
        error = NodeError(f"LookupError: {message}", node_id="3", class_type="LoadLora", inputs={"strength": 0.8})
        error.__cause__ = cause
    return error


def test_a_row_has_its_name_state_time_and_progress_in_words():
    row = only_row(node("3", title="Soften"), progress("3", 1_200, 2_000))
    assert (row["title"], row["kind"], row["state"], row["glyph"]) == ("Soften", "ImageBlur", "running", "▶")
    assert (row["steps"], row["percent"], row["fraction"], row["time"]) == ("1,200/2,000", "60 %", 0.6, "2.0 s")


def test_a_node_that_began_is_at_nought_and_one_without_a_total_is_nowhere():
    assert only_row(node("3"), progress("3", 0, 20))["fraction"] == 0
    assert "fraction" not in only_row(node("3"))


def test_list_calls_are_counted_from_one():
    assert only_row(node("3"), progress("3", 1, 2, index=2, calls=8))["calls"] == "3 of 8"


def test_a_running_node_is_never_at_a_hundred_percent_before_it_is():
    assert only_row(node("3"), progress("3", 999, 1_000))["percent"] == "99 %"


def test_why_a_node_waits_or_was_skipped_is_its_note():
    waiting = only_row(node("3"), NodeWaiting(RUN, 1, "3", "is called again in 2 s"))
    blocked = only_row(node("3"), NodeBlocked(RUN, 1, "3", "3", "the mask is empty"), done("3"))
    assert (waiting["state"], waiting["note"]) == ("waiting", "is called again in 2 s")
    assert (blocked["state"], blocked["note"]) == ("blocked", "the mask is empty")


def test_children_of_an_expansion_are_marked():
    parent, child = message_of(snapshot_of(started(), node("3"), node("3.1", under="3")))["rows"]
    assert child["child"] and "child" not in parent


def test_the_head_counts_and_says_how_long_it_may_still_take():
    snapshot = snapshot_of(*all_cached(2), started(4, 2), node("1"), done("1"), node("2"), progress("2", 10, 20))
    head = message_of(replace(snapshot, eta=8.2, failed=1))["head"]
    assert (head["state"], head["counts"], head["cached"]) == ("running", "3 of 6 nodes", "2 cached")
    assert (head["failed"], head["left"], head["time"]) == ("1 failed", "about 9 s left", "2.0 s")
    assert (head["fraction"], head["kept"]) == (0.5833, 0.3333)


def test_a_run_that_is_to_stop_says_so_until_it_has():
    snapshot = replace(snapshot_of(started(), node("1")), stopping=True, eta=3.0)
    head = message_of(snapshot)["head"]
    assert head["state"] == "stopping" and "left" not in head
    assert message_of(replace(snapshot, state="stopped", seconds=1.0))["head"]["state"] == "stopped"


def test_a_run_from_the_cache_is_one_line():
    message = message_of(snapshot_of(*all_cached(4), started(0, 4), finished(seconds=0.002)))
    assert message["head"]["counts"] == "4 nodes from cache" and message["rows"] == []


@pytest.mark.parametrize(
    ("who", "advice"),
    [('"Slow" (node 3, Sleeper)', "Make it a plain function"), ("a cell or a callback", "until it ends or awaits")],
)
def test_a_blocked_loop_is_reported_with_its_blocker_and_what_to_do(who, advice):
    blocked = message_of(replace(snapshot_of(started(), node("3")), loop_blocked=(who, 2.3)))["head"]["blocked"]
    assert blocked.startswith("Event loop blocked for 2.30 s by") and who in blocked and advice in blocked


def test_a_picture_is_sent_once():
    snapshot = snapshot_of(started(), node("1"), preview("1", jpeg()))
    encoder = MessageEncoder()
    first = encoder.encode(snapshot, 1.0, is_asked=False)
    second = encoder.encode(snapshot, 1.1, is_asked=False)
    assert part_of(first, "picture") == jpeg()
    assert second["parts"] == {} and second["rows"][0]["picture"] == first["rows"][0]["picture"]


def test_a_node_that_does_not_hear_stop_is_reported_with_what_helps_then():
    snapshot = replace(snapshot_of(started(), node("3")), loop_blocked=("Greedy (node 3)", 7.0), stopping=True)
    blocked = message_of(snapshot)["head"]["blocked"]
    assert blocked.startswith("Event loop blocked for 7.00 s by Greedy (node 3)") and "restart the kernel" in blocked


def test_a_picture_that_has_gone_and_comes_again_is_sent_again():
    with_picture = snapshot_of(started(), node("1"), preview("1", jpeg()))
    without = snapshot_of(started(), node("1"))
    encoder = MessageEncoder()
    for snapshot in (with_picture, without):
        encoder.encode(snapshot, 1.0, is_asked=False)
    assert part_of(encoder.encode(with_picture, 1.1, is_asked=False), "picture") == jpeg()


def test_a_front_end_that_asks_is_sent_everything_and_once_more_a_little_later():
    snapshot = snapshot_of(started(), node("1"), preview("1", jpeg()))
    encoder = MessageEncoder()
    times = (0.0, 0.1, AGAIN_S + 0.01, AGAIN_S + 0.1, AGAIN_S + EVERY_S + 0.1)
    sent = [bool(encoder.encode(snapshot, now, is_asked=now == 0)["parts"]) for now in times]
    assert sent == [True, False, True, False, True]


def test_twelve_rows_without_pictures_are_a_small_message():
    events = [each for number in range(20) for each in (node(str(number), title="A node with a fairly long title"),)]
    moves = [progress(str(number), 100, 1_000, index=3, calls=8) for number in range(20)]
    waits = [NodeWaiting(RUN, 1, str(number), "is called again in 2 s: attempt 2 of 4 failed") for number in range(6)]
    message = message_of(snapshot_of(started(20), *events, *moves, *waits))
    assert len(message["rows"]) == 12
    assert len(json.dumps(message, ensure_ascii=False).encode()) < MESSAGE_MAX_BYTES


def test_text_and_log_are_parts_and_the_log_has_its_lines_counted():
    log = NodeLog(RUN, 1, "1", "stdout", "one\ntwo\n")
    message = message_of(snapshot_of(started(), node("1"), NodeText(RUN, 1, "1", "a bridge in the rain\n", False), log))
    assert part_of(message, "text") == "a bridge in the rain"
    assert part_of(message, "log") == "one\ntwo" and message["rows"][0]["log_label"] == "log, 2 lines"


def test_terminal_colours_and_overwritten_lines_are_taken_out_of_the_log():
    log = NodeLog(RUN, 1, "1", "stderr", "\x1b[31mred\x1b[0m\r\n10%\r50%\r100%\r\nend")
    assert part_of(message_of(snapshot_of(started(), node("1"), log)), "log") == "red\n100%\nend"


def test_text_that_is_not_unicode_becomes_question_marks():
    events = (NodeText(RUN, 1, "1", "a file \udcff", False), NodeLog(RUN, 1, "1", "stdout", "\ud800"))
    message = message_of(snapshot_of(started(), node("1", title="\ud800"), *events, failed("1", raised("\ud800"))))
    json.dumps(message, ensure_ascii=False).encode()
    assert part_of(message, "text") == "a file ?"


def test_a_failure_comes_with_its_message_traceback_and_inputs():
    message = message_of(snapshot_of(started(), node("3"), failed("3", raised())))
    report = part_of(message, "error")
    assert report["message"] == "LookupError: no such layer" and report["node"] == "LoadLora (node 3)"
    assert "look_up" in report["traceback"] and "strength = 0.8" in report["traceback"]
    assert "note" not in message["rows"][0]


def test_an_error_outside_nodes_is_reported_with_its_traceback():
    try:
        raise OSError("disk full")
    except OSError as error:
        report = report_error(error)
    assert report.message == "OSError: disk full" and "test_messages.py" in report.traceback


def test_an_endless_message_keeps_its_beginning_and_end():
    report = report_error(raised("first" + "x" * 100_000 + "last"))
    assert report.message.startswith("LookupError: first") and report.message.endswith("last")
    assert len(report.message) < MESSAGE_MAX + 10


def test_rows_of_several_runs_with_the_same_ids_are_told_apart():
    row = Row("1", "Soften", "ImageBlur", "running", 0.0)
    rows = tuple(replace(row, run=run) for run in (1, 2, 3))
    keys = [each["key"] for each in message_of(replace(snapshot_of(started()), rows=rows))["rows"]]
    assert len(set(keys)) == 3
    later = message_of(replace(snapshot_of(started()), rows=rows[1:]))["rows"]
    assert [each["key"] for each in later] == keys[1:], "a row keeps its key when another one is folded away"
