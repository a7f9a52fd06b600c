"""The plan of a sweep: its axes, its cells, and the order in which they share the most."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.graph.topology import ancestors
from comfy_nb.parameters.parameter import Setting, find_setting
from comfy_nb.wording import clip, short

AXES_MAX = 3
CELLS_MAX = 256
LABEL_MAX = 40

Place = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """One direction of a grid: the constants that change along it, and at each point a value for each of them."""

    settings: tuple[Setting, ...]
    points: tuple[tuple[Any, ...], ...]
    depth: int

    @property
    def name(self) -> str:
        """What changes along it, in words."""
        return ", ".join(setting.name for setting in self.settings)

    def label(self, point: int) -> str:
        """The values at one point, in words."""
        return ", ".join(
            clip(value, LABEL_MAX) if isinstance(value, str) else short(value) for value in self.points[point]
        )

    def at(self, point: int) -> dict[str, Any]:
        """The values at one point by their names in the graph."""
        return {setting.key: value for setting, value in zip(self.settings, self.points[point], strict=True)}


@dataclass(frozen=True)
class Grid:
    """Up to three axes: x to the right, y downwards, z from page to page."""

    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        count = 1
        for axis in self.axes:
            count *= len(axis.points)
        return count

    def places(self) -> Iterator[Place]:
        """All cells in the order they are run: along the axis whose node lies deepest first, so the rest is shared."""
        outer_first = sorted(range(len(self.axes)), key=lambda index: self.axes[index].depth)
        for points in itertools.product(*(range(len(self.axes[index].points)) for index in outer_first)):
            by_axis = dict(zip(outer_first, points, strict=True))
            yield tuple(by_axis[index] for index in range(len(self.axes)))

    def parameters(self, place: Place) -> dict[str, Any]:
        """The constants of one cell by their names in the graph."""
        return {
            key: value for axis, point in zip(self.axes, place, strict=True) for key, value in axis.at(point).items()
        }

    def edits(self, place: Place) -> Iterator[tuple[Setting, Any]]:
        """What to set for one cell."""
        for axis, point in zip(self.axes, place, strict=True):
            yield from zip(axis.settings, axis.points[point], strict=True)

    def pages(self) -> Iterator[tuple[str, list[list[Place]]]]:
        """Each page: its label, and its rows of cells."""
        sizes = [len(axis.points) for axis in self.axes] + [1] * (AXES_MAX - len(self.axes))
        for z in range(sizes[2]):
            label = f"{self.axes[2].name} = {self.axes[2].label(z)}" if len(self.axes) == AXES_MAX else ""
            rows = [[(x, y, z)[: len(self.axes)] for x in range(sizes[0])] for y in range(sizes[1])]
            yield label, rows

    def find(self, parameters: Mapping[str, Any]) -> Place:
        """Return the cell of these parameters, by short or full names; raises UnknownName, KeyError."""
        wanted = {self._full(name): value for name, value in parameters.items()}
        place = []
        for axis in self.axes:
            keys = [setting.key for setting in axis.settings if setting.key in wanted]
            points = [at for at in range(len(axis.points)) if all(same(axis.at(at)[key], wanted[key]) for key in keys)]
            if not points or (not keys and len(axis.points) > 1):
                labels = "; ".join(axis.label(at) for at in range(len(axis.points)))
                raise KeyError(f"There is no cell with {dict(parameters)!r:.200}. {axis.name} is one of: {labels:.200}")
            place.append(points[0])
        return tuple(place)

    def _full(self, name: str) -> str:
        settings = [setting for axis in self.axes for setting in axis.settings]
        found = [setting.key for setting in settings if name in (setting.key, setting.name)]
        if not found:
            raise UnknownName.of("parameter", name, [setting.key for setting in settings], "in the sweep")
        return found[0]


def make_grid(graph: Graph, near: str, axes: Mapping[Any, Any], limit: int | None = None) -> Grid:
    """Read the axes of a sweep: names with their values, or a tuple of names with tuples of values.

    Raises GraphError for what cannot be swept, and for more than `limit` cells (256 where it is None).
    """
    if not isinstance(axes, Mapping) or not 1 <= len(axes) <= AXES_MAX:
        count = len(axes) if isinstance(axes, Mapping) else repr(axes)[:60]
        raise GraphError(f'A sweep takes a dict of 1 to {AXES_MAX} axes, such as {{"3.seed": range(4)}}, not {count}.')
    most = CELLS_MAX if limit is None else limit
    grid = Grid(tuple(_axis(graph, near, key, values, most) for key, values in axes.items()))
    keys = [setting.key for axis in grid.axes for setting in axis.settings]
    for key in keys:
        if keys.count(key) > 1:
            raise GraphError(f"{key} is on the sweep twice; each input can change along one axis only.")
    if len(grid) > most:
        sizes = " × ".join(str(len(axis.points)) for axis in grid.axes)
        raise GraphError(f"The sweep has {len(grid):,} cells ({sizes}), more than {most:,}. Pass limit={len(grid)}.")
    return grid


def _axis(graph: Graph, near: str, key: Any, values: Any, most: int) -> Axis:
    is_zip = isinstance(key, tuple)
    settings = tuple(find_setting(graph, each, near) for each in (key if is_zip else (key,)))
    if not settings:
        raise GraphError("An axis of the sweep names no input: its key is an empty tuple.")
    where = ", ".join(setting.where for setting in settings)
    if isinstance(values, str | bytes | Mapping):
        raise GraphError(f"{where}: a list of values is expected, not {short(values)}.")
    try:
        listed = list(itertools.islice(values, most + 1))  # it may have no end
    except TypeError:
        raise GraphError(f"{where}: a list of values is expected, not {short(values)}.") from None
    if len(listed) > most:
        raise GraphError(f"{where}: the axis has more than {most:,} values. Pass a larger limit, or fewer values.")
    if not listed:
        raise GraphError(f"{where}: the axis is empty; give it at least one value.")
    points = [tuple(each) if is_zip and isinstance(each, tuple | list) else (each,) for each in listed]
    for point in points:
        if len(point) != len(settings):
            raise GraphError(f"{where}: {len(settings)} values are expected at each point, not {short(point)}.")
    checked = [tuple(s.checked(value) for s, value in zip(settings, point, strict=True)) for point in points]
    depth = min(len(ancestors(graph, setting.node_id)) for setting in settings)
    return Axis(settings, tuple(checked), depth)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same; tensors and other things that do not compare only when identical."""
    if one is other:
        return True
    try:
        return bool(one == other)
    except (RuntimeError, ValueError, TypeError):
        return False
