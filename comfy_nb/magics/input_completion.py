"""Completion of a node's inputs inside its call, which IPython cannot do while jedi is off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from comfy_nb.graph.handle import NodeFactory
from comfy_nb.graph.namespace import Nodes

_PATH_BEFORE = re.compile(r"([^\W\d]\w*(?:\.\w+)*)\s*$")
_ARGUMENT_BEGINS = re.compile(r"[(,]\s*(\w*)$")
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")


def inputs_at_cursor(text: str, names: Mapping[str, Any]) -> list[str]:
    """Return `input=` for each input that the node call at the end of `text` does not have yet."""
    begun = _ARGUMENT_BEGINS.search(text)
    if begun is None:
        return []
    text = _STRING.sub(lambda found: "_" * len(found.group()), text)
    start = _open_bracket(text)
    path = _PATH_BEFORE.search(text[:start]) if start >= 0 else None
    called = _resolve(path.group(1).split("."), names) if path is not None else None
    if not isinstance(called, NodeFactory):
        return []
    given = set(re.findall(r"(\w+)\s*=(?!=)", text[start:]))
    inputs = called.spec.interface().declared
    return [f"{name}=" for name in inputs if name.startswith(begun.group(1)) and name not in given]


def _open_bracket(text: str) -> int:
    """Return the index of the last parenthesis that is not closed, or -1."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        if text[place] in ")]}":
            depth += 1
        elif text[place] in "([{":
            if depth == 0:
                return place if text[place] == "(" else -1
            depth -= 1
    return -1


def _resolve(path: list[str], names: Mapping[str, Any]) -> Any:
    """Return the object that a dotted name stands for, or None where finding out would run other people's code."""
    found = names.get(path[0])
    for name in path[1:]:
        if isinstance(found, ModuleType):
            found = vars(found).get(name)
        elif not isinstance(found, Nodes) or name not in found:
            return None
        else:
            found = found[name]
    return found
