"""What a workflow is: nodes with inputs that are constants or links, open to editing."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from comfy_nb.errors import GraphError, PromptError, UnknownName
from comfy_nb.graph import runner
from comfy_nb.graph.prompt import ParsedPrompt, is_link, parse_prompt, read_prompt, write_prompt
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.types import matches

if TYPE_CHECKING:
    from comfy_nb.errors import Problem
    from comfy_nb.graph.handle import Handle

Mode = Literal["active", "bypass", "mute"]
Control = Literal["fixed", "increment", "decrement", "randomize"]
MODES = ("active", "bypass", "mute")
CONTROLS = ("fixed", "increment", "decrement", "randomize")
LARGEST_SEED = 2**64 - 1
LARGEST_RANDOM_SEED = 2**53 - 1

_uids = itertools.count(1)


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
        value = node.graph._as_input(value)
        was_link, is_now_link = is_link(self.get(name)), is_link(value)
        if name not in self and not is_now_link:
            node._check_declared(name)
        super().__setitem__(name, value)
        node.graph._changed(None if was_link or is_now_link else node.id)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._node.graph._changed()

    def update(self, *others: Any, **values: Any) -> None:
        for name, value in dict(*others, **values).items():
            self[name] = value

    def pop(self, name: str, *default: Any) -> Any:
        self._node.graph._changed()
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        self._node.graph._changed()
        return super().popitem()

    def __ior__(self, others: Any) -> Inputs:  # type: ignore[misc,override]
        self.update(others)
        return self

    def clear(self) -> None:
        super().clear()
        self._node.graph._changed()

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]


class Node:
    """One node of a graph. `mode` bypasses or mutes it; `control` says how its seeds change from run to run."""

    __slots__ = ("_mode", "class_type", "control", "extras", "graph", "id", "inputs")

    def __init__(
        self,
        graph: Graph,
        node_id: str,
        class_type: str,
        inputs: Mapping[str, Any],
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.id = node_id
        self.class_type = class_type
        self.inputs = Inputs(self, inputs)
        self.extras: dict[str, Any] | None = dict(extras) if extras else None
        self._mode: Mode = "active"
        self.control: dict[str, Control] | None = None

    @property
    def title(self) -> str:
        """What the node is called in the editor; its class type where it has no title of its own."""
        meta = self.extras.get("_meta") if self.extras else None
        return str(meta.get("title") or self.class_type) if isinstance(meta, Mapping) else self.class_type

    @title.setter
    def title(self, title: str) -> None:
        extras = self.extras or {}
        self.extras = {**extras, "_meta": {**(extras.get("_meta") or {}), "title": title}}

    @property
    def mode(self) -> Mode:
        """ "active", "bypass" (its inputs go straight to its outputs) or "mute" (it and its links are left out)."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in MODES:
            raise UnknownName.of("mode", mode, MODES)
        self._mode = mode
        self.graph._changed()

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
        return self

    def out(self, slot: int | str = 0) -> list[Any]:
        """Return the link `[id, slot]` to one of this node's outputs, by number or name."""
        spec = self.graph.registry.find(self.class_type)
        index = spec.slot(slot) if spec is not None else slot
        if not isinstance(index, int):
            names = spec.output_names if spec is not None else ()
            raise UnknownName.of("output", slot, names, f"on {self!r}")
        return [self.id, index]

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


