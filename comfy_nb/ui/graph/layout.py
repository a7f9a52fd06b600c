"""Places for the nodes of a scene: columns from left to right in the order of the links; no I/O.

Links that pass columns have lanes between the nodes there, shared by all links of one output: Sugiyama's layered layout
with dummy nodes (Sugiyama, Tagawa and Toda, 1981).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from comfy_nb.ui.graph.scene import HEAD, ROW, WIDTH, Scene, SceneLink

GAP_X, GAP_PARTS = 90.0, 60.0
NODE_MARGIN, LANE_MARGIN = 13.0, 7.0
LANES_MAX = 600
VIA_MAX = 1_500
SWEEPS, SETTLING = 12, 4
WIDE = 1.7


class LinkLane(NamedTuple):
    """The room for the links of an output in a column that they pass: the `nth` (0-based) after that of their node."""

    source: str
    slot: int
    nth: int


Key = str | LinkLane
Pull = tuple[Key, float, Key, float]  # neighbours, each with the height at which the link leaves or enters it
Near = tuple[Key, float, float]  # a neighbour, the height at which the link meets it, and that on the own side
Places = dict[Key, tuple[float, float]]


def lay_out(scene: Scene) -> Scene:
    """Return the scene with a box for every node: its own if all nodes have one, layered ones otherwise.

    Layered boxes do not overlap. Links lead to the right, except for one in each cycle, and pass between other nodes,
    except where there are too many of them. Equal scenes get equal boxes.
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
    routed = tuple(replace(link, via=_via(link, places)) for link in scene.links)
    return Scene(nodes, routed if sum(len(link.via) for link in routed) <= VIA_MAX else scene.links)


def laid_out_as(scene: Scene, before: Scene) -> Scene:
    """Lay out a scene, like `before` if it differs from that only in values."""
    if scene.is_placed or _shape(scene) != _shape(before):
        return lay_out(scene)
    nodes = {node_id: replace(node, box=before.nodes[node_id].box) for node_id, node in scene.nodes.items()}
    return Scene(nodes, before.links, before.groups)


def _shape(scene: Scene) -> tuple[Any, ...]:
    nodes = [(node.id, node.height, node.inputs, node.outputs) for node in scene.nodes.values()]
    return nodes, [(link.source, link.slot, link.target, link.place) for link in scene.links]


def _via(link: SceneLink, places: Places) -> tuple[tuple[float, float], ...]:
    target = places[link.target][0]
    via = []
    at = 0
    while (place := places.get(LinkLane(link.source, link.slot, at))) is not None and place[0] < target:
        via.append(place)
        at += 1
    return tuple(via)


def _parts(ids: Sequence[str], links: Sequence[SceneLink]) -> list[tuple[list[str], list[SceneLink]]]:
    """Return the connected components, each with its nodes and links, in order of their first nodes."""
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
    forward = _without_cycles(ids, links)
    column = _columns(ids, forward)
    lanes = _lanes(forward, column)
    columns: list[list[Key]] = [[] for _ in range(max(column.values()) + 1)]
    at: dict[Key, int] = {**{node_id: column[node_id] for node_id in ids}, **lanes}
    for key, place in at.items():
        columns[place].append(key)
    tops = _tops(columns, _pulls(forward, column, lanes), heights)
    lowest = min(tops.values())
    return {key: (place * (WIDTH + GAP_X), tops[key] - lowest) for key, place in at.items()}


def _without_cycles(ids: Sequence[str], links: Sequence[SceneLink]) -> list[SceneLink]:
    """Leave out one link of each cycle: the one that leads back."""
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
    """Return the column of each node: its longest path from the left; a source then moves right, beside its targets."""
    after: dict[str, list[str]] = {node_id: [] for node_id in ids}
    waits = dict.fromkeys(ids, 0)
    for link in links:
        after[link.source].append(link.target)
        waits[link.target] += 1
    has_inputs = {node_id for node_id in ids if waits[node_id]}
    order = [node_id for node_id in ids if not waits[node_id]]
    column = dict.fromkeys(ids, 0)
    for node_id in order:  # it grows meanwhile
        for target in after[node_id]:
            column[target] = max(column[target], column[node_id] + 1)
            waits[target] -= 1
            if not waits[target]:
                order.append(target)
    for node_id in reversed(order):
        if node_id not in has_inputs and after[node_id]:
            column[node_id] = min(column[target] for target in after[node_id]) - 1
    return column


