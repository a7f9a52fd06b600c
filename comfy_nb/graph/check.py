"""Validation of single nodes: every input against its declaration (docs/semantics.md, "Checks of inputs").

A checked node holds what will run: converted constants in the order of the prompt, and its links.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from comfy_nb.errors import Problem
from comfy_nb.graph.constant_check import LONGEST_COMBO, Misfit, check_constant, config_of
from comfy_nb.graph.link import Link, is_link, link_of, unwrap_constant
from comfy_nb.spec.matching import matches, socket_name
from comfy_nb.spec.node_spec import NO_OPTIONS, InputSpec, Interface, NodeSpec, Ordinary
from comfy_nb.spec.sockets import ANY
from comfy_nb.wording import short, suggest


class InLink(NamedTuple):
    """A link into a node: output `slot` of node `origin` arrives as input `name`."""

    name: str
    origin: str
    slot: int
    lazy: bool
    raw: bool


NONE: Sequence[Problem] = ()
NONE_ORDINARY: Mapping[str, Ordinary] = {}


def in_link(name: str, link: Link, entry: InputSpec | None) -> InLink:
    """Make the link into an input that is declared as `entry` says, or not declared."""
    options = entry.options if entry is not None else NO_OPTIONS
    return tuple.__new__(InLink, (name, *link, bool(options.get("lazy")), bool(options.get("rawLink"))))


class CheckedNode:
    """A node as it will run: `template` has its inputs in prompt order (None in place of links), `links` the links.

    `submitted` has the inputs as the prompt has them where some are constants that the class does not declare, else
    None. `received` are the types that links bring, for VALIDATE_INPUTS.
    """

    __slots__ = (
        "class_type",
        "extras",
        "id",
        "interface",
        "links",
        "problems",
        "received",
        "spec",
        "submitted",
        "template",
        "title",
    )

    id: str
    class_type: str
    title: str
    spec: NodeSpec
    interface: Interface
    template: dict[str, Any]
    links: list[InLink]
    submitted: Mapping[str, Any] | None
    problems: Sequence[Problem]
    received: dict[str, Any] | None
    extras: Mapping[str, Any] | None

    def problem(self, type: str, message: str, details: str, name: str = "", advice: str = "", **extra: Any) -> None:
        """Note that something is wrong with an input."""
        if name:
            extra = {"input_name": name, **extra}
        found = Problem(type, message, details, self.id, self.class_type, self.title, extra, advice)
        self.problems = [*self.problems, found]


class ValidateTraits(NamedTuple):
    """What a class's own validation takes over: the inputs it names (None: all of them), and the types of links."""

    names: frozenset[str] | None
    takes_types: bool

    def covers(self, name: str) -> bool:
        """Whether the built-in checks of an input are left to the class."""
        return self.names is None or name in self.names


NO_VALIDATION = ValidateTraits(frozenset(), takes_types=False)


@lru_cache(maxsize=4096)
def validate_traits(function: Callable[..., Any] | None) -> ValidateTraits:
    """Read from a VALIDATE_INPUTS' signature what it checks itself; keyword-only names do not count."""
    if function is None:
        return NO_VALIDATION
    arguments = inspect.getfullargspec(function)
    names = frozenset(arguments.args)
    return ValidateTraits(None if arguments.varkw else names, "input_types" in names)


class Origins(NamedTuple):
    """What a link may end at: the ids of all nodes, and the spec of each whose class is known.

    `resolve` is how a link is followed through bypassed nodes (or None).
    """

    spec_of: Callable[[str], NodeSpec | None]
    resolve: Callable[[Link, Any], Link | None] | None
    ids: Callable[[], Sequence[str]]


def check_node(node: CheckedNode, inputs: Mapping[str, Any], origins: Origins) -> None:
    """Fill a node's template, links and problems from its inputs as the prompt has them."""
    template: dict[str, Any] = {}
    node.template, node.links, node.problems, node.received, node.submitted = template, [], NONE, None, None
    interface, validate = node.interface, node.spec.validate
    declared = interface.declared
    traits = NO_VALIDATION if validate is None else validate_traits(validate)
    ordinary = interface.ordinary if validate is None and origins.resolve is None else NONE_ORDINARY
    for name, value in inputs.items():
        if (known := ordinary.get(name)) is not None and _take_ordinary(node, name, value, known, origins.spec_of):
            continue
        entry = declared.get(name)
        if entry is None and interface.is_open:
            entry = interface.lookup(name)
        if type(value) is list:
            link = link_of(value)
            if link is not None:
                _take_link(node, name, link, entry, origins, traits)
            elif entry is not None:
                template[name] = value
                _report_list(node, entry, value)
            else:
                node.submitted = node.submitted or dict(inputs)
        elif entry is not None:
            has_limits = not traits.covers(name)
            try:
                template[name] = check_constant(entry, value, has_limits)
            except Misfit as misfit:
                template[name] = _report_misfit(node, entry, value, has_limits, misfit)
        elif name in interface.hidden:
            template[name] = value
        else:
            node.submitted = node.submitted or dict(inputs)
    for name in interface.required:
        if name not in template and all(each.extra.get("input_name") != name for each in node.problems):
            _report_missing(node, declared[name], inputs)


