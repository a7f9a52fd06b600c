"""Which values a session handed out, and who made them; it keeps none of them alive."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from comfy_nb.wording import format_seconds, name_node

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

FROM = {
    "ran": "computed",
    "memory": "from the cache in memory",
    "disk": "from the cache on disk",
    "shared": "shared",
    "replaced": "put in its place at a breakpoint",
}
_TENSORS_OF_DICTS = ("samples", "waveform")


@dataclass(frozen=True)
class Maker:
    """The node and output slot that a value came from. `socket` is the slot's type, None where it is not declared."""

    run: weakref.ref[Run]
    node_id: str
    slot: int
    socket: str | None
    named: str
    seconds: float
    source: str

    def say(self) -> str:
        """Tell who made it, in how long, from which cache and why, in one line."""
        took = f" in {format_seconds(self.seconds)}" if self.source == "ran" else ""
        run = self.run()
        is_known = run is not None and self.source not in ("memory", "replaced")
        why = f" ({run.why(self.node_id)})" if run is not None and is_known else ""
        return f"{self.named}, output {self.slot}: {FROM.get(self.source, self.source)}{took}{why}"


class Handed:
    """Knows the tensors, and the dicts around tensors, that runs handed out, for as long as somebody holds them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Maker]] = {}
        self._lock = threading.Lock()

    def note(self, value: Any, run: Run, node_id: str, slot: int) -> None:
        """Remember that a value came from an output of a run."""
        tensor = _tensor_of(value)
        if tensor is None:
            return
        maker = maker_in(run, node_id, slot)
        key = id(tensor)
        with self._lock:
            self._known[key] = (weakref.ref(tensor, lambda gone: self._forget(key, gone)), maker)

    def maker_of(self, value: Any) -> Maker | None:
        """Return who made a value, or None for a value that no run handed out."""
        tensor = _tensor_of(value)
        with self._lock:
            found = self._known.get(id(tensor)) if tensor is not None else None
        return found[1] if found is not None and found[0]() is tensor else None

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        found = self._known.get(key)
        if found is not None and found[0] is gone:
            self._known.pop(key, None)


def maker_in(run: Run, node_id: str, slot: int) -> Maker:
    """Return what a run knows of the making of one of its values."""
    node_run = run.node_run(node_id)
    step = node_run.step if node_run is not None else run.plan.steps[node_id]
    types = step.spec.return_types
    socket = types[slot] if slot < len(types) and isinstance(types[slot], str) else None
    seconds, source = (node_run.seconds, node_run.source) if node_run is not None else (0.0, "memory")
    named = name_node(step.id, step.class_type, step.title)
    return Maker(weakref.ref(run), node_id, slot, socket, named, seconds, source)


def _tensor_of(value: Any) -> torch.Tensor | None:
    """Return the tensor by which a value is known again: a dict cannot be held weakly, what it holds can."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in _TENSORS_OF_DICTS if name in value), None)
    return value if isinstance(value, torch.Tensor) else None