class Graph:
    """A workflow: nodes by id, in order. Build it with `node()`, from handles, or from a prompt by `nb.load`.

    Editing a graph between runs re-runs what depends on the edit; a run uses the graph as it was when it started.
    """

    def __init__(self, *handles: Handle, registry: Registry | None = None) -> None:
        self.uid = next(_uids)
        self.nodes: dict[str, Node] = {}
        self.workflow: dict[str, Any] | None = None
        self.origin = ""
        self.structure = 0
        self.is_edited = False
        self.edited: set[str] = set()
        self.objects: dict[tuple[str, str], Any] = {}
        self.memo: dict[str, Any] = {}
        self._ids_of_calls: dict[int, tuple[Any, str]] = {}
        self._next_id = 1
        self.registry = registry if registry is not None else _default_registry(handles)
        for handle in handles:
            self.add(handle)

    @classmethod
    def from_prompt(cls, source: Any, registry: Registry | None = None) -> Graph:
        """Make a graph from a prompt: a dict, JSON text, or a parsed prompt. Raises PromptError."""
        parsed = source if isinstance(source, ParsedPrompt) else parse_prompt(source)
        graph = cls(registry=registry)
        nodes = graph.nodes
        for node_id, entry in parsed.nodes.items():
            extras = None
            if len(entry) > 2:
                extras = {name: value for name, value in entry.items() if name not in ("class_type", "inputs")}
            nodes[node_id] = Node(graph, node_id, entry["class_type"], entry.get("inputs") or {}, extras)
        graph.workflow = parsed.workflow
        graph.origin = parsed.origin
        return graph

    def node(self, class_type: str, id: str | int | None = None, title: str = "", **inputs: Any) -> Node:
        """Add a node and return it. Inputs are constants, handles, nodes, or links `[id, slot]`.

        Raises UnknownName for a class that is not registered, GraphError for an id that is taken.
        """
        if self.registry.find(class_type) is None:
            raise UnknownName.of("node class", class_type, self.registry, "in the registry")
        node_id = self._new_id(id)
        # It holds its id while the handles among its inputs get theirs, then stands after them.
        node = self.nodes[node_id] = Node(self, node_id, class_type, {})
        try:
            node.inputs.update(inputs)
        except Exception:
            self._drop_since(node_id)
            raise
        self.nodes[node_id] = self.nodes.pop(node_id)
        if title:
            node.title = title
        self._changed()
        return node

    def _drop_since(self, node_id: str) -> None:
        """Take back a node and all that was added after it."""
        while self.nodes.popitem()[0] != node_id:
            pass
        self._forget_calls()

    def _forget_calls(self) -> None:
        self._ids_of_calls = {key: entry for key, entry in self._ids_of_calls.items() if entry[1] in self.nodes}

    def add(self, handle: Handle) -> Node:
        """Add the node of a handle with all that it needs, and return it; adding it again adds nothing."""
        if not is_handle(handle):
            raise GraphError(
                f"A graph is made of handles, not of {handle!r:.80}. A file or prompt is read by nb.load()."
            )
        before = len(self.nodes)
        for call in handle.call.closure():
            if id(call) not in self._ids_of_calls:
                node_id = self._new_id(None)
                inputs = {
                    name: [self._ids_of_calls[id(value.call)][1], value.index] if is_handle(value) else wrap(value)
                    for name, value in call.inputs.items()
                }
                self.nodes[node_id] = Node(self, node_id, call.spec.class_type, inputs, call.extras())
                self._ids_of_calls[id(call)] = (call, node_id)
        if len(self.nodes) > before:
            self._changed()
        return self.nodes[self.id_of(handle)]

    def id_of(self, handle: Handle) -> str:
        """Return the id that a handle's node has in this graph; raises UnknownName where it has none."""
        found = self._ids_of_calls.get(id(handle.call))
        if found is None:
            for call, node_id in self._ids_of_calls.values():
                if call == handle.call:
                    return node_id
            raise UnknownName.of("node for the handle", handle, [repr(node) for node in self.nodes.values()])
        return found[1]

    def remove(self, node: str | int | Node | Handle) -> None:
        """Remove a node and the links from it."""
        gone = self[node]
        del self.nodes[gone.id]
        for other in self.nodes.values():
            for name in [name for name, value in other.inputs.items() if is_link(value) and str(value[0]) == gone.id]:
                dict.__delitem__(other.inputs, name)
        self._forget_calls()
        self._changed()

    def replace(self, node: str | int | Node | Handle, class_type: str, **inputs: Any) -> Node:
        """Put a node of another class in a node's place; inputs of the same name and links from it stay."""
        old = self[node]
        interface = self.registry[class_type].interface()
        kept = {name: value for name, value in old.inputs.items() if interface.lookup(name) is not None}
        new = Node(self, old.id, class_type, kept)
        new.inputs.update(inputs)
        self.nodes[old.id] = new
        self._changed()
        return new

    def copy(self) -> Graph:
        """Return an independent graph with the same nodes; node objects of packs are not shared."""
        other = Graph(registry=self.registry)
        for node in self.nodes.values():
            twin = Node(other, node.id, node.class_type, node.inputs, node.extras)
            twin._mode, twin.control = node._mode, dict(node.control) if node.control else None
            other.nodes[node.id] = twin
        other.workflow, other.origin = self.workflow, self.origin
        other._ids_of_calls = dict(self._ids_of_calls)
        return other

    def active(self) -> dict[str, Node]:
        """Return the nodes that take part in runs: all but bypassed and muted ones."""
        if all(node._mode == "active" for node in self.nodes.values()):
            return self.nodes
        return {node_id: node for node_id, node in self.nodes.items() if node._mode == "active"}

    def resolve(self, link: Sequence[Any], wanted: Any = "*") -> list[Any] | None:
        """Follow a link through bypassed nodes to the output it ends at, or None where it ends at a muted one."""
        origin, slot = str(link[0]), link[1]
        for _ in range(len(self.nodes) + 1):
            node = self.nodes.get(origin)
            if node is None or node._mode == "active":
                return [origin, slot]
            passed = None if node._mode == "mute" else self._through(node, slot, wanted)
            if passed is None:
                return None
            origin, slot = str(passed[0]), passed[1]
        return None

    def _through(self, node: Node, slot: int, wanted: Any) -> Sequence[Any] | None:
        """The link that a bypassed node passes on to an output, as the editor chooses it; None where there is none."""
        links: dict[str, Sequence[Any]] = {name: value for name, value in node.inputs.items() if is_link(value)}
        spec = self.registry.find(node.class_type)
        declared = spec.interface().declared if spec is not None else {}
        kinds = {name: declared[name].type if name in declared else "*" for name in (*declared, *links)}
        try:
            own = spec.output_type(slot) if spec is not None else "*"
        except IndexError:
            return None
        return links.get(_passed_input(kinds, slot, own, wanted) or "")

    def to_prompt(self) -> dict[str, dict[str, Any]]:
        """Return the prompt (API format) of what a run would use: bypassed and muted nodes are left out."""
        active = self.active()
        prompt = {node_id: node.as_prompt() for node_id, node in active.items()}
        if active is not self.nodes:
            for node_id, entry in prompt.items():
                entry["inputs"] = {
                    name: target
                    for name, value in entry["inputs"].items()
                    if (target := self._resolved(node_id, name, value)) is not None or value is None
                }
        return prompt

    def _resolved(self, node_id: str, name: str, value: Any) -> Any:
        if not is_link(value):
            return value
        spec = self.registry.find(self.nodes[node_id].class_type)
        entry = spec.interface().lookup(name) if spec is not None else None
        return self.resolve(value, entry.type if entry is not None else "*")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the prompt as JSON; raises PromptError for a constant that JSON cannot hold."""
        write_prompt(self.to_prompt(), path)

    def validate(self, outputs: Sequence[str | Node | Handle] | None = None) -> list[Problem]:
        """Return all that is wrong with the graph; an empty list means that it can run."""
        return runner.current().validate(self, self._targets(outputs))

    async def run(self, outputs: Sequence[str | Node | Handle] | None = None, **options: Any) -> Any:
        """Run the graph and return its run. `outputs` are the wanted nodes; None: the output nodes, else the leaves."""
        return await runner.current().run(self, self._targets(outputs), **options)

    def start(self, outputs: Sequence[str | Node | Handle] | None = None, **options: Any) -> Any:
        """Start the graph in the background of the running loop and return its job."""
        return runner.current().start(self, self._targets(outputs), **options)

    def run_sync(self, outputs: Sequence[str | Node | Handle] | None = None, **options: Any) -> Any:
        """Run the graph and wait for it, from a script or from inside a cell that does not await."""
        return runner.current().run_sync(self, self._targets(outputs), **options)

    def advance_seeds(self) -> None:
        """Change the inputs that are under seed control, as ComfyUI does after a prompt was queued."""
        for node in self.nodes.values():
            for name, control in (node.control or {}).items():
                value = node.inputs.get(name)
                if control != "fixed" and isinstance(value, int) and not isinstance(value, bool):
                    node.inputs[name] = _next_seed(value, control, self._bounds(node, name))

    def _bounds(self, node: Node, name: str) -> tuple[int, int]:
        spec = self.registry.find(node.class_type)
        entry = spec.interface().lookup(name) if spec is not None else None
        options = entry.options if entry is not None else {}
        return int(options.get("min", 0)), int(options.get("max", LARGEST_SEED))

    def _targets(self, outputs: Sequence[str | Node | Handle] | None) -> list[str] | None:
        if outputs is None:
            return None
        listed: Sequence[Any] = [outputs] if isinstance(outputs, (str, Node)) or is_handle(outputs) else outputs
        return [self.add(each).id if is_handle(each) else self[each].id for each in listed]

    def _as_input(self, value: Any) -> Any:
        if is_handle(value):
            slot = value.index
            return [self.add(value).id, slot]
        if isinstance(value, Node):
            if value.graph is not self:
                raise GraphError(f"{value!r} belongs to another graph. Add it here first.")
            return value.out(0)
        return wrap(value)

    def _new_id(self, wanted: str | int | None) -> str:
        if wanted is not None:
            node_id = str(wanted)
            if node_id in self.nodes:
                raise GraphError(
                    f"The id {node_id!r} is taken by {self.nodes[node_id]!r}. Choose another or use replace()."
                )
            return node_id
        while str(self._next_id) in self.nodes:
            self._next_id += 1
        return str(self._next_id)

    def _changed(self, node_id: str | None = None) -> None:
        """Note an edit: of one node's constants, or (None) of the structure."""
        self.is_edited = True
        if node_id is None:
            self.structure += 1
        else:
            self.edited.add(node_id)

    def __getitem__(self, node: str | int | Node | Handle) -> Node:
        if isinstance(node, Node) and node not in self:
            raise GraphError(f"{node!r} is not in this graph; it belongs to another one, or was removed.")
        if is_handle(node):
            return self.nodes[self.id_of(node)]
        found = node if isinstance(node, Node) else self.nodes.get(str(node))
        if found is None:
            known = [f"{each.id}" for each in self.nodes.values()]
            raise UnknownName.of("node", str(node), known, "in the graph")
        return found

    def __delitem__(self, node: str | int | Node | Handle) -> None:
        self.remove(node)

    def __contains__(self, node: object) -> bool:
        if isinstance(node, Node):
            return self.nodes.get(node.id) is node
        if is_handle(node):
            return any(call == node.call for call, _ in self._ids_of_calls.values())
        return str(node) in self.nodes

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self.nodes.values()))

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        lines = [f"<Graph of {len(self)} node{'' if len(self) == 1 else 's'}>"]
        for node in itertools.islice(self.nodes.values(), 30):
            lines.append(f"  {node!r} " + ", ".join(f"{k}={short(v)}" for k, v in node.inputs.items()))
        if len(self) > 30:
            lines.append(f"  ... and {len(self) - 30} more")
        return "\n".join(lines)


