"""The graphs that every engine is measured on."""

from __future__ import annotations

CHAIN = "chain"
WIDE = "wide"


def parents(shape: str, n: int) -> list[tuple[int, ...]]:
    """For each of n nodes, in topological order, the nodes it reads.

    A chain: each reads the one before it. Wide: the first is read by all others, which are all wanted.
    """
    if shape == CHAIN:
        return [(), *((index,) for index in range(n - 1))]
    if shape == WIDE:
        return [(), *((0,) for _ in range(n - 1))]
    raise ValueError(f"shape is {shape!r}; expected {CHAIN!r} or {WIDE!r}")


def wanted(shape: str, n: int) -> list[int]:
    """The nodes whose values are requested."""
    return [n - 1] if shape == CHAIN or n == 1 else list(range(1, n))
