"""What a node uses of pools, as it is written and as the engine has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from comfy_nb.errors import SpecError

Needs = tuple[tuple[str, int], ...]
"""The names of pools, in order, and how many places are needed of each."""
Uses = str | Iterable[str] | Mapping[str, int]
"""The name of a pool, of which one place is needed, or several of which one is, or how many places of which pools."""


def needs_of(uses: Uses, who: str) -> Needs:
    """Read what somebody uses; raises SpecError for what says none."""
    counts: Any = {uses: 1} if isinstance(uses, str) else uses
    try:
        counts = dict(counts) if isinstance(counts, Mapping) else dict.fromkeys(counts, 1)
    except TypeError:
        counts = {"": 0}
    for name, count in counts.items():
        if not isinstance(name, str) or not name or type(count) is not int or count < 1:
            raise SpecError(f'{who}: uses={uses!r}; expected is a pool ("gpu") or places by pool ({{"gpu": 1}}).')
    return tuple(sorted(counts.items()))
