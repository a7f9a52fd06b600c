"""What runs inside nodes, in expansions and in runs that a node starts, and which results were made of it.

A node's own key says nothing of that. Once the node has run, its key is completed by the keys of what it took from
there, and its result is used again only as long as the classes that took part are what they were.
"""

from __future__ import annotations

import itertools
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence

from xxhash import xxh3_128_digest

from comfy_nb.engine.planning.step import NodeKey, Step
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.node_spec import NodeSpec

MOST_INNER = 100_000
Find = Callable[[str], NodeSpec | None]
Classes = Mapping[tuple[Find, str], Digest]
_nonces = itertools.count(1)


class Inside:
    """What ran inside one call of a node.

    `keys` are those of what the node took from there. `classes` are all that took part, with the digests of their code.
    `doubt` says in words why nobody can tell whether they would give the same again, or is None.
    """

    __slots__ = ("classes", "doubt", "keys")

    def __init__(self, keys: Sequence[NodeKey], classes: Classes, doubt: str | None) -> None:
        self.keys = keys
        self.classes = classes
        self.doubt = doubt

    def complete(self, own: NodeKey) -> NodeKey:
        """Return the key of a node's result, made of its own and of the keys of what ran inside."""
        keys = {key.full for key in self.keys}
        if own.full is None or None in keys:
            return own.forgotten()
        full = xxh3_128_digest(own.full + b"inner" + b"".join(sorted(key for key in keys if key is not None)))
        durable = own.durable and all(key.durable for key in self.keys)
        reusable = own.reusable and all(key.reusable for key in self.keys)
        return own._replace(full=full, durable=durable, reusable=reusable)


def join(several: Sequence[Inside]) -> Inside:
    """Return as one what ran inside a call in several ways."""
    if len(several) == 1:
        return several[0]
    keys = [key for each in several for key in each.keys]
    classes = {named: code for each in several for named, code in each.classes.items()}
    return Inside(keys, classes, next((each.doubt for each in several if each.doubt is not None), None))


def unfinished(what: str) -> Inside:
    """Return what stands for a run that came to no result: its node has seen something that cannot be seen again."""
    nonce = xxh3_128_digest(b"unfinished" + struct.pack("<Q", next(_nonces)))
    return Inside([NodeKey(nonce, nonce, False, False, b"")], {}, what)


class _Made:
    """A completed key, and whether it still holds."""

    __slots__ = ("classes", "doubt", "key")

    def __init__(self, key: NodeKey, inside: Inside) -> None:
        self.key = key
        self.classes = inside.classes
        self.doubt = inside.doubt

    def change(self) -> str | None:
        """Return in words why the result cannot be used again, or None."""
        if self.doubt is not None:
            return self.doubt
        for (find, class_type), code in self.classes.items():
            spec = find(class_type)
            if spec is None or _doubt_of(spec) is not None or _code_of(spec) != code:
                return f"{class_type}, which runs inside it, changed"
        return None


def _doubt_of(spec: NodeSpec) -> str | None:
    if spec.cache == "off":
        return "whose cache is off"
    return None if spec.fingerprint is None else "which may read something else by now"


def _code_of(spec: NodeSpec) -> Digest | None:
    try:
        return spec.code()
    except Exception:  # a class's code may not be readable any more; then it is not what it was
        return None


class Inner:
    """What is known of what ran inside nodes, by the nodes' own keys.

    `revision` is 0 as long as nothing is known, and another one after each news.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._made: OrderedDict[bytes, _Made] = OrderedDict()
        self._by_full: dict[bytes, _Made] = {}
        self._lock = threading.Lock()

    def note(self, own: NodeKey, inside: Inside) -> NodeKey:
        """Note what ran inside a node that has this key of its own; return the completed key."""
        key = inside.complete(own)
        if own.full is None or key.full is None:
            return key
        made = _Made(key, inside)
        with self._lock:
            old = self._made.pop(own.full, None)
            if old is not None and old.key.full is not None:
                self._by_full.pop(old.key.full, None)
            self._made[own.full] = self._by_full[key.full] = made
            if len(self._made) > MOST_INNER:
                _, oldest = self._made.popitem(last=False)
                self._by_full.pop(oldest.key.full or b"", None)
            if old is None or (old.key, old.classes, old.doubt) != (made.key, made.classes, made.doubt):
                self.revision += 1
        return key

    def knows(self, key: NodeKey) -> bool:
        """Whether something is known to run inside a node that has this key of its own."""
        return key.full in self._made

    def complete(self, key: NodeKey) -> NodeKey:
        """Complete a node's own key; its `full` is unknown where what runs inside may be something else by now."""
        made = self._made.get(key.full) if key.full is not None else None
        if made is None:
            return key
        return key._replace(full=None) if made.change() is not None else made.key

    def change(self, own: bytes) -> str | None:
        """Return in words why the result of a node with this key of its own cannot be used again, or None."""
        made = self._made.get(own)
        return made.change() if made is not None else None

    def inside(self, wanted: Sequence[NodeKey], made: Iterable[tuple[Step, NodeKey]], find: Find) -> Inside:
        """Return what ran inside a call: the `wanted` keys were taken, and all of these nodes took part."""
        classes: dict[tuple[Find, str], Digest] = {}
        doubt: str | None = None
        for step, key in made:
            classes[find, step.class_type] = step.code
            doubt = doubt or _doubt(step)
            within = self._by_full.get(key.full) if key.full is not None else None
            if within is not None:
                classes.update(within.classes)
                doubt = doubt or within.doubt
        return Inside(wanted, classes, doubt)


def _doubt(step: Step) -> str | None:
    what = _doubt_of(step.spec)
    if what is None and not (step.cacheable and step.head.reusable):
        what = "whose result cannot be used again"
    return None if what is None else f"{step.named} runs inside it, {what}"
