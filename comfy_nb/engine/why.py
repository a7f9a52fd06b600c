"""Why a node ran or did not: what has changed since the last run of this node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.keys import never_equal
from comfy_nb.engine.planning.step import Step
from comfy_nb.graph.check import InLink
from comfy_nb.spec.fingerprint import copied_for, digest_of, last_superseded, sampled_in, unreadable_in
from comfy_nb.spec.ledger import code_changes, unreadable_in_code
from comfy_nb.wording import CONSTANT_ADVICE, format_size, short

FIRST = "first run"
ALWAYS = "fingerprint said always"
UNFINISHED = "it did not finish when it ran last"
CACHED = "from an earlier run"
EQUAL = "an equal node of this run was there already; its result is shared"
KEY_BYTES = 16
UPLOAD = "_upload"  # what the options of inputs that name a file end with: image_upload, audio_upload


def differences(old: NodeRun, new: NodeRun) -> list[str]:
    """Describe what changed between two runs of a node."""
    found = []
    before, now = old.step, new.step
    if before.class_type != now.class_type:
        return [f"its class changed: {before.class_type} -> {now.class_type}"]
    if before.code != now.code:
        found += code_changes(before.code.value, now.code.value)
    if fresh_of(new) and fresh_of(new) != fresh_of(old):
        found.append("fresh() asked for a new result")
    if before.modes is not now.modes:
        found += now.modes.changes(before.modes, now.spec.grad)
    if not _is_same(old.fingerprint, new.fingerprint):
        found += _fingerprint_changes(before, now)
    found += _input_differences(old, new)
    if not found and before.head.value != now.head.value:
        digests = {name: digest_of(value) for name, value in now.template.items()}
        if now.head.continues(before.head):
            computed = [name for name, each in digests.items() if each.apart]
            found += [f"a cached property of input `{name}` was computed" for name in computed]
        else:
            found += [_changed(name, now.template[name]) for name, each in digests.items() if not each.fixed]
    return found


def _fingerprint_changes(before: Step, now: Step) -> list[str]:
    """Say that a fingerprint changed, or which file did; of another file the input tells."""
    declared = now.spec.interface().declared
    files = [name for name, entry in declared.items() if any(each.endswith(UPLOAD) for each in entry.options)]
    constant = [name for name in files if type(now.template.get(name)) is str]
    if not constant:
        return ["its fingerprint changed"]
    same = [now.template[name] for name in constant if now.template[name] == before.template.get(name)]
    return [f"the file {short(name)} changed" for name in same]


def _changed(name: str, value: Any) -> str:
    digest_of(value)
    if (superseded := last_superseded()) is not None:
        return f"input `{name}` is of a class {superseded} that was defined again"
    return f"input `{name}` was changed in place"


def unreadable(node_run: NodeRun) -> str | None:
    """Return in words what a node reads that may have changed unnoticed; None if there is nothing.

    >>> unreadable(node_run)
    'input `client` is a value of class Client'
    """
    step = node_run.step
    if step.head.reusable:
        return None
    inputs = ((name, unreadable_in(value)) for name, value in step.template.items())
    given = [f"input `{name}` is {what}" for name, what in inputs if what is not None]
    return "; ".join(given) or unreadable_in_code(step.code.value) or "its code reads an object"


def fresh_of(node_run: NodeRun) -> int:
    """Return the number that `fresh()` gave the node, or 0."""
    extras = node_run.step.extras
    return extras.get("fresh", 0) if extras else 0


def _links(node_run: NodeRun) -> dict[str, tuple[InLink, bytes]]:
    """Return a node's links by name, each with the key of the node above (empty for a lazy link)."""
    above = node_run.key.above
    keys = (above[start : start + KEY_BYTES] for start in range(0, len(above), KEY_BYTES))
    return {link.name: (link, b"" if link.lazy else next(keys, b"")) for link in node_run.step.links}


