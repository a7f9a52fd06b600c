"""Which outputs may be linked to which inputs, by their socket types."""

from __future__ import annotations

from typing import Any

from comfy_nb.spec.sockets import ANY

COMBO = "COMBO"
# What an editor settles by the links of a node; the classes of packs declare it, and nothing checks it further.
MATCHED_BY_EDITOR = "COMFY_MATCHTYPE_V3"


def matches(received: Any, declared: Any) -> bool:
    """Return whether an output of type `received` may feed an input of type `declared` (ComfyUI's strings or combos).

    The order in `received != declared` matters: the wildcard of packs is a str whose `__ne__` is always False.
    """
    if not received != declared:  # noqa: SIM202
        return True
    if ANY in (received, declared) or MATCHED_BY_EDITOR in (received, declared):
        return True
    if not isinstance(received, str) or not isinstance(declared, str):
        # A list of choices and the name of its type fit; two different lists do not.
        return COMBO in (received, declared) and socket_name(received) == socket_name(declared)
    if "," not in received and "," not in declared:
        return False
    offered, accepted = ({part.strip() for part in kind.split(",")} for kind in (received, declared))
    return bool(offered & accepted) or ANY in offered | accepted


def socket_name(declared: Any) -> str:
    """Return the name of a type; that of a list of choices is `COMBO`."""
    return declared if isinstance(declared, str) else COMBO
