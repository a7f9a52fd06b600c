"""Walks over directed graphs, each written once. `parents(id)` are the ids of the nodes that a node takes from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from comfy_nb.graph.link import links_in

if TYPE_CHECKING:
    from comfy_nb.graph.model import Graph

T = TypeVar("T", bound=Hashable)
Parents = Callable[[str], Sequence[str]]


def reach(starts: Iterable[T], neighbours: Callable[[T], Iterable[T]]) -> set[T]:
    """Return the nodes that can be reached from these, with themselves."""
    found = set(starts)
    stack = list(found)
    while stack:
        for other in neighbours(stack.pop()):
            if other not in found:
                found.add(other)
                stack.append(other)
    return found


def children_of(parents: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Turn the arrows round: return, for each node that has such, the nodes that take from it."""
    children: dict[str, list[str]] = {}
    for node_id, above in parents.items():
        for origin in above:
            children.setdefault(origin, []).append(node_id)
    return children


def below(parents: Mapping[str, Iterable[str]], origins: Iterable[str]) -> set[str]:
    """Return the nodes that take from one of these, directly or not."""
    children = children_of(parents)
    takers = [taker for origin in origins for taker in children.get(origin, ())]
    return reach(takers, lambda node_id: children.get(node_id, ()))


def sort(ids: Iterable[str], parents: Parents, on_cycle: Callable[[list[str]], None]) -> list[str]:
    """Return the ids so that each comes after its parents, in the given order where that is possible.

    `on_cycle` gets the ids of each cycle, from a node to the one that takes from it last; that arrow is passed over.
    """
    ids = list(ids)
    return ids if _is_sorted(ids, parents) else _depth_first(ids, parents, on_cycle)


def _is_sorted(ids: Sequence[str], parents: Parents) -> bool:
    seen: set[str] = set()
    for node_id in ids:
        for origin in parents(node_id):
            if origin not in seen:
                return False
        seen.add(node_id)
    return True


def _depth_first(ids: Sequence[str], parents: Parents, on_cycle: Callable[[list[str]], None]) -> list[str]:
    order: list[str] = []
    done: set[str] = set()
    open_: set[str] = set()
    for root in ids:
        if root in done:
            continue
        open_.add(root)
        stack = [(root, iter(parents(root)))]
        while stack:
            node_id, left = stack[-1]
            for origin in left:
                if origin in open_:
                    path = [each for each, _ in stack]
                    on_cycle(path[path.index(origin) :])
                elif origin not in done:
                    open_.add(origin)
                    stack.append((origin, iter(parents(origin))))
                    break
            else:
                stack.pop()
                open_.discard(node_id)
                done.add(node_id)
                order.append(node_id)
    return order


def parents_in(graph: Graph) -> dict[str, list[str]]:
    """Return the nodes that each node of a graph takes from, by its links as they are written."""
    return {node.id: [link.origin for link in node.links().values()] for node in graph.nodes.values()}


def ancestors(graph: Graph, node_id: str) -> set[str]:
    """Return a node and all above it."""
    parents = parents_in(graph)
    return reach([node_id], lambda each: [origin for origin in parents[each] if origin in parents])


def descendants(graph: Graph, node_id: str) -> set[str]:
    """Return a node and all below it."""
    return {node_id} | below(parents_in(graph), [node_id])


def default_outputs(graph: Graph) -> list[str]:
    """Return the nodes that a run wants where none are named: see `outputs_or_leaves`."""
    active, find = graph.active(), graph.registry.find
    outputs = [
        node_id for node_id, node in active.items() if (spec := find(node.class_type)) is not None and spec.is_output
    ]
    links = (link for entry in graph.to_prompt().values() for link in links_in(entry["inputs"]).values())
    return outputs_or_leaves(outputs, active, (link.origin for link in links))


def outputs_or_leaves(outputs: list[str], ids: Iterable[str], taken_from: Iterable[str]) -> list[str]:
    """Return the output nodes, or where there are none the leaves among `ids`: what no node takes from.

    Only nodes that take part in runs count.
    """
    if outputs:
        return outputs
    inner = set(taken_from)
    return [node_id for node_id in ids if node_id not in inner]
