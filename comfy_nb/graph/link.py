"""Links, and how the inputs of nodes are written in prompts.

A prompt writes a link as `[node id, slot]`, and wraps a list that is a constant as `{"__value__": [...]}`. Whatever
leaves the package (files, `node.inputs`, PROMPT, expansions) has that form; inside, a link is a `Link`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from comfy_nb.wording import short


class Link(NamedTuple):
    """An output of a node, as another node takes it."""

    origin: str
    slot: int

    def as_list(self) -> list[Any]:
        """Return the link as a prompt has it."""
        return [self.origin, self.slot]

    def __str__(self) -> str:
        return f"#{self.origin}[{self.slot}]"


def is_link(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value is a link in a prompt: a list of a node id (str) and a slot (int or whole float, not bool)."""
    if not issubclass(type(value), list) or list.__len__(value) != 2:
        return False
    origin, slot = list.__iter__(value)
    if not issubclass(type(origin), str):
        return False
    is_whole = issubclass(type(slot), int) and type(slot) is not bool
    return is_whole or (issubclass(type(slot), float) and float.is_integer(slot))


def link_of(value: object) -> Link | None:
    """Return the link that an input of a prompt is, or None where it is a constant."""
    if type(value) is list and len(value) == 2:
        origin, slot = value
        if type(origin) is str and type(slot) is int:  # what nearly all are, at half the cost
            return tuple.__new__(Link, (origin, slot))
    return Link(value[0], int(value[1])) if is_link(value) else None


def links_in(inputs: Mapping[str, Any]) -> dict[str, Link]:
    """Return the links among the inputs of a prompt's node, by name."""
    return {name: link for name, value in inputs.items() if (link := link_of(value)) is not None}


def wrap_constant(value: Any) -> Any:
    """Return a constant as prompts have it: a list is wrapped, so that it is not taken for a link."""
    return {"__value__": value} if issubclass(type(value), list) else value


def unwrap_constant(value: Any) -> Any:
    """Return a constant of a prompt as its node gets it."""
    return value["__value__"] if type(value) is dict and "__value__" in value else value


def short_input(value: Any) -> str:
    """Return an input of a prompt in a few characters: a link as `#3[0]`, a constant by its repr or shape."""
    link = link_of(value)
    return str(link) if link is not None else short(value)
