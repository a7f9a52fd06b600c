"""Cache keys: Merkle digests over class, code, constants, fingerprint, the modes around the run, and the keys above.

The key of a node with lazy links has two levels: its base covers all but the lazy links. Which of these the node uses
depends on the base alone, and their keys complete it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice
from typing import Any

import numpy as np
import torch
from xxhash import xxh3_128_digest

from comfy_nb.engine.planning.step import UNKNOWN, Keyed, NodeKey, Step, nonce
from comfy_nb.graph.check import InLink
from comfy_nb.spec.attributes import container_of
from comfy_nb.spec.contents.arrays import pieces_in_order, unrepeated
from comfy_nb.spec.contents.tensors import has_storage, is_dense
from comfy_nb.spec.digest import Digest, combine
from comfy_nb.spec.fingerprint import MOST_OBJECTS, digest_of
from comfy_nb.spec.node_digest import node_digest


def head_of(step: Step, scope: int) -> Digest:
    """Digest a node without what is above it. `scope` is the graph's number, for results that belong to one node.

    A class that takes the prompt finds the constants there that it does not declare, so they count. A node that may not
    be cached depends on what no key covers, so what is below it cannot be found again either.
    """
    spec, extras = step.spec, step.extras
    mark = step.modes.mark(spec.grad)
    fresh = extras.get("fresh", 0) if extras else 0
    bound_to = (scope, step.id) if spec.cache == "node" or spec.not_idempotent or step.interface.takes_id else None
    links: list[Any] = []
    for name, origin, slot, lazy, raw in step.links:
        # A raw link passes the id itself to the node, so the id is one of its values.
        links += (name, slot, lazy, (scope, origin) if raw else None)
    seen = step.submitted if step.submitted is not None and step.interface.takes_prompt else None
    constants = step.template if seen is None else {**seen, **step.template}
    code = step.code if mark is None else combine(b"modes", [step.code, mark])
    head = node_digest(spec.class_type, code, fresh, bound_to, constants, tuple(links))
    return head if step.cacheable else head._replace(reusable=False)


def key_of(head: Digest, fingerprint: Any, links: Sequence[InLink], above: Mapping[str, Keyed]) -> NodeKey:
    """Return a node's key from its head, its fingerprint and the keys of the nodes above it, by id.

    If one of those is not known yet, neither is this one. `full` waits for the lazy links (see `lazy_key`).
    """
    durable, reusable, has_lazy = head.durable, head.reusable, False
    found: list[bytes] = []
    for _, origin, _, lazy, _ in links:
        if lazy:
            has_lazy = True
            continue
        _, _, full, is_durable, is_reusable, _ = above[origin].key
        if full is None:
            return UNKNOWN
        found.append(full)
        durable = durable and is_durable
        reusable = reusable and is_reusable
    above_bytes = b"".join(found)
    is_known = head.reusable
    if fingerprint is not None:
        mark = digest_of(fingerprint)
        above_bytes += mark.value
        durable = durable and mark.durable
        is_known = is_known and mark.reusable and not never_equal(fingerprint)
    if not is_known:
        above_bytes += nonce()
        durable = reusable = False
    base = xxh3_128_digest(head.value + above_bytes)
    # Half the cost of NodeKey(...), and there is one for each node.
    own = None if has_lazy else base
    return tuple.__new__(NodeKey, (base, own, own, durable, reusable, above_bytes))


def lazy_key(base: bytes, used: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    """Complete the base of a lazy node by the names and full keys of the inputs it used; None where one is unknown."""
    parts = [name.encode() + b"\0" + key for name, key in used if key is not None]
    return xxh3_128_digest(base + b"lazy" + b"".join(parts)) if len(parts) == len(used) else None


def never_equal(fingerprint: Any) -> bool:
    """Whether a fingerprint, or a part of it, is not equal to itself, as NaN is not: then the node runs every time."""
    seen: set[int] = set()
    stack = [fingerprint]
    for _ in range(MOST_OBJECTS):  # a container of somebody else's may have no end
        if not stack:
            break
        value = stack.pop()
        if _holds_items(value):
            if id(value) not in seen:  # it may hold itself
                seen.add(id(value))
                stack += _items_of(value)
        elif _differs_from_itself(value):
            return True
    return False


def _holds_items(value: Any) -> bool:
    try:
        return issubclass(type(value), (Mapping, list, tuple, Set))
    except KeyboardInterrupt:
        raise
    except BaseException:  # a class of somebody else's metaclass may refuse in any way
        return False


def _items_of(value: Mapping[Any, Any] | Sequence[Any] | Set[Any]) -> list[Any]:
    base: Any = container_of(value) or type(value)
    try:
        items = list(islice(base.__iter__(value), MOST_OBJECTS))
        return [*items, *islice(base.values(value), MOST_OBJECTS)] if issubclass(base, Mapping) else items
    except KeyboardInterrupt:
        raise
    except BaseException:  # a foreign container may refuse; its digest is not reusable then
        return []


def _pieces(value: Any) -> Iterable[Any]:
    """Return the elements of a tensor or array in pieces that can be compared at little cost."""
    if issubclass(type(value), torch.Tensor):
        if not is_dense(value) or not has_storage(value):
            return ()
        value = value.detach()
    return pieces_in_order(unrepeated(value)) if value.ndim else (value,)


def _differs_from_itself(value: Any) -> bool:
    try:
        if issubclass(type(value), (torch.Tensor, np.ndarray)):
            return any(bool((piece != piece).any()) for piece in _pieces(value))
        differs = value != value
        return bool(differs.any() if hasattr(differs, "any") else differs)  # tables compare item by item
    except KeyboardInterrupt:
        raise
    except BaseException:  # a pack's object may raise anything when compared; then it does not ask for this
        return False
