"""Digests of values by what they hold: two values share one only if no node can tell them apart.

What a value is counts, not where it lies. `spec.contents` says for each class what its values hold. A value of which
that is not known, or that may change unseen, is known by its identity, and its digest is not reusable.
"""

from __future__ import annotations

import enum
import threading
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.attributes import held_by, of_class
from comfy_nb.spec.declared import constant, declared_constant
from comfy_nb.spec.digest import PLAIN, PROCESS, Digest, combine, encode_plain, is_plain, is_short
from comfy_nb.spec.ledger import OWN_CODE, Marks
from comfy_nb.spec.locality import installed_name
from comfy_nb.spec.readers import UNCHANGEABLE, Code, Mark, Parts, Unreadable, known_of, refuse_any_global
from comfy_nb.wording import class_name

DEEPEST = 120
MOST_OBJECTS = 200_000
HELD = ()
"""What stands among plain parts in the place of one that is not plain, and has a digest of its own."""
OWN_KEY = "__comfy_nb_key__"
IS_CODE = (types.FunctionType, type)
SHARED_BY_ALL = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, enum.Enum)


def digest_of(value: Any) -> Digest:
    """Digest any value by what it holds; never raises."""
    try:
        if type(value) in PLAIN:
            whole = encode_plain(value) if is_short(value) else b"large" + xxh3_128_digest(value)
            return Digest(xxh3_128_digest(whole), fixed=True)
        return _here.reading.noted(value) if type(value) is Digest else _here.reading.read(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a class may refuse to be hashed or compared, by an exit too
        return _here.reading.give_up(value, f"a value of class {class_name(value)}")


def digest_together(tag: bytes, values: Iterable[Any]) -> tuple[Digest, list[Digest]]:
    """Digest a tag and values in one reading, all together and each: they may share parts, and classes are read once.

    What was computed of a value (see `_Reading`) is in the first digest only.
    """
    return _here.reading.read_together(tag, values)


def unreadable_in(value: Any) -> str | None:
    """Return what keeps a value from having a reusable digest, in words ("a generator"), or None if nothing does."""
    return None if digest_of(value).reusable else last_unreadable()


def last_unreadable() -> str:
    """Return what this thread could not read in the last value that it digested."""
    return _here.reading.unreadable or "an object"


def note_sampled(what: str) -> None:
    """Note that of what this thread is reading only samples are compared."""
    _here.reading.sampled = what


def sampled_in(value: Any) -> str | None:
    """Return of what in a value only samples are compared, in words ("a module of 2.1 GB"), or None."""
    digest_of(value)
    return _here.reading.sampled if type(value) not in PLAIN else None


def note_superseded(kind: str) -> None:
    """Note that what this thread is reading has a class that was defined again since, by its name."""
    _here.reading.superseded = kind


def last_superseded() -> str | None:
    """Return the name of a class in the last value that this thread digested that was defined again since, if any."""
    return _here.reading.superseded


def note_copied(device: str, size: int) -> None:
    """Note that this thread has copied so many bytes from a device to read them."""
    copied = _here.reading.copied
    copied[device] = copied.get(device, 0) + size


def copied_for(value: Any) -> Mapping[str, int]:
    """Return how many bytes of a value are copied from each device, other than main memory, for its digest."""
    digest_of(value)
    return _here.reading.copied if type(value) not in PLAIN else {}


def digest_code(code: Code) -> tuple[Digest, Marks | None]:
    """Digest code with all that it names; the marks tell what each name added, None where this is part of a value."""
    return _here.reading.read_code(code)


class _Reading:
    """What a thread is reading: one value, with all that it holds.

    One that is met again inside itself, or elsewhere in a cycle that is still being read, stands for the number of
    values since: so equal cycles have equal digests. One that was read before stands for its number among those that
    can change: two places that share one value differ from two that have equal ones. So nothing is read twice. Classes
    and functions of equal code are numbered: whether an object is of this class or of another can be asked.

    What cached properties of the person's classes hold is read last, so that the digest of the rest is the same with
    and without them.
    """

    __slots__ = (
        "_before",
        "_computed",
        "_count",
        "_depth",
        "_done",
        "_equal",
        "_mark",
        "_marks",
        "_number",
        "_open",
        "_own",
        "_path",
        "_places",
        "_reaches",
        "_within",
        "copied",
        "sampled",
        "superseded",
        "unreadable",
    )

    def __init__(self) -> None:
        self.unreadable: str | None = None
        self.sampled: str | None = None
        self.superseded: str | None = None
        self.copied: dict[str, int] = {}
        self._depth = 0
        self._begin()

    def _begin(self) -> None:
        self._done: dict[int, tuple[Any, Digest, int]] = {}
        self._open: dict[int, tuple[Any, int]] = {}
        self._equal: dict[bytes, int] = {}
        self._path: list[int] = []
        self._computed: list[tuple[bytes, Mark, Any]] = []
        self._within = b""
        self._marks: Marks | None = None
        self._mark: Mark = OWN_CODE
        self._own: list[bytes] | None = None
        self._number = self._reaches = self._count = self._before = self._places = 0

    def read(self, value: Any) -> Digest:
        """Return the digest of a value that is not plain."""
        return self._read(value) if self._depth else self._whole(self._read, value)

    def read_together(self, tag: bytes, values: Iterable[Any]) -> tuple[Digest, list[Digest]]:
        """Return the digest of a tag and of values that may share parts, and that of each of these."""
        each: list[Digest] = []

        def read() -> Digest:
            each.extend(digest_of(value) for value in values)
            return combine(tag, each)

        return (read() if self._depth else self._whole(read)), each

    def read_code(self, code: Code) -> tuple[Digest, Marks | None]:
        """Return the digest of code that is no value itself, and what its names added to it."""
        if self._depth:
            return self._digest_code(code), None
        marks = Marks()
        return self._whole(self._marked, marks, code), marks

    def _marked(self, marks: Marks, code: Code) -> Digest:
        self._marks, self._own = marks, marks.own.setdefault(OWN_CODE, [])
        return self._digest_code(code)

    def _whole(self, read: Callable[..., Digest], *what: Any) -> Digest:
        self.unreadable = self.sampled = self.superseded = None
        self.copied = {}
        self._depth = 1
        try:
            found = read(*what)
            return self._with_computed(found) if self._computed else found
        finally:
            self._depth = 0
            self._begin()

    def _with_computed(self, rest: Digest) -> Digest:
        found: dict[bytes, Digest] = {}
        for place, mark, item in self._computed:  # what it holds may have computed something itself, which is added
            self._within, self._before = place, self._count
            each = combine(b"computed " + place, [self._read_named(mark, item)])
            found[each.value] = each
        whole = combine(b"with computed", [rest, *(found[value] for value in sorted(found))])
        return whole._replace(apart=(rest.value, frozenset(found)))

    def _read(self, value: Any) -> Digest:
        key, number = id(value), self._number
        self._number += 1
        if key in self._done:
            _, found, place = self._done[key]
            is_code = issubclass(type(value), IS_CODE)
            if self._own is not None and not is_code:
                self._own.append(found.value if found.fixed else b"shared")
            if found.fixed or is_code or issubclass(type(value), SHARED_BY_ALL):
                return found
            return found._replace(value=xxh3_128_digest(b"the one at %d" % place))
        if key in self._open:
            met = self._open[key][1]
            self._reaches = min(self._reaches, met)
            return Digest(xxh3_128_digest(b"met %d ago" % (number - met)))
        self._count += 1
        if self._depth >= DEEPEST or self._count > MOST_OBJECTS:
            return self.give_up(value, "a value too deep or too large to be read at each run")
        self._open[key] = (value, number)
        self._path.append(key)
        outer, self._reaches = self._reaches, number
        self._depth += 1
        try:
            found = self._digest(value)
        finally:
            self._depth -= 1
        if self._reaches == number:
            self._close(key, found)
            found, self._number = self._done[key][1], number + 1
        self._reaches = min(self._reaches, outer)
        return found

    def _close(self, key: int, found: Digest) -> None:
        """Note the digest of a value that holds nothing still being read, and those of the rest of its cycle."""
        first, member = self._open[key][1], 0
        while member != key:
            member = self._path.pop()
            value, number = self._open.pop(member)
            known = combine(b"member %d" % (number - first), [found]) if number > first else found
            if issubclass(type(value), IS_CODE) and not known.fixed:
                known = self._told_apart(known)
            self._places += not known.fixed and not issubclass(type(value), SHARED_BY_ALL)
            self._done[member] = (value, known, self._places)

    def _told_apart(self, code: Digest) -> Digest:
        """Return the digest of a class or function that may not be the first of these with equal code."""
        before = self._equal.get(code.value, 0)
        self._equal[code.value] = before + 1
        return combine(b"equal to %d before" % before, [code], may_change=True) if before else code

    def _digest(self, value: Any) -> Digest:
        # A bare object is nothing but itself.
        declared = declared_constant(constant(value) if type(value) is object else value)
        if declared is not None:
            return self.noted(declared)
        try:
            return self._digest_parts(type(value), self._parts_of(value))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a closed picture, a half-made object: foreign values may fail in any way
            known = isinstance(error, Unreadable) and str(error)
            return self.give_up(value, known or f"a value of class {class_name(value)}")

    def _parts_of(self, value: Any) -> Parts:
        kind = type(value)
        if of_class(kind, OWN_KEY) is not None:
            return (getattr(kind, OWN_KEY)(value),)
        known = known_of(kind)
        if known.installed and (found := installed_name(value)) is not None:
            refuse_any_global(found)
            return Digest(xxh3_128_digest(b"installed " + found.encode()), fixed=True)
        for name, item in known.computed_of(value) if known.computed else ():
            place = f" {self._count - self._before} {name}"
            self._computed.append((self._within + place.encode(), self._mark, item))
        return known.parts(value)

    def _digest_parts(self, kind: type, parts: Parts) -> Digest:
        if type(parts) is Digest:
            return self.noted(parts)
        if type(parts) is Code:
            return self._digest_code(parts)
        tag = self._tag(kind)
        kinds = set(map(type, parts))
        if kinds <= PLAIN and (bytes not in kinds or all(map(is_short, parts))):
            plain = encode_plain(tuple(parts))
            self._note(tag, plain)
            whole = xxh3_128_digest(tag.value + plain)
            return Digest(whole, tag.durable, tag.reusable, tag.fixed and kind in UNCHANGEABLE)
        plain = encode_plain(tuple([part if is_short(part) else HELD for part in parts]))
        self._note(tag, plain)
        held = [digest_of(part) for part in parts if not is_short(part)]
        return combine(b"parts" + tag.value + plain, [tag, *held], may_change=kind not in UNCHANGEABLE)

    def _digest_code(self, code: Code) -> Digest:
        names: list[Any] = []
        held: list[Digest] = []
        own = code.parts
        if not PLAIN.issuperset(map(type, own)):
            others = [part for part in own if not is_plain(part)]
            own = [part if is_plain(part) else HELD for part in own]
            held += [self._tag(part) if issubclass(type(part), type) else digest_of(part) for part in others]
        plain = encode_plain(tuple(own))
        if self._own is not None:
            self._own.append(plain)
        for mark, value in code.named:
            if is_short(value):
                names += (*mark, value)
                if self._marks is not None:
                    self._marks.note(mark, value)
            else:
                names += (*mark, HELD)
                held.append(self._read_named(mark, value))
        found = combine(b"code" + encode_plain((plain, *names)), held, may_change=True)
        if code.unreadable is None:
            return found
        self._note_unreadable(code.unreadable)
        return found._replace(reusable=False)

    def _read_named(self, mark: Mark, value: Any) -> Digest:
        """Return the digest of a value, and note under its mark what it adds to that of the code."""
        marks = self._marks
        if marks is None:
            return digest_of(value)
        outer = self._mark, self._own
        self._mark, self._own = mark, marks.own.setdefault(mark, [])
        try:
            for held in held_by(value) if type(value) is types.CellType else ():
                if is_plain(held):
                    marks.shown[mark] = held
            return digest_of(value)
        finally:
            self._mark, self._own = outer

    def _note(self, tag: Digest, plain: bytes) -> None:
        if self._own is not None:
            self._own += (tag.value, plain) if tag.fixed else (plain,)

    def noted(self, found: Digest) -> Digest:
        """Return a digest, after noting that it was added under the mark that is read."""
        if self._own is not None:
            self._own.append(found.value)
        return found

    def _tag(self, kind: type) -> Digest:
        """Return the digest of a class; that of one that cannot change is remembered."""
        known = _tags.get(id(kind))
        if known is not None:
            self._number += 1
            return known[1]
        count, noted = self._count, len(self._own or ())
        tag = digest_of(kind)
        if tag.fixed:  # nothing is noted or counted of it, as when it is remembered
            _tags[id(kind)], self._count = (kind, tag), count
            del (self._own or [])[noted:]
        return tag

    def give_up(self, value: Any, reason: str) -> Digest:
        """Return the digest of a value that cannot be read; it is known by its identity, and not reusable."""
        self._note_unreadable(reason)
        found = Digest(xxh3_128_digest(PROCESS + b"object %d" % id(value)), durable=False, reusable=False)
        return self.noted(found)

    def _note_unreadable(self, reason: str) -> None:
        self.unreadable = self.unreadable or reason
        if self._marks is not None and self._marks.unreadable is None:
            self._marks.unreadable = (self._mark, reason)


# By id, since a class may refuse to be hashed.
_tags: dict[int, tuple[type, Digest]] = {}


class _Here(threading.local):
    def __init__(self) -> None:
        self.reading = _Reading()


_here = _Here()
