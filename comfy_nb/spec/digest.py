"""Digests: 16 bytes that stand for a value, and what they are good for."""

from __future__ import annotations

import marshal
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from xxhash import xxh3_128_digest

from comfy_nb.errors import InterruptProcessingException

# Version 2 of the format has no back-references, so equal values always give equal bytes.
_MARSHAL_VERSION = 2
# Another process numbers its own objects; its digests must differ from ours.
PROCESS = os.urandom(16)
PLAIN: frozenset[type] = frozenset({int, float, str, bool, type(None), bytes, complex, type(...)})

SHORT_BYTES = 1 << 16


def is_of(value: Any, kinds: frozenset[type]) -> bool:
    """Whether the class of a value is one of these; False also for one that refuses to be hashed."""
    try:
        return type(value) in kinds
    except (KeyboardInterrupt, InterruptProcessingException):
        raise
    except BaseException:  # a class of somebody else's metaclass may refuse in any way
        return False


def is_plain(value: Any) -> bool:
    """Whether a value is of a `PLAIN` type."""
    return is_of(value, PLAIN)


def all_plain(values: Iterable[Any]) -> bool:
    """Whether all of these values are of a `PLAIN` type; many times as quick as to ask for each."""
    try:
        return PLAIN.issuperset(map(type, values))
    except (KeyboardInterrupt, InterruptProcessingException):
        raise
    except BaseException:  # a class of somebody else's metaclass may refuse in any way
        return False


def is_short(value: Any) -> bool:
    """Whether a value is of a `PLAIN` type, and not of so many bytes that a copy of them is too much."""
    return is_of(value, PLAIN) and (type(value) is not bytes or len(value) <= SHORT_BYTES)


class Digest(NamedTuple):
    """A digest, and how far it can be trusted.

    `durable`: it means the same in another process. `reusable`: it covers all that a node could see of the value; a
    result that depends on another one is computed anew each time. `fixed`: the value cannot have another digest later,
    as nothing in it can be changed. `apart`: where cached properties of the person's own classes hold something, the
    digest of all else, and the digests of what they hold.
    """

    value: bytes
    durable: bool = True
    reusable: bool = True
    fixed: bool = False
    apart: tuple[bytes, frozenset[bytes]] | None = None

    def continues(self, before: Digest) -> bool:
        """Whether a value is as it was, but that more of its cached properties may have been computed."""
        if self.value == before.value:
            return True
        rest, computed = self.apart or (self.value, frozenset())
        rest_before, computed_before = before.apart or (before.value, frozenset())
        return rest == rest_before and computed >= computed_before


def encode_plain(value: Any) -> bytes:
    """Encode a value made of `PLAIN` types (or a tuple of them) so that equal bytes mean equal values and types."""
    return marshal.dumps(value, _MARSHAL_VERSION)


def combine(tag: bytes, parts: Sequence[Digest], may_change: bool = False) -> Digest:
    """Digest a tag and digests, in order; `may_change`: what they make up can be changed even if no part of it can."""
    durable = reusable = True
    fixed = not may_change
    for _, is_durable, is_reusable, is_fixed, _ in parts:
        durable = durable and is_durable
        reusable = reusable and is_reusable
        fixed = fixed and is_fixed
    value = xxh3_128_digest(tag + b"".join([part.value for part in parts]))
    return Digest(value, durable, reusable, fixed)
