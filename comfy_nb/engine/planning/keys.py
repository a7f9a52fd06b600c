"""Cache keys: Merkle digests over class, code, constants, fingerprint and the keys above.

A node with lazy links has its key in two levels: the base covers all but the lazy links; which of these are used
follows from the base, and their keys complete it.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.engine.planning.step import Step
from comfy_nb.graph.check import InLink
from comfy_nb.spec.fingerprint import PLAIN, Digest, combine, digest_of, encode_plain

_once = itertools.count(1)


def head_of(step: Step, scope: int) -> Digest:
    """Digest a node without what is above it. `scope` is the graph's number, for entries that belong to one node.

    Inputs count by name, whatever their order.
    """
    spec, extras, template = step.spec, step.extras, step.template
    fresh = extras.get("fresh", 0) if extras else 0
    bound = (scope, step.id) if spec.cache == "node" or spec.not_idempotent or step.interface.takes_id else None
    names = tuple(sorted(template)) if len(template) > 1 else tuple(template)
    values = tuple([template[name] for name in names])
    links = tuple([part for link in step.links for part in _link_parts(link, scope)]) if step.links else ()
    durable = bound is None and not fresh
    for value in values:
        if type(value) not in PLAIN:
            found = combine(
                encode_plain((spec.class_type, step.code, fresh, bound, names, links)),
                [digest_of(each) for each in values],
            )
            return Digest(found.value, found.durable and durable)
    signature = (spec.class_type, step.code, fresh, bound, names, links, values)
    return Digest(xxh3_128_digest(encode_plain(signature)), durable)


def _link_parts(link: InLink, scope: int) -> tuple[Any, ...]:
    # A raw link hands the id itself to the node, so the id is part of what the node computes with.
    return (link.name, link.slot, link.lazy, (scope, link.origin) if link.raw else None)


def set_key(step: Step, steps: Mapping[str, Step]) -> None:
    """Set a step's key from its head, its fingerprint and its parents' keys.

    Where a parent's key is not known yet, neither is this one; `complete_key` does it later.
    """
    head = step.head
    assert head is not None
    durable, reusable, has_lazy = head.durable, True, False
    parents: list[bytes] = []
    for _, origin, _, lazy, _ in step.links:
        if lazy:
            has_lazy = True
            continue
        parent = steps[origin]
        if parent.key is None:
            step.base = step.key = None
            return
        parents.append(parent.key)
        if not parent.durable:
            durable = False
        if not parent.reusable:
            reusable = False
    step.parents = b"".join(parents)
    fingerprint = step.fingerprint
    if fingerprint is not None:
        if is_always(fingerprint):
            step.parents += struct.pack("<Q", next(_once))
            durable = reusable = False
        else:
            mark = digest_of(fingerprint)
            step.parents += mark.value
            durable = durable and mark.durable
    step.durable, step.reusable = durable, reusable
    step.base = xxh3_128_digest(head.value + step.parents)
    step.key = None if has_lazy else step.base


def lazy_key(base: bytes, used: Sequence[tuple[str, bytes]]) -> bytes:
    """Complete the base of a node with lazy inputs by the names and keys of those that were used."""
    return xxh3_128_digest(base + b"lazy" + b"".join(name.encode() + b"\0" + key for name, key in used))


def is_always(fingerprint: Any) -> bool:
    """Tell whether a fingerprint is not equal to itself, as NaN is: then the node runs every time."""
    if isinstance(fingerprint, (list, tuple)):
        return any(is_always(item) for item in fingerprint)
    try:
        return bool(fingerprint != fingerprint)
    except Exception:  # a strange object's comparison may raise anything; then it says nothing about itself
        return False
