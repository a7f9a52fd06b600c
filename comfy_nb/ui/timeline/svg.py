"""A run over time as one SVG picture, and as HTML that needs no script.

The picture is in an `<img>`, because viewers strip SVG from the HTML of untrusted notebooks. There it cannot see the
page's theme, so its colours are readable on white and on black.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Sequence
from html import escape

from comfy_nb.engine.execution.coroutines import STALL_S
from comfy_nb.ui.timeline.lines import PADDING_PX, Block, LaneLines, arrange_lanes
from comfy_nb.ui.timeline.spans import LOOP, Spans
from comfy_nb.wording import clip, count, format_seconds

WIDTH, WIDTH_MIN = 960, 640
LEFT, RIGHT, TOP = 92, 12, 26
LINE, WAITING_LINE, GAP = 20, 16, 8
WAITING_BAR = 2
CHARACTER_PX = 6.0
TICKS_MAX = 10
CACHED_MAX = 400
PATH_MAX = 8
REASONS_MAX = 3
LABEL_MAX = 60
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STATE_WORDS = {
    "done": "",
    "running": " so far",
    "failed": ", failed",
    "stopped": ", stopped",
    "cancelled": ", cancelled",
}

STYLE = """
text{font:11px system-ui,sans-serif;fill:#767676}
.in{fill:#fff}.grid{stroke:#888;stroke-opacity:.25}
.loop{fill:#8566c9}.held{fill:#2e1065}.thread,.many{fill:#2f7fbf}
.waiting{fill:#999;fill-opacity:.6}.pause{fill:#999;fill-opacity:.35}.stall{fill:#d64545}.tick{stroke:#7a8a99;stroke-width:1.5}
.failed{fill:#d64545}.stopped,.blocked{fill:#b97a16}.miss{stroke:#b97a16;stroke-width:1.5}
.path{fill:none;stroke:#d98200;stroke-width:2.5}
""".replace("\n", "")


def to_html(spans: Spans) -> str:
    """Return the picture and its summary as HTML under 300 kB."""
    text = escape(summary(spans))
    if not spans.bars and not spans.queued:
        return f'<div class="comfy-nb-timeline">{text}</div>'
    picture = base64.b64encode(to_svg(spans).encode()).decode()
    style = f"width:100%;min-width:{WIDTH_MIN}px;max-width:{WIDTH}px"
    image = f'<img src="data:image/svg+xml;base64,{picture}" alt="timeline: {text}" style="{style}">'
    words = f'<div style="font-size:90%">{text}</div>'
    return f'<div class="comfy-nb-timeline"><div style="overflow-x:auto">{image}</div>{words}</div>'


def summary(spans: Spans) -> str:
    """Describe in a sentence how long the run took, and its critical path."""
    took = f"{format_seconds(spans.seconds)}{STATE_WORDS[spans.state]}"
    if not spans.bars:
        return f"{took}, all from the cache{_blocked(spans)}" if spans.ticks else f"{took}{_blocked(spans)}"
    titles = {bar.node_id: bar.name for bar in spans.bars}
    path = [titles[node_id] for node_id in spans.critical]
    shown = path if len(path) <= PATH_MAX else [*path[:3], f"… {len(path) - 6} more …", *path[-3:]]
    text = f"{took}{_blocked(spans)}"
    if path:
        text += f"; critical path, {format_seconds(spans.critical_seconds)}: {' → '.join(shown)}"
    stalled = sum(span.seconds for bar in spans.bars for span in bar.stalls)
    return f"{text}; the loop was blocked for {format_seconds(stalled)}" if stalled else text


def _blocked(spans: Spans) -> str:
    gave = [(words.partition(": ")[2], number) for words, number in spans.output_reasons]
    words = ""
    if gave:
        words += f"; what {count(len(spans.blocked_outputs), 'node')} gave is blocked{_in_brackets(gave)}"
    if spans.blocked:
        words += f"; {count(len(spans.blocked), 'node')} blocked{_in_brackets(spans.reasons)}"
    return words


def _in_brackets(reasons: Sequence[tuple[str, int]]) -> str:
    """Return why nodes are blocked, with the number of nodes of each reason where there are several."""
    if len(reasons) == 1:
        return f" ({reasons[0][0]})" if reasons[0][0] else ""
    shown = [f"{number:,}: {reason or 'no reason given'}" for reason, number in reasons[:REASONS_MAX]]
    return f" ({'; '.join([*shown, *(['…'] if len(reasons) > REASONS_MAX else [])])})"


def to_svg(spans: Spans) -> str:
    """Return the picture as an SVG document."""
    drawing = Drawing(spans)
    body = "".join(drawing.parts())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {drawing.height:.0f}" '
        f'width="{WIDTH}" height="{drawing.height:.0f}"><style>{STYLE}</style>{body}</svg>'
    )


class Drawing:
    """Draws the picture from top to bottom; its `height` is known once it is drawn."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._seconds = max(spans.seconds, 1e-4)
        self._px = (WIDTH - LEFT - RIGHT) / self._seconds
        self._critical = set(spans.critical)
        self._lanes = arrange_lanes(spans, 1 / self._px, CHARACTER_PX)
        self.height: float = TOP

    def parts(self) -> Iterator[str]:
        """Yield the elements of the picture."""
        body = [part for lane in self._lanes for part in self._lane(lane)]
        body += self._strip("stalls", list(self._stalls())) + self._strip("blocked", list(self._blocked_nodes()))
        body += self._strip("from cache", list(self._ticks()))
        yield from self._axis()
        yield from body
        yield from self._legend()

    def _x(self, seconds: float) -> float:
        return round(LEFT + min(max(seconds, 0.0), self._seconds) * self._px, 1)

    def _axis(self) -> Iterator[str]:
        step = _round_step(self._seconds / TICKS_MAX)
        for number in range(int(self._seconds / step) + 1):
            x = self._x(number * step)
            yield f'<path class="grid" d="M{x} {TOP - 8}V{self.height:.0f}"/>'
            yield f'<text x="{x}" y="{TOP - 12}" text-anchor="middle">{_clock(number * step, step)}</text>'

    def _lane(self, lane: LaneLines) -> Iterator[str]:
        height = WAITING_LINE if lane.name == "waiting" else LINE
        yield _text(4, self.height + height - 6, lane.name)
        for line in lane.lines:
            for block in line:
                yield from self._block(block, self.height, height - 3)
            self.height += height
        if lane.left_out:
            yield _text(LEFT, self.height + 10, f"{lane.left_out:,} more at the same time")
            self.height += 14
        self.height += GAP

    def _block(self, block: Block, y: float, height: float) -> Iterator[str]:
        bar = block.bar
        x, end = self._x(block.start), self._x(block.end)
        width = max(end - x, 1.0)
        state = bar.state if bar.state in ("failed", "blocked", "stopped") and block.kind != "waiting" else ""
        if block.kind == "waiting":  # thin, below its words, which stand on the page in whatever theme
            yield _rect(block.kind, x, y + height - WAITING_BAR, width, WAITING_BAR)
        else:
            yield _rect(state or block.kind, x, y, width, height)
        if block.kind in ("loop", "thread"):
            yield from self._inside(block, y, height)
        if block.kind != "waiting" and block.kind != "many" and bar.node_id in self._critical:
            yield _rect("path", x, y, width, height)
        if width > 3 and block.label:
            is_inside = len(block.label) * CHARACTER_PX + PADDING_PX < width
            colour = "in" if is_inside and block.kind != "waiting" else ""
            if is_inside or block.kind != "thread":
                yield _text((x if is_inside else end) + 4, y + height - 5, block.label, colour)

    def _inside(self, block: Block, y: float, height: float) -> Iterator[str]:
        """Draw the waits of a bar, and the spans in which it held the loop."""
        for kind, spans in (("pause", block.bar.waits), ("held", block.bar.held)):
            merged_until = -1.0
            for span in spans:
                x, end = self._x(max(span.start, block.start)), self._x(min(span.end, block.end))
                if end >= x and end > merged_until:
                    is_stall = kind == "held" and span.seconds >= STALL_S
                    yield _rect("stall" if is_stall else kind, x, y, max(end - x, 1.0), height)
                    merged_until = end + 0.5

    def _strip(self, name: str, marks: Sequence[str]) -> list[str]:
        if not marks:
            return []
        label = _text(4, self.height + WAITING_LINE - 3, name)
        self.height += WAITING_LINE + GAP
        return [label, *marks]

    def _stalls(self) -> Iterator[str]:
        for bar in self._spans.bars:
            for span in bar.stalls:
                x = self._x(span.start)
                yield _rect("stall", x, self.height + 2, max(self._x(span.end) - x, 2.0), WAITING_LINE - 4)
                yield _text(self._x(span.end) + 5, self.height + WAITING_LINE - 2, format_seconds(span.seconds))

    def _blocked_nodes(self) -> Iterator[str]:
        yield from self._marks("miss", [each.time for each in self._spans.blocked], f"{len(self._spans.blocked):,}")

    def _ticks(self) -> Iterator[str]:
        yield from self._marks("tick", [each.time for each in self._spans.ticks], f"{len(self._spans.ticks):,}")

    def _marks(self, kind: str, times: Sequence[float], words: str) -> Iterator[str]:
        places = sorted({self._x(time) for time in times})
        for x in places[:CACHED_MAX]:
            yield f'<path class="{kind}" d="M{x} {self.height + 1:.0f}v{WAITING_LINE - 3}"/>'
        if places:
            yield _text(places[-1] + 5, self.height + WAITING_LINE - 3, words)

    def _legend(self) -> Iterator[str]:
        bars = self._spans.bars
        shown = {
            "loop": ("awaiting", any(bar.lane == LOOP for bar in bars)),
            "held": ("on the loop", any(bar.held for bar in bars)),
            "thread": ("on a thread", any(bar.lane != LOOP for bar in bars)),
            "waiting": (
                "waiting",
                any(lane.name == "waiting" for lane in self._lanes) or any(bar.waits for bar in bars),
            ),
            "stall": ("loop stalled", any(bar.stalls for bar in bars)),
            "path": ("critical path", bool(self._critical)),
        }
        x, y = float(LEFT), self.height
        for kind, (words, is_there) in shown.items():
            if is_there:
                yield _rect(kind, x, y, 14, 10)
                yield _text(x + 18, y + 9, words)
                x += 30 + len(words) * CHARACTER_PX
        self.height += 18


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:.4g}" height="{height:g}" rx="2"/>'


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    shown = NOT_XML.sub("�", clip(words, LABEL_MAX))
    return f'<text x="{x:g}" y="{y:g}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{escape(shown)}</text>'


def _round_step(at_least: float) -> float:
    power = 10.0 ** math.floor(math.log10(at_least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= at_least * 0.999)


def _clock(seconds: float, step: float) -> str:
    if step < 0.001:
        return f"{seconds * 1e6:g} µs"
    return f"{seconds * 1e3:g} ms" if step < 0.1 else f"{round(seconds, 3):g} s"
