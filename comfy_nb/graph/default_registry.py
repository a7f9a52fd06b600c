"""The registry that is used where none is given, filled when it is first looked at."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from comfy_nb.spec.registry import Registry

_fillers: list[Callable[[Registry], None]] = []


def _fill(registry: Registry) -> None:
    for fill in _fillers:
        fill(registry)


_default = Registry(_fill)
_chosen: ContextVar[Registry | None] = ContextVar("comfy_nb_registry", default=None)


def default_registry() -> Registry:
    """Return the registry that `nb.nodes`, `@nb.node` and `nb.load` use where none is given."""
    return _chosen.get() or _default


def fill_default_registry(fill: Callable[[Registry], None]) -> None:
    """Register what `fill` registers when the default registry is first looked at."""
    _fillers.append(fill)
