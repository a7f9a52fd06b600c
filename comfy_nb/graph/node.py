"""The nodes of a graph, and their inputs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeGuard

from comfy_nb.errors import SpecError, UnknownName
from comfy_nb.graph.link import Link, is_link, links_in
from comfy_nb.spec.attributes import of_class
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.registry import Registry
from comfy_nb.wording import title_in

Mode = Literal["active", "bypass", "mute"]
Control = Literal["fixed", "increment", "decrement", "randomize"]
MODES = ("active", "bypass", "mute")
CONTROLS = ("fixed", "increment", "decrement", "randomize")
LARGEST_SEED = 2**64 - 1
LARGEST_RANDOM_SEED = 2**53 - 1


class CallLike(Protocol):
    """The call that a handle stands for, as a graph takes it in."""

    @property
    def spec(self) -> NodeSpec:
        """Its node class."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Constants, and handles to other nodes' outputs."""
        ...

    @property
    def registry(self) -> Registry:
        """The registry that its class comes from."""
        ...

    def closure(self) -> Sequence[CallLike]:
        """Return this call and all it needs, what is needed first."""
        ...

    def extras(self) -> dict[str, Any] | None:
        """Return what its node carries beside the inputs."""
        ...


class HandleLike(Protocol):
    """A handle, as a graph takes it in."""

    @property
    def call(self) -> CallLike:
        """The node that was called."""
        ...

    @property
    def slot(self) -> int | None:
        """The output that was chosen, or None."""
        ...

    @property
    def index(self) -> int:
        """The output slot that it stands for."""
        ...


class Owner(Protocol):
    """The graph of a node, as the node sees it."""

    registry: Registry
    inactive: set[str]
    controlled: set[str]

    def as_input(self, value: Any) -> Any:
        """Return a value as an input of a prompt."""
        ...

    def note_edit(self, node_id: str | None = None) -> None:
        """Note an edit: of one node's constants, or (None) of the structure."""
        ...


class Inputs(dict[str, Any]):
    """A node's inputs as the prompt has them: constants, and links as `[node id, slot]`.

    Setting one takes also a handle, a node with one output, or a list (which is wrapped as ComfyUI wraps them).
    """

    __slots__ = ("_node",)

    def __init__(self, node: Node, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._node = node

    def __setitem__(self, name: str, value: Any) -> None:
        node = self._node
        value = node.graph.as_input(value)
        was_link, is_now_link = is_link(self.get(name)), is_link(value)
        if name not in self and not is_now_link:
            node._check_declared(name)
        super().__setitem__(name, value)
        was_submitted = node.forget_fingerprint()
        node.graph.note_edit(None if was_link or is_now_link or was_submitted else node.id)

    def _ipython_key_completions_(self) -> list[str]:
        spec = self._node.graph.registry.find(self._node.class_type)
        try:
            declared = spec.interface().declared if spec is not None else {}
        except SpecError:  # a completion that fails prints a traceback below what is typed
            declared = {}
        return list(dict.fromkeys([*self, *declared]))

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._node.note_removal()

    def update(self, *others: Any, **values: Any) -> None:
        for name, value in dict(*others, **values).items():
            self[name] = value

    def pop(self, name: str, *default: Any) -> Any:
        self._node.note_removal()
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        self._node.note_removal()
        return super().popitem()

    def __ior__(self, others: Any) -> Inputs:  # type: ignore[misc,override]
        self.update(others)
        return self

    def clear(self) -> None:
        super().clear()
        self._node.note_removal()

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]


