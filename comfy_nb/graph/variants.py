"""The names of nodes that one function makes: variants of one name are numbered while they are in use."""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakValueDictionary

from comfy_nb.graph.handle import NodeFactory
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.registry import Registry

in_use: WeakValueDictionary[str, NodeFactory] = WeakValueDictionary()
"""The function nodes that somebody has, or has a handle of, by their class types."""


def free_name(spec: NodeSpec, registry: Registry) -> str:
    """Return the class type of a function, numbered if the one there is another variant of it that is in use."""
    name, number = spec.class_type, 1
    while (there := registry.find(name)) is not None and not _is_replaced(there, spec):
        number += 1
        name = f"{spec.class_type}_{number}"
    return name


def _is_replaced(old: NodeSpec, new: NodeSpec) -> bool:
    """Whether a definition takes the place of another: of an edited one, of an equal one, or of one that nobody has.

    A function that makes functions gives them one code object; a cell that is executed again has new ones.
    """
    before, now = _function_of(old), _function_of(new)
    if before is None or before.__code__ is not now.__code__:
        is_numbered = old.class_type != new.class_type
        return not is_numbered or (before is not None and before.__qualname__ == now.__qualname__)
    factory = in_use.get(old.class_type)
    return factory is None or factory.spec is not old or old.code() == new.code()


def _function_of(spec: NodeSpec) -> Any:
    """Return the function that was written, below its decorators; None for a class."""
    function = None if isinstance(spec.origin, type) else inspect.unwrap(spec.origin)
    return function if hasattr(function, "__code__") else None
