"""What digests of code were made of, name by name: for saying what changed, and what could not be read."""

from __future__ import annotations

from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.digest import encode_plain
from comfy_nb.spec.readers import Mark
from comfy_nb.wording import short

LEDGERS_KEPT = 4096
Ledger = dict[Mark, tuple[bytes, str]]
_ledgers: dict[bytes, Ledger] = {}
OWN_CODE: Mark = ("code", "")
UNREADABLE: Mark = ("", "unreadable")


class Marks:
    """What each named thing itself added to the digest of a piece of code.

    `own` has the bytes that count, `shown` the value where it is plain. `unreadable` is the first that could not be
    read, with the reason.
    """

    __slots__ = ("own", "shown", "unreadable")

    def __init__(self) -> None:
        self.own: dict[Mark, list[bytes]] = {}
        self.shown: dict[Mark, Any] = {}
        self.unreadable: tuple[Mark, str] | None = None

    def note(self, mark: Mark, value: Any) -> None:
        """Note a plain value under its mark."""
        self.own.setdefault(mark, []).append(encode_plain(value))
        if mark[1]:
            self.shown[mark] = value


def keep_marks(digest: bytes, marks: Marks) -> None:
    """Remember what each name itself added to a digest of code, unless that is known."""
    if digest not in _ledgers:
        keep_ledger(digest, _ledger(marks))


def _ledger(marks: Marks) -> Ledger:
    """Return the digest of what each name itself added, and a short form of the value if it is plain."""
    ledger: Ledger = {}
    for mark, own in marks.own.items():
        if own:  # else it was met under another name before
            shown = short(marks.shown[mark]) if mark in marks.shown else ""
            ledger[mark] = (xxh3_128_digest(b"".join(own)), shown)
    if marks.unreadable is not None:
        (kind, name), reason = marks.unreadable
        ledger[UNREADABLE] = (b"", f"{kind} `{name}` is {reason}" if name else f"its code reads {reason}")
    return ledger


def keep_ledger(digest: bytes, ledger: Ledger) -> None:
    """Remember what a digest of code was made of, for `code_changes`."""
    _ledgers[digest] = ledger
    if len(_ledgers) > LEDGERS_KEPT:
        del _ledgers[next(iter(_ledgers))]


def unreadable_in_code(code: bytes) -> str | None:
    """Return what keeps the code behind a digest from being known in full ("global `client` is a Client"), or None."""
    return _ledgers.get(code, {}).get(UNREADABLE, (b"", None))[1]


def code_changes(old: bytes, new: bytes) -> list[str]:
    """Describe how the code behind two digests differs; just "code changed" if that is not known."""
    before, now = _ledgers.get(old), _ledgers.get(new)
    if before is None or now is None:
        return ["code changed"]
    changed = [mark for mark in now if mark in before and before[mark][0] != now[mark][0] and mark != UNREADABLE]
    if not changed:
        changed = [mark for mark in now if mark not in before] + [mark for mark in before if mark not in now]
    return [_describe_change(mark, before, now) for mark in changed] or ["code changed"]


def _describe_change(mark: Mark, before: Ledger, now: Ledger) -> str:
    kind, name = mark
    named = f"{kind} `{name}`" if name else kind
    if mark not in before or mark not in now:
        return f"{named} is {'gone' if mark in before else 'new'}"
    old, new = before[mark][1], now[mark][1]
    return f"{named} changed {old} -> {new}" if old and new and old != new else f"{named} changed"
