"""Events as JSON can hold them (`events.as_record`)."""

from __future__ import annotations

import json
import typing
from base64 import b64decode
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.events import Event, as_record
from comfy_nb.engine.execution.state import Status
from comfy_nb.engine.json_values import DEPTH_MAX, as_json
from comfy_nb.errors import NodeError, Problem, ValidationError
from tests.engine.support import Pack, all_of, made

PROBLEM = Problem("required_input_missing", "Required input is missing", "image", "3", "ImageBlur", "Blur", {"a": 1})
SAMPLES: tuple[Event, ...] = (
    events.RunQueued("run", 1.0),
    events.RunRefused("run", 1.0, ValidationError([PROBLEM], node_errors={"3": {"errors": []}})),
    events.RunStarted("run", 1.0, 5, 2),
    events.NodesAdded("run", 1.0, 3),
    events.NodeStarted("run", 1.0, "3", "3", "ImageBlur", "Blur \ud800", "loop"),
    events.NodeProgress("run", 1.0, "3", float("nan"), float("inf"), 0, 1),
    events.NodePreview("run", 1.0, "3", "jpeg", b"\xff\xd8\xff", 2, 1),
    events.NodeText("run", 1.0, "3", "half done", False),
    events.NodeLog("run", 1.0, "3", "stdout", "hello\n"),
    events.CallFinished("run", 1.0, "3", 0, 2, 0.5),
    events.NodeWaiting("run", 1.0, "3", "waits for a"),
    events.NodeQueued("run", 1.0, "3", "3", "Ask", "Ask", ("gpu",), 2),
    events.PlacesTaken("run", 1.0, "3", ("gpu",), 0.5),
    events.PlacesGivenBack("run", 1.0, "3", ("gpu",)),
    events.NodeFinished("run", 1.0, "3", "ran", 0.5, {"images": [torch.zeros(2, 3), {"n": np.float32(0.5)}]}),
    events.NodeBlocked("run", 1.0, "3", "3", "no image"),
    events.NodeFailed("run", 1.0, "3", "3", NodeError("it broke", node_id="3", class_type="ImageBlur")),
    events.NodeGivenUp("run", 1.0, "4", "4", "3", "waits for ImageBlur (node 3), which failed"),
    events.NodeOverdue("run", 1.0, "3", 2.0),
    events.LoopHeld("run", 1.0, "3", 0.2),
    events.RunFinished("run", 1.0, Status.DONE, 2.0),
)


def test_there_is_a_sample_of_every_kind() -> None:
    assert {type(event) for event in SAMPLES} == set(typing.get_args(Event))


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_every_kind_can_be_written_as_strict_json_and_names_its_class_and_fields(event: Event) -> None:
    record = as_record(event)
    text = json.dumps(record, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == record
    assert record["type"] == type(event).__name__
    assert set(record) == {"type", *event._fields}


def record_of(kind: type) -> dict[str, Any]:
    (record,) = (as_record(event) for event in SAMPLES if type(event) is kind)
    return record


def test_numbers_that_are_not_finite_become_none() -> None:
    record = record_of(events.NodeProgress)
    assert (record["value"], record["total"]) == (None, None)


def test_the_picture_of_a_preview_becomes_base64_text() -> None:
    assert b64decode(record_of(events.NodePreview)["data"]) == b"\xff\xd8\xff"


def test_a_status_becomes_its_plain_text() -> None:
    assert record_of(events.RunFinished)["state"] == "done"
    assert type(record_of(events.RunFinished)["state"]) is str


def test_what_a_node_reports_for_display_keeps_its_lists_and_tensors_become_text() -> None:
    assert record_of(events.NodeFinished)["ui"] == {
        "images": ["Tensor of shape [2, 3], torch.float32", {"n": 0.5}],
    }
    long = {"text": ["x" * 5_000], "numbers": list(range(500))}
    assert as_record(events.NodeFinished("run", 1.0, "3", "ran", 0.5, long))["ui"] == long


def test_a_refusal_lists_the_problems_of_the_graph() -> None:
    error = record_of(events.RunRefused)["error"]
    assert error["type"] == "ValidationError"
    assert error["problems"] == [
        {
            "type": "required_input_missing",
            "message": "Required input is missing",
            "details": "image",
            "node_id": "3",
            "class_type": "ImageBlur",
            "title": "Blur",
            "advice": "",
        }
    ]
    assert error["node_errors"] == {"3": {"errors": []}}


async def test_the_error_of_a_node_names_the_node_and_its_cause(pack: Pack) -> None:
    def fail(self: Any) -> None:
        raise ValueError("too dark")

    pack.node("Dark", fail)
    got: list[Event] = []
    job = pack.graph({"7": made("Dark")}).start()
    job.run.subscribe(got.extend)
    with pytest.raises(NodeError):
        await job
    (error,) = (as_record(event)["error"] for event in got if isinstance(event, events.NodeFailed))
    assert (error["type"], error["node_id"], error["real_node_id"], error["class_type"]) == (
        "NodeError",
        "7",
        "7",
        "Dark",
    )
    assert error["message"] == "Dark (node 7): ValueError: too dark"
    assert error["cause"] == {"type": "ValueError", "message": "too dark"}
    assert 'raise ValueError("too dark")' in "".join(error["traceback"])


@pytest.mark.usefixtures("zoo")
async def test_the_events_of_a_run_can_be_written(pack: Pack) -> None:
    _, got = await all_of(pack.graph({"1": made("Number", value=1), "2": made("Show", n=["1", 0])}))
    lines = [json.dumps(as_record(event), allow_nan=False) for event in got]
    assert [json.loads(line)["type"] for line in lines] == [type(event).__name__ for event in got]


class Rude:
    """An object that raises whatever it is asked."""

    def __repr__(self) -> str:
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError


class RudeDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (2**64 - 1, 2**64 - 1),
        (2**64, "0x10000000000000000"),
        (10**5_000, hex(10**5_000)),
        (Level.HIGH, 3),
        (np.bool_(True), True),
        (np.int8(-3), -3),
        (np.float64("inf"), None),
        ({1: (2, 3)}, {"1": [2, 3]}),
        ({4}, [4]),
        (nb.Graph, "<class 'comfy_nb.graph.model.Graph'>"),
        (Rude(), "<Rude whose repr raised RuntimeError>"),
        (RudeDict(a=1), {"a": 1}),
        (np.datetime64("2024-01-02"), "datetime64 of shape [], datetime64[D]"),
        (OSError(2, "gone"), {"type": "FileNotFoundError", "message": "[Errno 2] gone"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_has_a_form_that_json_can_hold(value: Any, record: Any) -> None:
    assert as_json(value) == record
    json.dumps(record, allow_nan=False)


def test_a_list_that_holds_others_many_times_ends() -> None:
    value: list[Any] = []
    for _ in range(DEPTH_MAX):
        value = [value] * 20
    assert "…" in json.dumps(as_json(value), ensure_ascii=False)


def test_a_list_that_holds_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    text = json.dumps(as_json(endless), ensure_ascii=False)
    assert text == "[" * DEPTH_MAX + '"…"' + "]" * DEPTH_MAX
