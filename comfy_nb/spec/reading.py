"""The ways to read a node class, in a list that is open to other ways of writing one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_nb.errors import SpecError
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.v1 import is_v1, spec_from_v1

Reader = Callable[[Any, str, str], NodeSpec | None]


def read_spec(cls: Any, class_type: str, display_name: str) -> NodeSpec | None:
    """Return a spec as it is."""
    return cls if isinstance(cls, NodeSpec) else None


def read_v1(cls: Any, class_type: str, display_name: str) -> NodeSpec | None:
    """Read a class written to ComfyUI's V1 contract."""
    return spec_from_v1(cls, class_type, display_name) if is_v1(cls) else None


READERS: list[Reader] = [read_spec, read_v1]


def spec_of(cls: Any, class_type: str, display_name: str = "") -> NodeSpec:
    """Make the spec of a node class by the first of `READERS` that can read it.

    A reader is called with the class, its class type and its display name ("" for none), and returns None for a class
    that it does not read. Raises SpecError if none can read the class.
    """
    for reader in READERS:
        spec = reader(cls, class_type, display_name)
        if spec is not None:
            return spec
    raise SpecError(
        f"{class_type!r} is {cls!r}, which is not a ComfyUI node class (it needs INPUT_TYPES and FUNCTION)."
    )