def _input_differences(old: NodeRun, new: NodeRun) -> list[str]:
    found = []
    old_links, new_links = _links(old), _links(new)
    was, is_now = old.step.template, new.step.template
    for name in dict.fromkeys([*was, *is_now]):
        if name not in was:
            found.append(f"input `{name}` is new")
        elif name not in is_now:
            found.append(f"input `{name}` is gone")
        elif name in old_links and name in new_links:
            (before, key_before), (now, key_now) = old_links[name], new_links[name]
            if key_before != key_now and before.origin == now.origin:
                may_recur = new.key.reusable
                what = "changed" if may_recur else "may have changed"
                above = "has a different result" if may_recur else "ran again"
                found.append(f"input `{name}` {what}: node {now.origin} above {above}")
            elif key_before != key_now or before.slot != now.slot:
                found.append(f"input `{name}` changed: it is linked to node {now.origin}[{now.slot}] now")
        elif name in old_links or name in new_links:
            found.append(f"input `{name}` changed: {_shown(was, old_links, name)} -> {_shown(is_now, new_links, name)}")
        elif not _is_same(was[name], is_now[name]):
            found.append(f"input `{name}` changed {_pair(was[name], is_now[name])}")
    return found


def _shown(template: Mapping[str, Any], links: Mapping[str, tuple[InLink, bytes]], name: str) -> str:
    if name in links:
        return f"node {links[name][0].origin}[{links[name][0].slot}]"
    return short(template[name])


def _pair(old: Any, new: Any) -> str:
    before, now = short(old), short(new)
    return f"{before} -> {now}" if before != now else f"({now} with other content)"


def _how_compared(inputs: Mapping[str, Any]) -> str:
    """Say which inputs are too large to be compared in full, and which are copied from an accelerator for it."""
    found = []
    for name, value in inputs.items():
        if (what := sampled_in(value)) is not None:
            found.append(f"; input `{name}` is {what}, of which samples were compared")
        for device, size in copied_for(value).items():
            found.append(f"; {format_size(size)} of input `{name}` were copied from {device} to be compared")
    return "".join(found)


def _is_same(old: Any, new: Any) -> bool:
    if old is new:
        return not never_equal(new)
    return digest_of(old) == digest_of(new) and not never_equal(new)


def reason(node_run: NodeRun, old: NodeRun | None, lost: str | None, is_twin: bool = False) -> str:
    """Return why a needed node ran, or why it did not have to; `is_twin`: an equal node of its run ran."""
    step = node_run.step
    if node_run.is_blocked:
        return f"it was not called: {node_run.skips[0].reason}"
    if node_run.source == "replaced":
        return "its value was replaced at a breakpoint"
    if node_run.source == "shared":
        return "an equal node was running already; its result is shared"
    if node_run.source == "disk":
        return "from an earlier run, on disk" + _how_compared(step.template)
    if node_run.source == "memory":
        return (EQUAL if is_twin else CACHED) + _how_compared(step.template)
    if step.spec.cache == "off" or (step.extras and step.extras.get("no_cache")):
        return "its cache is off"
    if node_run.fingerprint is not None and never_equal(node_run.fingerprint):
        return ALWAYS
    if (what := unreadable(node_run)) is not None:
        return f"{what}, which may have changed. {CONSTANT_ADVICE}"
    if old is None:
        return "fresh() asked for a new result" if fresh_of(node_run) else FIRST
    changes = differences(old, node_run)
    if changes:
        return "; ".join(changes)
    if old.state is not NodeState.DONE:
        return UNFINISHED
    if lost is not None:
        return lost
    if old.key.full == node_run.key.full and node_run.key.full is not None:
        return "it was not kept"
    if old.key.full is None or node_run.key.full is None:
        return (
            "a result of it was not cached: a value above it was replaced at a breakpoint or cannot be cached, "
            "or torch's settings changed during the run"
        )
    return "the lazy inputs it uses changed"


def unfinished_yet(node_run: NodeRun, state: RunState) -> str:
    """Return that a node has no result yet, and what it waits for beside other nodes."""
    queued = state.event_log.queued.get(node_run.step.id)
    return "has not finished yet" + (f": it {queued.reason}" if queued is not None else "")


def why_unfinished(node_run: NodeRun, state: RunState) -> str:
    """Return why a needed node has no result; a sentence that begins with the node."""
    node_id, scheduler = node_run.step.id, state.scheduler
    failure = next((each for each in state.failures if node_id in (each.node_id, each.real_node_id)), None)
    if failure is not None:
        return f"failed: {failure.args[0]}"
    if node_run.state is NodeState.FAILED:
        return "failed"
    if node_run.state is NodeState.GIVEN_UP and scheduler is not None:
        return f"did not run: it waits for {scheduler.failed_above[node_id].step.named}, which failed"
    queued = state.event_log.queued.get(node_id)
    while_waiting = f" while it waited for {queued.waits_for}" if queued is not None else ""
    return f"did not finish: the run {state.status.in_words}{while_waiting}"
