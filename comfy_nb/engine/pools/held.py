"""The places that code has in pools: what it awaits needs none of them for itself."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar


class Holding:
    """The pools of which some code has places until its `end`, and what was `lent` to it by code that awaits it."""

    __slots__ = ("_names", "lent")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        self.lent: list[Holding] = []

    @property
    def names(self) -> frozenset[str]:
        """The names of the pools."""
        return self._names.union(*(each.names for each in self.lent))

    def end(self) -> None:
        """Have no places any more; code that it began and that goes on has none of them either."""
        self._names = frozenset()

    def give_back(self) -> None:
        """End, and give back what was taken for it alone."""
        self.end()


held_here: ContextVar[tuple[Holding, ...]] = ContextVar("comfy_nb_pools_held", default=())
"""What the code of this context has."""


def names_held(holdings: Iterable[Holding]) -> frozenset[str]:
    """Return the names of all pools in these."""
    return frozenset().union(*(each.names for each in holdings))


@contextmanager
def holding(names: Iterable[str]) -> Generator[None, None, None]:
    """Let the code of a `with` block have places that were taken for it, beside those that it has."""
    own = Holding(names)
    token = held_here.set((*held_here.get(), own))
    try:
        yield
    finally:
        own.end()
        held_here.reset(token)


@contextmanager
def holding_only(borrowed: Holding) -> Generator[None, None, None]:
    """Let what begins in a `with` block have nothing but what is lent to it."""
    token = held_here.set((borrowed,))
    try:
        yield
    finally:
        held_here.reset(token)
