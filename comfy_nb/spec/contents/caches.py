"""Where packages keep what follows from the rest of an object: memos of hashes and of properties, filled when read."""

from __future__ import annotations

from typing import Any

from comfy_nb.spec.readers import CACHES, Parts, reads_named

CACHES[""] = frozenset({"_attrs_cached_hash"})
CACHES["enum"] = frozenset({"_inverted_"})
CACHES["numpy"] = frozenset({"_ufunc"})
CACHES["pandas"] = frozenset({"_cache", "_item_cache"})
CACHES["pydantic"] = frozenset({"_default_factory_takes_validated_data"})
CACHES["sympy"] = frozenset({"_assumptions", "_mhash"})


@reads_named("sympy", "Symbol")
def _(value: Any) -> Parts:
    """Return what was assumed of a symbol; what was deduced from it is in the memo."""
    return tuple(sorted(value._assumptions_orig.items()))
