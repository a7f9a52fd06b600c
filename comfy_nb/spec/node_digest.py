"""The digest of a node without what is above it: the one recipe for equal handles and for results that are reused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.digest import Digest, encode_plain, is_short
from comfy_nb.spec.fingerprint import digest_together


def node_digest(
    class_type: str, code: Digest, fresh: int, bound: Any, inputs: Mapping[str, Any], links: tuple[Any, ...]
) -> Digest:
    """Digest a node by its class, code, constants and links.

    `inputs` has a constant for each name, None for a link; `links` describes the links. `bound` is None, or what binds
    the node to its place in one graph. The order of inputs does not matter.
    """
    names = tuple(sorted(inputs)) if len(inputs) > 1 else tuple(inputs)
    values = tuple([inputs[name] for name in names])
    durable = code.durable and bound is None and not fresh
    for value in values:
        if not is_short(value):
            tag = encode_plain((class_type, code.value, fresh, bound, names, links))
            found, _ = digest_together(tag, values)
            return found._replace(durable=found.durable and durable, reusable=found.reusable and code.reusable)
    whole = encode_plain((class_type, code.value, fresh, bound, names, links, values))
    # Half the cost of Digest(...), and there is one for each node.
    return tuple.__new__(Digest, (xxh3_128_digest(whole), durable, code.reusable, True, None))
