"""Why a node ran or did not: what is different from the last time this node was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comfy_nb.engine.keys import is_always
from comfy_nb.engine.schedule import Ticket
from comfy_nb.graph.check import InLink
from comfy_nb.graph.model import short
from comfy_nb.spec.fingerprint import digest_of

FIRST = "first run"
ALWAYS = "fingerprint said always"
CACHED = "from an earlier run"


class Record(NamedTuple):
    """What a node's key was made of in one run."""

    run_number: int
    class_type: str
    key: bytes | None
    code: bytes
    template: Mapping[str, Any]
    links: Sequence[InLink]
    above: tuple[bytes | None, ...]
    fingerprint: Any
    fresh: int


def record_of(ticket: Ticket, above: tuple[bytes | None, ...], run_number: int) -> Record:
    """Make the record of a node; `above` are the keys of what its links come from."""
    step = ticket.step
    fresh = step.extras.get("fresh", 0) if step.extras else 0
    return Record(
        run_number,
        step.class_type,
        ticket.key,
        step.code,
        step.template,
        step.links,
        above,
        step.fingerprint,
        fresh,
    )


def differences(old: Record, new: Record) -> list[str]:
    """Say in words what changed between two records of a node."""
    found = []
    if old.class_type != new.class_type:
        return [f"it is another class now: {old.class_type} -> {new.class_type}"]
    if old.code != new.code:
        found.append("code changed")
    if new.fresh and new.fresh != old.fresh:
        found.append("fresh() asked for it anew")
    if not _is_same(old.fingerprint, new.fingerprint):
        found.append("its fingerprint changed")
    return found + _input_differences(old, new)


def _input_differences(old: Record, new: Record) -> list[str]:
    found = []
    old_links = {link.name: (link, key) for link, key in zip(old.links, old.above, strict=True)}
    new_links = {link.name: (link, key) for link, key in zip(new.links, new.above, strict=True)}
    for name in dict.fromkeys([*old.template, *new.template]):
        if name not in old.template:
            found.append(f"input `{name}` is new")
        elif name not in new.template:
            found.append(f"input `{name}` is gone")
        elif name in old_links and name in new_links:
            (before, key_before), (now, key_now) = old_links[name], new_links[name]
            if key_before != key_now and before.origin == now.origin:
                found.append(f"input `{name}` changed: node {now.origin} above gives something else")
            elif key_before != key_now or before.slot != now.slot:
                found.append(f"input `{name}` changed: it comes from node {now.origin}[{now.slot}] now")
        elif name in old_links or name in new_links:
            found.append(f"input `{name}` changed: {_shown(old, old_links, name)} -> {_shown(new, new_links, name)}")
        elif not _is_same(old.template[name], new.template[name]):
            found.append(f"input `{name}` changed {_pair(old.template[name], new.template[name])}")
    return found


def _shown(record: Record, links: Mapping[str, tuple[InLink, bytes | None]], name: str) -> str:
    if name in links:
        return f"node {links[name][0].origin}[{links[name][0].slot}]"
    return short(record.template[name])


def _pair(old: Any, new: Any) -> str:
    before, now = short(old), short(new)
    return f"{before} -> {now}" if before != now else f"({now} with other content)"


def _is_same(old: Any, new: Any) -> bool:
    if old is new:
        return not is_always(new)
    return digest_of(old) == digest_of(new) and not is_always(new)


def reason(ticket: Ticket, old: Record | None, new: Record, lost: str | None) -> str:
    """Say why a needed node ran, or why it did not have to."""
    step = ticket.step
    if ticket.source == "shared":
        return "an equal node was running already; its result is shared"
    if ticket.source == "disk":
        return "from an earlier run, on disk"
    if ticket.source == "memory":
        return CACHED
    if step.spec.cache == "off" or (step.extras and step.extras.get("no_cache")):
        return "its cache is off"
    if step.fingerprint is not None and is_always(step.fingerprint):
        return ALWAYS
    if old is None:
        return "fresh() asked for it anew" if new.fresh else FIRST
    changes = differences(old, new)
    if changes:
        return "; ".join(changes)
    if old.key == new.key and new.key is not None:
        return lost or "evicted"
    return "the lazy inputs it uses changed"
