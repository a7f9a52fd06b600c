"""Completion of a node's inputs inside its call, which IPython cannot do while jedi is off, and of their choices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from types import ModuleType
from typing import Any

from comfy_nb.errors import SpecError
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.graph.namespace import Nodes
from comfy_nb.spec.node_spec import InputSpec

_PATH_BEFORE = re.compile(r"(?<![\w.])([^\W\d]\w*(?:\.\w+)*)\s*$")
_ARGUMENT_BEGINS = re.compile(r"[(,]\s*(\w*)$")
_STRING_BEGINS = re.compile(r"(?:\b(?P<name>\w+)\s*=\s*|[(,]\s*)(?P<quote>['\"])(?P<typed>[^'\"\n]*)$")
_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")


def inputs_at_cursor(text: str, names: Mapping[str, Any]) -> list[str]:
    """Return `input=` for each input that the node call at the end of `text` does not have yet."""
    begun = _ARGUMENT_BEGINS.search(text)
    called = _called_at(text, names) if begun is not None else None
    if begun is None or called is None:
        return []
    inputs, arguments = called
    given = set(re.findall(r"\b(\w+)\s*=(?!=)", arguments))
    return [f"{name}=" for name in inputs if name.startswith(begun.group(1)) and name not in given]


def choices_at_cursor(text: str, names: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return what is typed of the string at the end of `text`, and the choices of its input that begin so."""
    begun = _STRING_BEGINS.search(_STRING.sub(_blanked, text))
    called = _called_at(text[: begun.start("quote")], names) if begun is not None else None
    if begun is None or called is None:
        return "", []
    inputs, arguments = called
    name = begun.group("name") or next(islice(inputs, _commas(arguments), None), "")
    typed = text[begun.start("typed") :]
    choices = (inputs[name].choices if name in inputs else None) or ()
    return typed, [each for each in choices if type(each) is str and each.startswith(typed)]


def _called_at(text: str, names: Mapping[str, Any]) -> tuple[Mapping[str, InputSpec], str] | None:
    """Return the inputs of the node whose call is open at the end of `text`, and its arguments so far."""
    text = _STRING.sub(_blanked, text)
    start = _open_bracket(text)
    path = _PATH_BEFORE.search(text[:start]) if start >= 0 else None
    called = _resolve(path.group(1).split("."), names) if path is not None else None
    if not isinstance(called, NodeFactory):
        return None
    try:
        return called.spec.interface().declared, text[start + 1 :]
    except SpecError:  # the call says why; a completion that fails prints a traceback below what is typed
        return None


def _blanked(string: re.Match[str]) -> str:
    return "_" * len(string.group())


def _commas(arguments: str) -> int:
    """Count the commas between the arguments, not those within them."""
    depth, number = 0, 0
    for letter in arguments:
        depth += (letter in "([{") - (letter in ")]}")
        number += letter == "," and depth == 0
    return number


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