class Node:
    """One node of a graph. `mode` bypasses or mutes it; `control` says how its seeds change from run to run."""

    __slots__ = ("_inputs", "_mode", "class_type", "control", "extras", "graph", "id")

    def __init__(
        self,
        graph: Owner,
        node_id: str,
        class_type: str,
        inputs: Mapping[str, Any],
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.id = node_id
        self.class_type = class_type
        self._inputs = Inputs(self, inputs)
        self.extras: dict[str, Any] | None = dict(extras) if extras else None
        self._mode: Mode = "active"
        self.control: dict[str, Control] | None = None

    @property
    def inputs(self) -> Inputs:
        """The inputs by name; giving another dict replaces them all."""
        return self._inputs

    @inputs.setter
    def inputs(self, values: Mapping[str, Any]) -> None:
        fresh = dict(values)
        self._inputs.clear()
        self._inputs.update(fresh)

    @property
    def title(self) -> str:
        """What the node is called in the editor; its class type where it has no title of its own."""
        meta = self.extras.get("_meta") if self.extras else None
        return title_in(meta) or self.class_type

    @title.setter
    def title(self, title: str) -> None:
        extras = self.extras or {}
        self.extras = {**extras, "_meta": {**(extras.get("_meta") or {}), "title": title}}
        self.graph.note_edit(self.id)

    @property
    def mode(self) -> Mode:
        """ "active", "bypass" (its inputs go straight to its outputs) or "mute" (it and its links are left out)."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in MODES:
            raise UnknownName.of("mode", mode, MODES)
        self._mode = mode
        if mode == "active":
            self.graph.inactive.discard(self.id)
        else:
            self.graph.inactive.add(self.id)
        self.graph.note_edit()

    def bypass(self) -> Node:
        """Let each output pass on the input that fits it, as the editor's Bypass does."""
        self.mode = "bypass"
        return self

    def mute(self) -> Node:
        """Leave the node and all links from it out of runs."""
        self.mode = "mute"
        return self

    def activate(self) -> Node:
        """Undo bypass and mute."""
        self.mode = "active"
        return self

    def seed(self, control: Control, name: str = "seed") -> Node:
        """Let an input change by itself after each run: "fixed", "increment", "decrement" or "randomize"."""
        if control not in CONTROLS:
            raise UnknownName.of("seed control", control, CONTROLS)
        if type(self.inputs.get(name)) is not int:
            whole = [each for each, value in self.inputs.items() if type(value) is int]
            raise UnknownName.of("whole-number input", name, whole, f"on {self!r}")
        self.control = {**(self.control or {}), name: control}
        self.graph.controlled.add(self.id)
        return self

    def note_removal(self) -> None:
        """Note that inputs were removed."""
        self.forget_fingerprint()
        self.graph.note_edit()

    def forget_fingerprint(self) -> bool:
        """Drop a fingerprint that was submitted with other inputs, and say whether there was one."""
        if not self.extras or "is_changed" not in self.extras:
            return False
        self.extras = {name: value for name, value in self.extras.items() if name != "is_changed"} or None
        return True

    def advance_seeds(self) -> None:
        """Change the inputs that are under seed control."""
        for name, control in (self.control or {}).items():
            value = self.inputs.get(name)
            if control != "fixed" and isinstance(value, int) and not isinstance(value, bool):
                self.inputs[name] = _next_seed(value, control, self.bounds(name))

    def bounds(self, name: str) -> tuple[int, int]:
        """Return the least and the largest whole number that an input takes."""
        spec = self.graph.registry.find(self.class_type)
        entry = spec.interface().lookup(name) if spec is not None else None
        options = entry.options if entry is not None else {}
        return int(options.get("min", 0)), int(options.get("max", LARGEST_SEED))

    def out(self, slot: int | str = 0) -> list[Any]:
        """Return the link `[id, slot]` to one of this node's outputs, by number or name."""
        spec = self.graph.registry.find(self.class_type)
        index = spec.slot(slot) if spec is not None else slot
        if not isinstance(index, int):
            names = spec.output_names if spec is not None else ()
            raise UnknownName.of("output", slot, names, f"on {self!r}")
        return [self.id, index]

    def links(self) -> dict[str, Link]:
        """Return the links among the inputs, by name."""
        return links_in(self._inputs)

    def as_prompt(self) -> dict[str, Any]:
        """Return the node as a prompt has it."""
        return {**(self.extras or {}), "class_type": self.class_type, "inputs": dict(self.inputs)}

    def _check_declared(self, name: str) -> None:
        spec = self.graph.registry.find(self.class_type)
        if spec is None:
            return
        interface = spec.interface()
        if interface.lookup(name) is None and name not in interface.hidden:
            raise UnknownName.of("input", name, interface.declared, f"on {self!r}")

    def __repr__(self) -> str:
        name = self.class_type if self.title == self.class_type else f'"{self.title}" {self.class_type}'
        mode = "" if self._mode == "active" else f" ({self._mode})"
        return f"<{name} #{self.id}{mode}>"


def _next_seed(value: int, control: Control, bounds: tuple[int, int]) -> int:
    low, high = bounds
    if control == "randomize":
        return random_seed(low, high)
    return min(high, value + 1) if control == "increment" else max(low, value - 1)


def random_seed(low: int = 0, high: int = LARGEST_SEED) -> int:
    """Return a whole number within two bounds; not negative and exact in JavaScript where they have such numbers."""
    low = max(low, 0) if high >= 0 else low
    return random.randint(low, min(high, LARGEST_RANDOM_SEED) if low <= LARGEST_RANDOM_SEED else high)


def is_handle(value: object) -> TypeGuard[HandleLike]:
    """Tell whether a value is a Handle (without importing it here)."""
    return of_class(type(value), "is_comfy_nb_handle") is not None