def load(source: Any, registry: Registry | None = None) -> Graph:
    """Load a graph: a path of a JSON file or picture, JSON text, a dict, or bytes. Raises PromptError."""
    if isinstance(source, (Mapping, bytes, bytearray)) or (
        isinstance(source, str) and source.lstrip()[:1] in ("{", "[")
    ):
        return Graph.from_prompt(source, registry)
    if not isinstance(source, (str, os.PathLike)):
        raise PromptError(f"A graph is loaded from a path, JSON text or a dict, not from {type(source).__name__}.")
    return Graph.from_prompt(read_prompt(source), registry)


def is_handle(value: object) -> TypeGuard[Handle]:
    """Tell whether a value is a Handle (without importing it here)."""
    return hasattr(type(value), "is_comfy_nb_handle")


def wrap(value: Any) -> Any:
    """Wrap a list constant as prompts do, so that it is not taken for a link."""
    return {"__value__": value} if isinstance(value, list) and not is_link(value) else value


def short(value: Any, most: int = 40) -> str:
    """Show an input in a few characters."""
    if is_link(value):
        return f"#{value[0]}[{value[1]}]"
    try:
        shape = getattr(value, "shape", None)
        if shape is not None and not isinstance(value, (int, float)):
            return f"{type(value).__name__}{list(shape)}"
        text = repr(value)
    except Exception as error:  # a repr of somebody else's class may raise anything
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= most else text[: most - 1] + "…"


def _passed_input(kinds: Mapping[str, Any], slot: int, own: Any, wanted: Any) -> str | None:
    """The input that a bypassed node passes on to output `slot`, of type `own`, for a receiver of type `wanted`."""
    names = list(kinds)
    same_place = names[slot] if 0 <= slot < len(names) else None
    if wanted in ("*", ""):
        return same_place or next(iter(names), None)
    fits = [name for name, kind in kinds.items() if matches(kind, own) and matches(kind, wanted)]
    if same_place in fits:
        return same_place
    exact = [name for name, kind in kinds.items() if kind == wanted]
    return next(iter(exact + fits), None)


def _next_seed(value: int, control: Control, bounds: tuple[int, int]) -> int:
    low, high = bounds
    if control == "randomize":
        return random.randint(max(low, 0), min(high, LARGEST_RANDOM_SEED))
    return min(high, value + 1) if control == "increment" else max(low, value - 1)


def _default_registry(handles: Sequence[Handle]) -> Registry:
    from comfy_nb.graph.namespace import default_registry

    return handles[0].call.registry if handles and is_handle(handles[0]) else default_registry()
