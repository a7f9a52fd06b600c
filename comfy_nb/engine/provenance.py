"""Where the values that a session handed out came from; no value is kept alive for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from comfy_nb.spec.sockets import tensor_of_dict
from comfy_nb.wording import format_seconds

FROM = {
    "ran": "computed",
    "memory": "from the cache in memory",
    "disk": "from the cache on disk",
    "shared": "shared",
    "replaced": "put in its place at a breakpoint",
}


@dataclass(frozen=True)
class Provenance:
    """The node and output slot that a value came from.

    `socket` is the slot's type, None where it is not declared; `seconds` is the time inside the node's function;
    `source` is as in `events.NodeFinished`; `explain()` says why the node ran, in words, or nothing.
    """

    node_id: str
    slot: int
    socket: str | None
    named: str
    seconds: float
    source: str
    explain: Callable[[], str]

    def describe(self) -> str:
        """Return who made it, in how long, from which cache and why, in one line."""
        took = f" in {format_seconds(self.seconds)}" if self.source == "ran" else ""
        why = self.explain() if self.source not in ("memory", "replaced") else ""
        reason = f" ({why})" if why else ""
        return f"{self.named}, output {self.slot}: {FROM.get(self.source, self.source)}{took}{reason}"


class ProvenanceIndex:
    """Knows the tensors, and the dicts around tensors, that runs handed out, for as long as somebody holds them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Provenance]] = {}
        self._lock = threading.Lock()

    def record(self, value: Any, make: Callable[[], Provenance]) -> None:
        """Remember where a value came from; `make` is called for values that can be remembered."""
        tensor = _tensor_of(value)
        if tensor is None:
            return
        provenance = make()
        key = id(tensor)
        with self._lock:
            self._known[key] = (weakref.ref(tensor, lambda gone: self._forget(key, gone)), provenance)

    def of(self, value: Any) -> Provenance | None:
        """Return where a value came from, or None for a value that no run handed out."""
        tensor = _tensor_of(value)
        with self._lock:
            found = self._known.get(id(tensor)) if tensor is not None else None
        return found[1] if found is not None and found[0]() is tensor else None

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        found = self._known.get(key)
        if found is not None and found[0] is gone:
            self._known.pop(key, None)


def _tensor_of(value: Any) -> torch.Tensor | None:
    """Return the tensor by which a value is known again: a dict cannot be held weakly, what it holds can."""
    try:
        if issubclass(type(value), Mapping):
            value = tensor_of_dict(value)
        return value if issubclass(type(value), torch.Tensor) else None
    except KeyboardInterrupt:
        raise
    except BaseException:  # a foreign value may refuse to be asked for its class or items; then it is not known again
        return None
