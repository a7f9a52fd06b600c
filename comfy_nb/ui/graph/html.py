"""A scene as a still picture and a list of its nodes: what a saved notebook keeps; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from comfy_nb.ui.graph.colours import colour_of
from comfy_nb.ui.graph.scene import HEAD, ROW, WIDTH, Scene, SceneLink, SceneNode
from comfy_nb.ui.render.style import COLOURS, FAINT
from comfy_nb.wording import clip, count, encodable

FAULTS_MAX = 4
TITLES_MAX = 400
NODES_MAX = 3_000
LINKS_MAX = 1_500
LISTED_MAX = 200
LINE_MAX = 160
FAULT_MAX = 4_000
BYTES_MAX = 290_000

Box = tuple[float, float, float, float]


def to_html(scene: Scene, states: Mapping[str, str]) -> str:
    """Return a laid-out scene as HTML of less than 300 kB: the picture, what is missing, and the list of nodes."""
    html = _page(scene, states, TITLES_MAX, LISTED_MAX)
    if len(html.encode()) > BYTES_MAX:
        html = _page(scene, states, 0, 0)
    if len(html.encode()) > BYTES_MAX:
        html = f'<div class="comfy-nb-graph">{headline(scene)}: too large for a still picture</div>'
    return html


def _page(scene: Scene, states: Mapping[str, str], titles_max: int, listed_max: int) -> str:
    lines_of_faults = [escape(encodable(clip(fault, FAULT_MAX))) for fault in scene.faults[:listed_max]]
    missing = [f'<div style="color:{COLOURS["failed"]}">{line}</div>' for line in lines_of_faults]
    rest = len(missing) - FAULTS_MAX
    faults = "".join(missing[:FAULTS_MAX])
    if rest > 0:
        faults += f"<details><summary>{rest} more</summary>{''.join(missing[FAULTS_MAX:])}</details>"
    lines = "".join(f"<li>{_text(line)}</li>" for line in as_lines(scene, states, listed_max))
    named = f"<details><summary>{headline(scene)}</summary><ol>{lines}</ol></details>"
    picture = _svg(scene, states, titles_max)
    return f'<div class="comfy-nb-graph">{picture}{faults}<div style="{FAINT}">{named}</div></div>'


def headline(scene: Scene) -> str:
    """Return how many nodes and links there are, in a line."""
    nodes, links = len(scene.nodes), len(scene.links)
    return f"{count(nodes, 'node')}, {count(links, 'link')}"


def as_lines(scene: Scene, states: Mapping[str, str], most: int = LISTED_MAX) -> list[str]:
    """Return the first `most` nodes with state and inputs, a line each."""
    feeds: dict[str, list[SceneLink]] = {}
    for link in scene.links:
        feeds.setdefault(link.target, []).append(link)
    lines = []
    for node in list(scene.nodes.values())[:most]:
        parts = [
            f"{node.inputs[link.place].name} from {scene.nodes[link.source].title}" for link in feeds.get(node.id, ())
        ]
        for field in node.fields:
            value = " ".join(str(field.value)[:60].split())
            parts.append(f"{field.name} = {value}" if field.name else value)
        state = states.get(node.id, "idle")
        note = f" ({state})" if state != "idle" else ""
        lines.append(clip(f"#{node.id} {node.title}{note}" + (": " if parts else "") + ", ".join(parts), FAULT_MAX))
    more = len(scene.nodes) - most
    return [*lines, f"… and {more:,} more"] if more > 0 else lines


def _svg(scene: Scene, states: Mapping[str, str], titles_max: int) -> str:
    if not scene.nodes:
        return '<div style="opacity:.7">an empty graph</div>'
    x, y, width, height = bounds(scene)
    size = f"width:100%;max-width:{max(min(width, 1100), 240):.0f}px;max-height:560px"
    head = f'<svg role="img" aria-label="{headline(scene)}" viewBox="{x:.0f} {y:.0f} {width:.0f} {height:.0f}"'
    parts = [*_groups(scene), *_links(scene), *_nodes(scene, states, titles_max)]
    return f'{head} style="{size}" font-family="system-ui,sans-serif" font-size="13">{"".join(parts)}</svg>'


def bounds(scene: Scene) -> Box:
    """Return the bounding box of a laid-out scene, with a margin."""
    boxes = [_box(node) for node in scene.nodes.values()] + [group.box for group in scene.groups]
    boxes += [(x, y, WIDTH, 0.0) for link in scene.links for x, y in link.via]
    left, top = (min(box[at] for box in boxes) - 20 for at in (0, 1))
    return (
        left,
        top,
        max(box[0] + box[2] for box in boxes) + 20 - left,
        max(box[1] + box[3] for box in boxes) + 20 - top,
    )


def _box(node: SceneNode) -> Box:
    assert node.box is not None, "the scene is laid out"
    return node.box


def _groups(scene: Scene) -> Iterator[str]:
    for group in scene.groups[:100]:
        x, y, width, height = group.box
        place = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}"'
        yield f'<rect {place} rx="6" fill="rgba(128,128,128,.08)" stroke="rgba(128,128,128,.4)"/>'
        title = _text(clip(group.title, 60))
        yield f'<text x="{x + 10:.0f}" y="{y + 20:.0f}" fill="currentColor" opacity=".6">{title}</text>'


def _links(scene: Scene) -> Iterator[str]:
    by_type: dict[str, list[str]] = {}
    for link in scene.links[:LINKS_MAX]:
        source, target = _box(scene.nodes[link.source]), _box(scene.nodes[link.target])
        x, y = source[0] + source[2], _row(source, link.slot)
        to_x, to_y = target[0], _row(target, link.place)
        path = f"M{x:.0f} {y:.0f}"
        for lane_x, lane_y in link.via:
            path += f"{_curve(x, y, lane_x, lane_y)}h{WIDTH}"
            x, y = lane_x + WIDTH, lane_y
        by_type.setdefault(link.type, []).append(path + _curve(x, y, to_x, to_y))
    for kind, paths in by_type.items():
        yield f'<path d="{"".join(paths)}" fill="none" stroke="{colour_of(kind)}" stroke-width="2"/>'


def _row(box: Box, place: int) -> float:
    """Return the y of a slot; a folded node has all of them in its head."""
    return box[1] + (HEAD + (place + 0.5) * ROW if box[3] > HEAD else HEAD / 2)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = max(abs(to_x - x) / 2, 30)
    return f"C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"


def _nodes(scene: Scene, states: Mapping[str, str], titles_max: int) -> Iterator[str]:
    """Draw the nodes with their titles; in a large graph only the boxes, by state."""
    nodes = list(scene.nodes.values())[:NODES_MAX]
    if len(nodes) <= titles_max:
        yield from (_node(node, states.get(node.id, "idle")) for node in nodes)
        return
    by_state: dict[str, list[str]] = {}
    for node in nodes:
        x, y, width, height = _box(node)
        path = f"M{x:.0f} {y:.0f}h{width:.0f}v{height:.0f}h{-width:.0f}z"
        by_state.setdefault(states.get(node.id, "idle"), []).append(path)
    for state, paths in by_state.items():
        yield f'<path d="{"".join(paths)}" fill="{COLOURS.get(state, COLOURS["waiting"])}" fill-opacity=".5"/>'


def _node(node: SceneNode, state: str) -> str:
    x, y, width, height = _box(node)
    edge = COLOURS["failed"] if node.fault else COLOURS.get(state, COLOURS["waiting"])
    place = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}"'
    dash = ' stroke-dasharray="5 4"' if node.fault or node.mode != "active" or state == "stale" else ""
    title = _text(clip(node.title, max(int(width / 8), 4)))
    return (
        f'<g><rect {place} rx="6" fill="rgba(128,128,128,.14)" stroke="{edge}" stroke-width="1.5"{dash}/>'
        f'<text x="{x + 10:.0f}" y="{y + 20:.0f}" fill="currentColor">{title}</text></g>'
    )


def _text(text: str) -> str:
    """Return text as HTML: clipped, with lone surrogates replaced."""
    return escape(encodable(clip(text, LINE_MAX)))
