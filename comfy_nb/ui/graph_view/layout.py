"""Where the nodes of a scene go: columns from left to right in the order of the links; no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from comfy_nb.ui.graph_view.scene import ROW, WIDTH, Scene, SceneLink

GAP_X, GAP_Y, GAP_PARTS = 90.0, 26.0, 60.0
SWEEPS = 12
WIDE = 1.7

Places = dict[str, tuple[float, float]]


def lay_out(scene: Scene) -> Scene:
    """Return the scene with a box for every node: its own places where it has them all, else layered ones.

    No two layered boxes overlap; links lead to the right, save for one in each ring. Equal scenes give equal places.
    """
    if scene.is_placed:
        return scene
    heights = {node_id: node.height for node_id, node in scene.nodes.items()}
    links = [link for link in scene.links if link.source != link.target]
    parts = [_part(ids, links_of, heights) for ids, links_of in _parts(list(scene.nodes), links)]
    places = _packed(parts, heights)
    nodes = {
        node_id: replace(node, box=(*places[node_id], float(WIDTH), heights[node_id]))
        for node_id, node in scene.nodes.items()
    }
    return Scene(nodes, scene.links)


def _parts(ids: Sequence[str], links: Sequence[SceneLink]) -> list[tuple[list[str], list[SceneLink]]]:
    """The nodes that hang together, with their links, in order of their first node."""
    root = {node_id: node_id for node_id in ids}

    def find(node_id: str) -> str:
        while root[node_id] != node_id:
            root[node_id] = node_id = root[root[node_id]]
        return node_id

    for link in links:
        root[find(link.source)] = find(link.target)
    parts: dict[str, tuple[list[str], list[SceneLink]]] = {}
    for node_id in ids:
        parts.setdefault(find(node_id), ([], []))[0].append(node_id)
    for link in links:
        parts[find(link.source)][1].append(link)
    return list(parts.values())


def _part(ids: Sequence[str], links: Sequence[SceneLink], heights: Mapping[str, float]) -> Places:
    forward = _without_rings(ids, links)
    column = _columns(ids, forward)
    columns: list[list[str]] = [[] for _ in range(max(column.values()) + 1)]
    for node_id in ids:
        columns[column[node_id]].append(node_id)
    tops = _tops(columns, forward, heights)
    lowest = min(tops.values())
    return {node_id: (column[node_id] * (WIDTH + GAP_X), tops[node_id] - lowest) for node_id in ids}


def _without_rings(ids: Sequence[str], links: Sequence[SceneLink]) -> list[SceneLink]:
    """Leave out the links that lead back to where a walk along them came from."""
    after: dict[str, list[SceneLink]] = {node_id: [] for node_id in ids}
    for link in links:
        after[link.source].append(link)
    is_done: dict[str, bool] = {}
    kept = []
    for start in ids:
        if start in is_done:
            continue
        is_done[start] = False
        path = [(start, iter(after[start]))]
        while path:
            node_id, left = path[-1]
            for link in left:
                seen = is_done.get(link.target)
                if seen is False:
                    continue
                kept.append(link)
                if seen is None:
                    is_done[link.target] = False
                    path.append((link.target, iter(after[link.target])))
                    break
            else:
                is_done[node_id] = True
                path.pop()
    return kept


def _columns(ids: Sequence[str], links: Sequence[SceneLink]) -> dict[str, int]:
    """The longest way to each node from the left; then each is drawn right as far as what it feeds allows."""
    after: dict[str, list[str]] = {node_id: [] for node_id in ids}
    waits = dict.fromkeys(ids, 0)
    for link in links:
        after[link.source].append(link.target)
        waits[link.target] += 1
    has_inputs = {node_id for node_id in ids if waits[node_id]}
    order = [node_id for node_id in ids if not waits[node_id]]
    column = dict.fromkeys(ids, 0)
    for node_id in order:  # grows while it is walked
        for target in after[node_id]:
            column[target] = max(column[target], column[node_id] + 1)
            waits[target] -= 1
            if not waits[target]:
                order.append(target)
    for node_id in reversed(order):
        if node_id not in has_inputs and after[node_id]:
            column[node_id] = min(column[target] for target in after[node_id]) - 1
    return column


def _tops(columns: Sequence[list[str]], links: Sequence[SceneLink], heights: Mapping[str, float]) -> dict[str, float]:
    """Order each column by where its links would have the nodes, sweeping to and fro, and place them so."""
    before: dict[str, list[tuple[str, float]]] = {node_id: [] for nodes in columns for node_id in nodes}
    after: dict[str, list[tuple[str, float]]] = {node_id: [] for node_id in before}
    for link in links:
        lean = (link.slot - link.place) * ROW
        before[link.target].append((link.source, lean))
        after[link.source].append((link.target, -lean))
    tops: dict[str, float] = {}
    for nodes in columns:
        tops.update(zip(nodes, _spread([0.0] * len(nodes), [heights[each] for each in nodes]), strict=True))
    for sweep in range(SWEEPS):
        sides = [before] if sweep % 2 == 0 else [after]
        if sweep >= SWEEPS - 4:
            sides = [before, after]
        for nodes in columns if sweep % 2 == 0 else reversed(columns):
            wishes = {node_id: _wish(node_id, sides, tops) for node_id in nodes}
            nodes.sort(key=lambda node_id: wishes[node_id] + heights[node_id] * 0.01)
            spread = _spread([wishes[each] for each in nodes], [heights[each] for each in nodes])
            tops.update(zip(nodes, spread, strict=True))
    return tops


def _wish(node_id: str, sides: Iterable[Mapping[str, Sequence[tuple[str, float]]]], tops: Mapping[str, float]) -> float:
    near = [tops[other] + lean for side in sides for other, lean in side[node_id]]
    return sum(near) / len(near) if near else tops[node_id]


def _spread(wishes: Sequence[float], heights: Sequence[float]) -> list[float]:
    """The tops nearest to the wishes (least squares) that keep the order and a gap between neighbours."""
    starts = [0.0]
    for height in heights[:-1]:
        starts.append(starts[-1] + height + GAP_Y)
    blocks: list[list[float]] = []  # sum of wishes, count
    for wish, start in zip(wishes, starts, strict=False):
        blocks.append([wish - start, 1.0])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] > blocks[-1][0] * blocks[-2][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    shifts = [total / count for total, count in blocks for _ in range(int(count))]
    return [start + shift for start, shift in zip(starts, shifts, strict=False)]


def _packed(parts: Sequence[Places], heights: Mapping[str, float]) -> Places:
    """Put the parts side by side in rows, about as wide as a screen is beside its height."""
    sizes = []
    for part in parts:
        width = max(x for x, _ in part.values()) + WIDTH
        sizes.append((width, max(y + heights[node_id] for node_id, (_, y) in part.items())))
    area = sum((width + GAP_PARTS) * (height + GAP_PARTS) for width, height in sizes)
    most = max([math.sqrt(area * WIDE), *(width for width, _ in sizes)], default=0.0)
    left = top = tallest = 0.0
    places: Places = {}
    for at in sorted(range(len(parts)), key=lambda each: -len(parts[each])):
        width, height = sizes[at]
        if left and left + width > most:
            left, top, tallest = 0.0, top + tallest + GAP_PARTS, 0.0
        places.update({node_id: (left + x, top + y) for node_id, (x, y) in parts[at].items()})
        left, tallest = left + width + GAP_PARTS, max(tallest, height)
    return places
