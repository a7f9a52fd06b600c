"""The registry of the node classes that graphs can use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from comfy_nb.errors import SpecError
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.unknown_classes import unknown_class


class Registry(Mapping[str, NodeSpec]):
    """Specs by class type. A later registration of a name replaces the earlier one.

    `fill` is called before the first use, and registers the nodes that come with the package.
    """

    def __init__(self, fill: Callable[[Registry], None] | None = None) -> None:
        self._specs: dict[str, NodeSpec] = {}
        self._fill = fill
        self._is_filled = fill is None
        self._lock = threading.RLock()

    def register(self, spec: NodeSpec) -> NodeSpec:
        """Add or replace a spec under its class type and return it."""
        if not spec.class_type:
            raise SpecError("A node needs a class type: the name by which graphs refer to it.")
        self._ensure_filled()
        with self._lock:
            self._specs[spec.class_type] = spec
        return spec

    def remove(self, class_type: str) -> None:
        """Remove a class; raises UnknownName if there is none of that name."""
        self._ensure_filled()
        with self._lock:
            if self._specs.pop(class_type, None) is None:
                raise unknown_class(class_type, self._specs)

    def find(self, class_type: str) -> NodeSpec | None:
        """Return the spec of that name, or None."""
        self._ensure_filled()
        return self._specs.get(class_type)

    def __getitem__(self, class_type: Any) -> NodeSpec:
        spec = self.find(class_type)
        if spec is None:
            raise unknown_class(class_type, self._specs)
        return spec

    def __contains__(self, class_type: object) -> bool:
        return isinstance(class_type, str) and self.find(class_type) is not None

    def __iter__(self) -> Iterator[str]:
        self._ensure_filled()
        return iter(list(self._specs))

    def __len__(self) -> int:
        self._ensure_filled()
        return len(self._specs)

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} node classes>"

    def _ensure_filled(self) -> None:
        if self._is_filled:
            return
        with self._lock:
            # While it fills, `register` gets here again on this thread; other threads wait for the lock.
            fill, self._fill = self._fill, None
            if fill is None:
                return
            try:
                fill(self)
            except BaseException:
                self._fill = fill
                raise
            self._is_filled = True
