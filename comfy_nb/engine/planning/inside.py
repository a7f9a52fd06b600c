"""What runs inside nodes, in expansions and in runs that a node starts, and which results were made of it.

A node's own key says nothing of that. Once the node has run, its key is completed by the keys of what it took from
there, and its result is used again only as long as the classes that took part are what they were.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from xxhash import xxh3_128_digest

from comfy_nb.engine.planning.step import NodeKey, Step, nonce
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.node_spec import NodeSpec

MOST_KNOWN = 100_000
Find = Callable[[str], NodeSpec | None]


class Named(NamedTuple):
    """A class by its name, where `find` looks it up: in a registry, which cannot be hashed itself."""

    find: Find
    class_type: str


Classes = Mapping[Named, Digest]
Asked = dict[Named, Digest | None]
"""What the code of classes is by now, each asked once; None where nobody can tell whether it gives the same again."""


class Inside(NamedTuple):
    """What ran inside one call of a node.

    `taken` are the keys of what the node took from there. `classes` are all that took part, with the digests of their
    code. `doubt` says in words why nobody can tell whether they would give the same again, or is None.
    """

    taken: Sequence[NodeKey]
    classes: Classes
    doubt: str | None

    def complete(self, own: NodeKey) -> NodeKey:
        """Return the key of a node's result, made of its own and of the keys of what was taken from inside."""
        keys = {key.full for key in self.taken}
        if own.own is None or None in keys:
            return own.forgotten()
        full = xxh3_128_digest(own.own + b"inside" + b"".join(sorted(key for key in keys if key is not None)))
        durable = own.durable and all(key.durable for key in self.taken)
        reusable = own.reusable and all(key.reusable for key in self.taken)
        return own._replace(full=full, durable=durable, reusable=reusable)

    def change(self, asked: Asked) -> str | None:
        """Return in words why the result cannot be used again, or None."""
        if self.doubt is not None:
            return self.doubt
        for named, code in self.classes.items():
            if named not in asked:
                spec = named.find(named.class_type)
                asked[named] = None if spec is None or _doubt_of(spec) is not None else code_of(spec)
            if asked[named] != code:
                return f"{named.class_type}, which runs inside it, changed"
        return None


def join(several: Sequence[Inside]) -> Inside:
    """Return as one what ran inside a call in several ways."""
    if len(several) == 1:
        return several[0]
    taken = [key for each in several for key in each.taken]
    classes: dict[Named, Digest] = {}
    doubts = [doubt for each in several for doubt in (each.doubt, _add(classes, each.classes))]
    return Inside(taken, classes, next(filter(None, doubts), None))


def unfinished(what: str) -> Inside:
    """Return what stands for a run that came to no result: its node has seen something that cannot be seen again."""
    key = xxh3_128_digest(b"unfinished" + nonce())
    return Inside([NodeKey(key, key, key, False, False, b"")], {}, what)


def _add(classes: dict[Named, Digest], more: Classes) -> str | None:
    """Add classes to others; return a doubt where one of them was edited between the two."""
    edited = [named.class_type for named, code in more.items() if classes.get(named, code) != code]
    classes.update(more)
    return f"{edited[0]}, which runs inside it, changed while it ran" if edited else None


def _doubt_of(spec: NodeSpec) -> str | None:
    if spec.cache == "off":
        return "whose cache is off"
    return None if spec.fingerprint is None else "which may read something else by now"


def _doubt(step: Step) -> str | None:
    what = _doubt_of(step.spec) if step.cacheable else "whose cache is off"
    if what is None and not step.head.reusable:
        what = "which reads what may have changed"
    return None if what is None else f"{step.named} runs inside it, {what}"


def code_of(spec: NodeSpec) -> Digest | None:
    """Return the digest of a class's code, or None where that cannot be read."""
    try:
        return spec.code()
    except Exception:  # a class's code may not be readable any more; then it is not what it was
        return None


class KnownInside:
    """What is known of what ran inside nodes, by the nodes' own keys.

    `revision` is 0 as long as nothing is known, and another one after each news.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._known: OrderedDict[bytes | None, tuple[NodeKey, Inside]] = OrderedDict()
        self._lock = threading.Lock()

    def learn(self, own: NodeKey, inside: Inside) -> NodeKey:
        """Note what ran inside a node that has this key of its own; return the completed key."""
        key = inside.complete(own)
        if own.own is None or key.full is None or not own.reusable:
            return key
        with self._lock:
            if self._known.get(own.own) != (key, inside):
                self.revision += 1
            self._known[own.own] = (key, inside)
            self._known.move_to_end(own.own)
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return key

    def __contains__(self, key: NodeKey) -> bool:
        """Whether something is known to run inside a node that has this key of its own."""
        return key.own in self._known

    def complete(self, key: NodeKey, asked: Asked | None = None) -> NodeKey:
        """Complete a node's own key; its `full` is unknown where what runs inside may be something else by now.

        Whoever completes several keys at once passes one `asked`, so that no class is asked twice.
        """
        known = self._known.get(key.own)
        if known is None:
            return key
        completed, inside = known
        if inside.change({} if asked is None else asked) is not None:
            return key._replace(full=None)
        return key._replace(full=completed.full, durable=completed.durable, reusable=completed.reusable)

    def change(self, key: NodeKey) -> str | None:
        """Return in words why the result of a node with this key of its own cannot be used again, or None."""
        known = self._known.get(key.own)
        return known[1].change({}) if known is not None else None

    def gather(self, taken: Sequence[NodeKey], took_part: Iterable[tuple[Step, NodeKey]], find: Find) -> Inside:
        """Return what ran inside a call: these keys were taken from there, and these nodes took part."""
        classes: dict[Named, Digest] = {}
        doubt: str | None = None
        for step, key in took_part:
            doubt = doubt or _doubt(step) or _add(classes, {Named(find, step.class_type): step.code})
            if key.full == key.own:
                continue
            known = self._known.get(key.own)
            if known is None or known[0].full != key.full:
                doubt = doubt or f"what runs inside {step.named} changed while it ran"
            else:
                doubt = doubt or known[1].doubt or _add(classes, known[1].classes)
        return Inside(taken, classes, doubt)
