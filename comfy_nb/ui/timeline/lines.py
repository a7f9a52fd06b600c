"""Arrange bars on lines: bars of a lane that overlap stand below each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace
from typing import Literal

from comfy_nb.ui.timeline.spans import LOOP, NOTICEABLE_S, Bar, Span, Spans

LINES_MAX = 40
WAITING_LINES_MAX = 12
PADDING_PX = 8.0

BlockKind = Literal["loop", "thread", "waiting", "many"]


@dataclass
class Block:
    """One rectangle: a bar, one of its calls, its waiting, or `count` bars too narrow to draw one by one."""

    kind: BlockKind
    start: float
    end: float
    bar: Bar
    label: str = ""
    count: int = 1


@dataclass
class LaneLines:
    """A lane's lines from top to bottom; `left_out` counts the blocks that found no room."""

    name: str
    lines: list[list[Block]]
    left_out: int = 0


def arrange_lanes(spans: Spans, seconds_per_px: float, label_px: float) -> list[LaneLines]:
    """Arrange a run at a scale; `label_px` is the width of a character in a label."""
    lanes = []
    for lane in spans.lanes:
        blocks = [block for bar in spans.bars if bar.lane == lane for block in _blocks(bar)]
        lanes.append(_arranged(_title(lane), blocks, LINES_MAX, seconds_per_px, label_px))
    waiting = [
        Block("waiting", bar.ready, bar.start, bar, f"{bar.name} for {bar.waited_for}" if bar.waited_for else bar.name)
        for bar in (*spans.bars, *spans.queued)
        if bar.waited > NOTICEABLE_S
    ]
    if waiting:
        lanes.append(_arranged("waiting", waiting, WAITING_LINES_MAX, seconds_per_px, label_px))
    return lanes


def _title(lane: str) -> str:
    return "event loop" if lane == LOOP else lane.removeprefix("comfy-nb-").replace("lane", "thread")


def _blocks(bar: Bar) -> list[Block]:
    kind: BlockKind = "loop" if bar.lane == LOOP else "thread"
    calls = bar.calls or [Span(bar.start, bar.end)]
    return [Block(kind, call.start, call.end, bar, f"{bar.name} {call.note}".rstrip()) for call in calls]


def _arranged(name: str, blocks: Sequence[Block], lines_max: int, seconds_per_px: float, label_px: float) -> LaneLines:
    """Put each block, with its label, on the first free line; narrow neighbours become one."""
    lines: list[list[Block]] = []
    free: list[tuple[float, int]] = []
    left_out = 0
    for block in sorted(blocks, key=lambda block: (block.start, -block.end)):
        # a thread's blocks follow each other closely, so a label that does not fit is left out
        label_s = (len(block.label) * label_px + PADDING_PX) * seconds_per_px
        has_label_beside = block.kind != "thread" and seconds_per_px < block.end - block.start < label_s
        until = block.end + label_s if has_label_beside else block.end
        if free and free[0][0] <= block.start:
            _put(lines[free[0][1]], block, seconds_per_px)
            heapreplace(free, (until, free[0][1]))
        elif len(lines) < lines_max:
            lines.append([block])
            heappush(free, (until, len(lines) - 1))
        else:
            left_out += 1
    return LaneLines(name, lines, left_out)


def _put(line: list[Block], block: Block, seconds_per_px: float) -> None:
    last = line[-1]
    is_narrow = max(last.end, block.end) - last.start < 2 * seconds_per_px
    if is_narrow and last.kind in ("many", block.kind):
        line[-1] = Block("many", last.start, max(last.end, block.end), last.bar, count=last.count + 1)
    else:
        line.append(block)