def _lanes(links: Sequence[SceneLink], column: Mapping[str, int]) -> dict[Key, int]:
    """Return the lanes of all outputs with their columns; none if there are too many to tell apart."""
    last: dict[tuple[str, int], int] = {}
    for link in links:
        output = (link.source, link.slot)
        last[output] = max(last.get(output, 0), column[link.target])
    if sum(end - column[source] - 1 for (source, _), end in last.items()) > LANES_MAX:
        return {}
    return {
        LinkLane(source, slot, past): column[source] + 1 + past
        for (source, slot), end in last.items()
        for past in range(end - column[source] - 1)
    }


def _pulls(links: Sequence[SceneLink], column: Mapping[str, int], lanes: Mapping[Key, int]) -> list[Pull]:
    """Return what pulls neighbours to the same height along each link; links that share a lane pull once."""
    pulls: dict[Pull, None] = {}
    for link in links:
        past = range(column[link.target] - column[link.source] - 1) if lanes else ()
        stops: list[tuple[Key, float]] = [(link.source, HEAD + (link.slot + 0.5) * ROW)]
        stops += [(LinkLane(link.source, link.slot, at), 0.0) for at in past]
        stops.append((link.target, HEAD + (link.place + 0.5) * ROW))
        pulls.update({(*one, *other): None for one, other in pairwise(stops)})
    return list(pulls)


def _tops(columns: Sequence[list[Key]], pulls: Sequence[Pull], heights: Mapping[str, float]) -> dict[Key, float]:
    """Return the top of each node and lane: sweep to and fro, ordering each column by the heights of its links."""
    before: dict[Key, list[Near]] = {key: [] for keys in columns for key in keys}
    after: dict[Key, list[Near]] = {key: [] for key in before}
    for one, leaves, other, enters in pulls:
        before[other].append((one, leaves, enters))
        after[one].append((other, enters, leaves))
    tall = {key: _height(key, heights) for key in before}
    tops: dict[Key, float] = {}
    for keys in columns:
        tops.update(_spread(keys, dict.fromkeys(keys, 0.0), tall))
    for sweep in range(SWEEPS):
        sides = [before] if sweep % 2 == 0 else [after]
        if sweep >= SWEEPS - SETTLING:
            sides = [before, after]
        for keys in columns if sweep % 2 == 0 else reversed(columns):
            wishes = {key: _wish(key, sides, tops) for key in keys}
            keys.sort(key=lambda key: wishes[key][0])
            tops.update(_spread(keys, {key: top for key, (_, top) in wishes.items()}, tall))
    return tops


def _height(key: Key, heights: Mapping[str, float]) -> float:
    return 0.0 if isinstance(key, LinkLane) else heights[key]


def _wish(key: Key, sides: Iterable[Mapping[Key, Sequence[Near]]], tops: Mapping[Key, float]) -> tuple[float, float]:
    """Return the mean height of the links to it, which decides the order, and the top that would make them level."""
    near = [(tops[other] + there, here) for side in sides for other, there, here in side[key]]
    if not near:
        return tops[key], tops[key]
    height = sum(there for there, _ in near) / len(near)
    return height, height - sum(here for _, here in near) / len(near)


def _spread(keys: Sequence[Key], wishes: Mapping[Key, float], tall: Mapping[Key, float]) -> dict[Key, float]:
    """Return the tops nearest to the wishes (least squares) that keep the order and the gaps between neighbours."""
    starts = []
    at = 0.0
    for key in keys:
        margin = LANE_MARGIN if isinstance(key, LinkLane) else NODE_MARGIN
        starts.append(at + margin)
        at += tall[key] + 2 * margin
    blocks: list[list[float]] = []  # of each: the sum of its wishes, and their number
    for key, start in zip(keys, starts, strict=True):
        blocks.append([wishes[key] - start, 1.0])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] > blocks[-1][0] * blocks[-2][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    shifts = [total / count for total, count in blocks for _ in range(int(count))]
    return {key: start + shift for key, start, shift in zip(keys, starts, shifts, strict=True)}


def _packed(parts: Sequence[Places], heights: Mapping[str, float]) -> Places:
    """Place the components side by side in rows, about in the proportions of a screen."""
    sizes = []
    for part in parts:
        width = max(x for x, _ in part.values()) + WIDTH
        sizes.append((width, max(y + _height(key, heights) for key, (_, y) in part.items())))
    area = sum((width + GAP_PARTS) * (height + GAP_PARTS) for width, height in sizes)
    most = max([math.sqrt(area * WIDE), *(width for width, _ in sizes)], default=0.0)
    left = top = tallest = 0.0
    places: Places = {}
    for at in sorted(range(len(parts)), key=lambda each: -len(parts[each])):
        width, height = sizes[at]
        if left and left + width > most:
            left, top, tallest = 0.0, top + tallest + GAP_PARTS, 0.0
        places.update({key: (left + x, top + y) for key, (x, y) in parts[at].items()})
        left, tallest = left + width + GAP_PARTS, max(tallest, height)
    return places
