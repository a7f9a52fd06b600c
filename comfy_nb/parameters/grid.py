"""The grid of a sweep: its axes and their labels, its cells, and the order in which these share the most work."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.graph.topology import ancestors
from comfy_nb.parameters.parameter import Parameter, find_parameter
from comfy_nb.wording import clip, short

AXES_MAX = 3
CELLS_MAX = 256
LABEL_MAX = 40

Axes = Mapping[str | tuple[str, ...], Iterable[Any]]
Coordinates = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """One direction of a grid: the constants that change along it, and their values at each point."""

    parameters: tuple[Parameter, ...]
    points: tuple[tuple[Any, ...], ...]
    depth: int

    @property
    def name(self) -> str:
        """The names of the constants that change along it."""
        return ", ".join(parameter.name for parameter in self.parameters)

    def label(self, point: int) -> str:
        """The values at one point, as text."""
        return ", ".join(
            clip(value, LABEL_MAX) if isinstance(value, str) else short(value) for value in self.points[point]
        )

    def caption(self, point: int) -> str:
        """The names and the values at one point, as text: "sigma = 2.0"."""
        return f"{self.name} = {self.label(point)}"

    def values_at(self, point: int) -> dict[str, Any]:
        """The values at one point, by their names in the graph."""
        return {each.key: value for each, value in zip(self.parameters, self.points[point], strict=True)}


@dataclass(frozen=True)
class Grid:
    """Up to three axes: x to the right, y downwards, z from page to page."""

    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        return math.prod(len(axis.points) for axis in self.axes)

    def in_run_order(self) -> Iterator[Coordinates]:
        """All cells: the axis whose node lies deepest varies fastest, so that the nodes above it are shared."""
        outer_first = sorted(range(len(self.axes)), key=lambda index: self.axes[index].depth)
        for points in itertools.product(*(range(len(self.axes[index].points)) for index in outer_first)):
            by_axis = dict(zip(outer_first, points, strict=True))
            yield tuple(by_axis[index] for index in range(len(self.axes)))

    def values_at(self, cell: Coordinates) -> dict[str, Any]:
        """The constants of one cell, by their names in the graph."""
        return {
            key: value
            for axis, point in zip(self.axes, cell, strict=True)
            for key, value in axis.values_at(point).items()
        }

    def apply(self, cell: Coordinates, graph: Graph) -> None:
        """Set the constants of one cell in a graph."""
        for axis, point in zip(self.axes, cell, strict=True):
            for parameter, value in zip(axis.parameters, axis.points[point], strict=True):
                graph[parameter.node_id].inputs[parameter.name] = value

    def pages(self) -> Iterator[tuple[str, list[list[Coordinates]]]]:
        """The label of each page, with its rows of cells."""
        sizes = [len(axis.points) for axis in self.axes] + [1] * (AXES_MAX - len(self.axes))
        for z in range(sizes[2]):
            label = self.axes[2].caption(z) if len(self.axes) == AXES_MAX else ""
            rows = [[(x, y, z)[: len(self.axes)] for x in range(sizes[0])] for y in range(sizes[1])]
            yield label, rows

    def find(self, parameters: Mapping[str, Any]) -> Coordinates:
        """Return the cell with these parameters, by short or full names; raises UnknownName, KeyError."""
        wanted = {self._full_name(name): value for name, value in parameters.items()}
        found = []
        for axis in self.axes:
            keys = [parameter.key for parameter in axis.parameters if parameter.key in wanted]
            points = [
                point
                for point in range(len(axis.points))
                if all(equal_or_false(axis.values_at(point)[key], wanted[key]) for key in keys)
            ]
            if not points or (not keys and len(axis.points) > 1):
                labels = "; ".join(axis.label(point) for point in range(len(axis.points)))
                raise KeyError(
                    f"There is no cell with {short(dict(parameters), 200)}. {axis.name} is one of: {labels:.200}"
                )
            found.append(points[0])
        return tuple(found)

    def _full_name(self, name: str) -> str:
        parameters = [parameter for axis in self.axes for parameter in axis.parameters]
        found = [parameter.key for parameter in parameters if name in (parameter.key, parameter.name)]
        if not found:
            raise UnknownName.of("parameter", name, [parameter.key for parameter in parameters], "in the sweep")
        return found[0]


def make_grid(graph: Graph, near: str, axes: Axes, limit: int | None = None) -> Grid:
    """Make a grid of named constants with their values: "radius" with numbers, a tuple of names with tuples.

    A bare name is looked up on the node `near` first. Raises GraphError for what cannot be swept, and for more than
    `limit` cells (256 if it is None).
    """
    if not isinstance(axes, Mapping) or not 1 <= len(axes) <= AXES_MAX:
        got = (len(axes) or "none") if isinstance(axes, Mapping) else short(axes, 60)
        raise GraphError(
            f"A sweep takes 1 to {AXES_MAX} axes, such as seed=range(4), or a dict of them, such as "
            f'{{"3.seed": range(4)}}; got {got}.'
        )
    most = CELLS_MAX if limit is None else limit
    grid = Grid(tuple(_make_axis(graph, near, key, values, most) for key, values in axes.items()))
    keys = [parameter.key for axis in grid.axes for parameter in axis.parameters]
    for key in keys:
        if keys.count(key) > 1:
            raise GraphError(f"{key} is in the sweep twice; an input can change along one axis only.")
    if len(grid) > most:
        sizes = " × ".join(str(len(axis.points)) for axis in grid.axes)
        raise GraphError(f"The sweep has {len(grid):,} cells ({sizes}), more than {most:,}. Pass limit={len(grid)}.")
    return grid


def _make_axis(graph: Graph, near: str, key: str | tuple[str, ...], values: Iterable[Any], most: int) -> Axis:
    is_zip = isinstance(key, tuple)
    parameters = tuple(find_parameter(graph, each, near) for each in (key if isinstance(key, tuple) else (key,)))
    if not parameters:
        raise GraphError("An axis of the sweep names no input: its key is an empty tuple.")
    where = ", ".join(parameter.where for parameter in parameters)
    points = [
        tuple(each) if is_zip and isinstance(each, tuple | list) else (each,) for each in _listed(values, where, most)
    ]
    for point in points:
        if len(point) != len(parameters):
            raise GraphError(f"{where}: expected {len(parameters)} values at each point, got {short(point)}.")
    checked = [tuple(each.checked(value) for each, value in zip(parameters, point, strict=True)) for point in points]
    depth = min(len(ancestors(graph, parameter.node_id)) for parameter in parameters)
    return Axis(parameters, tuple(checked), depth)


def _listed(values: Iterable[Any], where: str, most: int) -> list[Any]:
    """Return the values of an axis, which may be an endless iterator."""
    if isinstance(values, str | bytes | Mapping):
        raise GraphError(f"{where}: expected a list of values, got {short(values)}.")
    try:
        listed = list(itertools.islice(values, most + 1))
    except TypeError:
        raise GraphError(f"{where}: expected a list of values, got {short(values)}.") from None
    if len(listed) > most:
        raise GraphError(f"{where}: the axis has more than {most:,} values. Pass a larger limit, or fewer values.")
    if not listed:
        raise GraphError(f"{where}: the axis is empty; give it at least one value.")
    return listed


def equal_or_false(one: Any, other: Any) -> bool:
    """Whether two values are the same object or equal; values that cannot be compared, such as tensors, are not."""
    if one is other:
        return True
    try:
        return bool(one == other)
    except (RuntimeError, ValueError, TypeError):
        return False