def _take_ordinary(
    node: CheckedNode, name: str, value: Any, known: Ordinary, spec_of: Callable[[str], NodeSpec | None]
) -> bool:
    """Take an ordinary input if it is right at first sight, as nearly all are; False where it has to be looked at."""
    socket, kind, least, most = known
    if type(value) is kind:
        if least is not None and not least <= value:
            return False
        if most is not None and not value <= most:
            return False
        node.template[name] = value
        return True
    if type(value) is not list or len(value) != 2:
        return False
    origin, slot = value
    spec = spec_of(origin) if type(origin) is str and type(slot) is int and slot >= 0 else None
    if spec is None or slot >= len(spec.return_types) or spec.return_types[slot] is not socket:
        return False
    node.template[name] = None
    node.links.append(tuple.__new__(InLink, (name, origin, slot, False, False)))
    return True


def _report_list(node: CheckedNode, entry: InputSpec, value: Sequence[Any]) -> None:
    node.problem(
        "bad_linked_input",
        "Bad linked input, must be a length-2 list of [node_id, slot_index]",
        entry.name,
        entry.name,
        f"Got {short(value, 80)}. Wrap a list constant as {{'__value__': [...]}}.",
        input_config=config_of(entry),
        received_value=value,
    )


def _report_missing(node: CheckedNode, entry: InputSpec, inputs: Mapping[str, Any]) -> None:
    known = node.interface.declared
    strays = [name for name in inputs if name not in known and not is_link(inputs[name])]
    meant = f" The node has an input {strays[0]!r} that its class does not know; was that meant?" if strays else ""
    default = f" Its default is {entry.default!r}." if entry.has_default and entry.default is not None else ""
    node.problem(
        "required_input_missing",
        "Required input is missing",
        entry.name,
        entry.name,
        f"It takes {entry.socket}.{default}{meant}",
    )


def _take_link(
    node: CheckedNode,
    name: str,
    link: Link,
    entry: InputSpec | None,
    origins: Origins,
    traits: ValidateTraits,
) -> None:
    declared = entry.type if entry is not None else ANY
    target = link if origins.resolve is None else origins.resolve(link, declared)
    if target is None:
        return
    origin, slot = target
    spec = origins.spec_of(origin)
    if spec is None and origin in origins.ids():  # its class is not known, which is a problem of its own
        node.template[name] = None
        return
    if spec is None:
        node.problem(
            "linked_node_missing",
            "Linked node does not exist",
            f"{name}, node {origin!r}",
            name,
            suggest(origin, origins.ids()),
            linked_node=link.as_list(),
        )
        return
    node.template[name] = None
    node.links.append(in_link(name, target, entry))
    if entry is None:
        return
    try:
        received = spec.output_type(slot)
    except IndexError:
        outputs = ", ".join(f"{index} {each}" for index, each in enumerate(spec.output_names)) or "none"
        node.problem(
            "linked_slot_missing",
            "Linked output does not exist",
            f"{name}, output {slot} of {spec.class_type} (node {origin})",
            name,
            f"Its outputs are: {outputs}.",
            linked_node=link.as_list(),
        )
        return
    if node.spec.validate is not None and name in node.interface.declared:
        node.received = node.received or {}
        node.received[name] = received
    if received is not declared and not traits.takes_types and not matches(received, declared):
        node.problem(
            "return_type_mismatch",
            "Return type mismatch between linked nodes",
            f"{name}, received_type({_shown(received)}) mismatch input_type({_shown(declared)})",
            name,
            f"Output {slot} of {spec.class_type} (node {origin}) gives {socket_name(received)}, "
            f"but {socket_name(declared)} is expected.",
            input_config=config_of(entry),
            received_type=received,
            linked_node=link.as_list(),
        )


def _shown(kind: Any) -> Any:
    """Return a type as ComfyUI writes it: choices are listed, unless they are many."""
    return kind if isinstance(kind, str) or len(kind) <= LONGEST_COMBO else socket_name(kind)


def _report_misfit(node: CheckedNode, entry: InputSpec, value: Any, has_limits: bool, misfit: Misfit) -> Any:
    """Report what is wrong with a constant, of a list with each item, and return what is left of it."""
    items = unwrap_constant(value)
    if entry.is_list and isinstance(items, (list, tuple)):
        return [_checked_item(node, entry, item, has_limits) for item in items]
    node.problem(misfit.type, misfit.message, misfit.details, entry.name, misfit.advice, **misfit.extra)
    return misfit.value


def _checked_item(node: CheckedNode, entry: InputSpec, item: Any, has_limits: bool) -> Any:
    try:
        return check_constant(entry, item, has_limits)
    except Misfit as misfit:
        return _report_misfit(node, entry, item, has_limits, misfit)
