"""What a workflow is: nodes with inputs that are constants or links, open to editing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from comfy_nb.errors import GraphError, Problem, PromptError, UnknownName
from comfy_nb.graph import runner
from comfy_nb.graph.bypass import resolve
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.gc_freeze import gc_frozen
from comfy_nb.graph.link import is_link, link_of, short_input, wrap_constant
from comfy_nb.graph.names_of_nodes import id_of_only, ids_named, unknown_node
from comfy_nb.graph.node import HandleLike, Node, is_handle
from comfy_nb.graph.on_error import STOP, posted
from comfy_nb.graph.prompt import ParsedPrompt, parse_prompt, read_prompt, write_prompt
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.unknown_classes import unknown_class
from comfy_nb.wording import clip, count, short

_scopes = itertools.count(1)
Place = tuple[str, str]


class Scope:
    """What the nodes of a graph keep between runs, by (id, class): their objects, and what they expanded into.

    `expanded` has the nodes of each expansion, with the keys of their results. `uid` is part of the keys of results
    that belong to one node. Graphs that are loaded from one prompt may share a scope:
    `nb.load(prompt, scope=graph.scope)`; then they count as one graph.
    """

    def __init__(self) -> None:
        self.uid = next(_scopes)
        self.objects: dict[Place, Any] = {}
        self.expanded: dict[Place, dict[Place, bytes | None]] = {}


class Graph:
    """A workflow: nodes by id, in order. Build it with `node()`, from handles, or from a prompt by `nb.load`.

    Editing a graph between runs re-runs what depends on the edit; a run uses the graph as it was when it started.
    `on_error` is what its runs do when a node fails, if they are not told otherwise: "stop", or "continue" with all
    that does not depend on the node.
    """

    def __init__(self, *handles: HandleLike, registry: Registry | None = None, scope: Scope | None = None) -> None:
        self.scope = scope if scope is not None else Scope()
        self.nodes: dict[str, Node] = {}
        self.workflow: dict[str, Any] | None = None
        self.origin = ""
        self.on_error = STOP
        self.structure = 0
        self.is_edited = False
        self.edited: set[str] = set()
        self.controlled: set[str] = set()
        self.inactive: set[str] = set()
        # What the engine keeps of the graph (engine/planning/planned.py). It is held here because a constant may lead
        # back to the graph: held elsewhere, that graph would never be freed.
        self.planned: object | None = None
        self._ids_of_calls: dict[int, tuple[Any, str]] = {}
        self._next_id = 1
        self.registry = registry if registry is not None else _default_registry(handles)
        for handle in handles:
            self.add(handle)

    @classmethod
    def from_prompt(cls, source: Any, registry: Registry | None = None, scope: Scope | None = None) -> Graph:
        """Make a graph from a prompt: a dict, JSON text, or a parsed prompt. Raises PromptError.

        What a run noted on its nodes, such as `is_changed`, is left out where it comes from a file, a picture or text:
        there it is a record of that run, and only in a dict what the caller submits for the next one.
        """
        parsed = source if isinstance(source, ParsedPrompt) else _parsed(source)
        graph = cls(registry=registry, scope=scope)
        nodes = graph.nodes
        with gc_frozen(len(parsed.nodes)):
            for node_id, entry in parsed.nodes.items():
                extras = None
                if len(entry) > 2:
                    extras = {name: value for name, value in entry.items() if name not in ("class_type", "inputs")}
                nodes[node_id] = Node(graph, node_id, entry["class_type"], entry.get("inputs") or {}, extras)
        graph.workflow = parsed.workflow
        graph.origin, graph.on_error = parsed.origin, parsed.on_error
        return graph

    def node(self, class_type: str, id: str | int | None = None, title: str = "", **inputs: Any) -> Node:
        """Add a node and return it. Inputs are constants, handles, nodes, or links `[id, slot]`.

        Raises UnknownName for a class that is not registered, GraphError for an id that is taken.
        """
        if self.registry.find(class_type) is None:
            raise unknown_class(class_type, self.registry)
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
        self.note_edit()
        return node

    def _drop_since(self, node_id: str) -> None:
        """Take back a node and all that was added after it."""
        while self.nodes.popitem()[0] != node_id:
            pass
        self._forget_calls()

    def _forget_calls(self) -> None:
        self._ids_of_calls = {key: entry for key, entry in self._ids_of_calls.items() if entry[1] in self.nodes}

    def add(self, handle: HandleLike) -> Node:
        """Add the node of a handle with all that it needs, and return it; adding it again adds nothing."""
        if not is_handle(handle):
            raise GraphError(
                f"A graph is made of handles, not of {short(handle, 80)}. A file or prompt is read by nb.load()."
            )
        before = len(self.nodes)
        for call in handle.call.closure():
            if id(call) not in self._ids_of_calls:
                node_id = self._new_id(None)
                inputs = {
                    name: [self._ids_of_calls[id(value.call)][1], value.index]
                    if is_handle(value)
                    else wrap_constant(value)
                    for name, value in call.inputs.items()
                }
                self.nodes[node_id] = Node(self, node_id, call.spec.class_type, inputs, call.extras())
                self._ids_of_calls[id(call)] = (call, node_id)
        if len(self.nodes) > before:
            self.note_edit()
        return self.nodes[self.id_of(handle)]

    def id_of(self, handle: HandleLike) -> str:
        """Return the id that a handle's node has in this graph; raises UnknownName where it has none."""
        found = self.find(handle)
        if found is None:
            names = ", ".join(repr(node) for node in self.nodes.values())
            raise UnknownName(f"No node of this graph is the one of {handle!r}. It has: {clip(names, 400)}.")
        return found

    @overload
    def find(self, wanted: HandleLike) -> str | None: ...
    @overload
    def find(self, wanted: str) -> list[Node]: ...
    def find(self, wanted: HandleLike | str) -> str | list[Node] | None:
        """Return the id that a handle's node has in this graph, or None; for a text, the nodes of that class or title.

        >>> [node.id for node in graph.find("KSampler")]
        """
        if not is_handle(wanted):
            if not isinstance(wanted, str):
                raise GraphError(f"find() takes a handle, or the class or title of nodes, not {short(wanted, 80)}.")
            return [self.nodes[node_id] for node_id in ids_named(wanted, self.nodes)]
        handle = wanted
        found = self._ids_of_calls.get(id(handle.call))
        if found is not None:
            return found[1]
        return next((node_id for call, node_id in self._ids_of_calls.values() if call == handle.call), None)

    def node_and_slot(self, node: str | int | Node | HandleLike) -> tuple[str, int | None]:
        """Return the id of a node, which may be one of an expansion, and the slot that a handle of it stands for."""
        if is_handle(node):
            return self.id_of(node), node.slot
        return node.id if isinstance(node, Node) else str(node), None

    def remove(self, node: str | int | Node | HandleLike) -> None:
        """Remove a node and the links from it."""
        gone = self[node]
        del self.nodes[gone.id]
        self.inactive.discard(gone.id)
        for other in self.nodes.values():
            for name in [name for name, link in other.links().items() if link.origin == gone.id]:
                dict.__delitem__(other.inputs, name)
        self._forget_calls()
        self.note_edit()

    def replace(self, node: str | int | Node | HandleLike, class_type: str, **inputs: Any) -> Node:
        """Put a node of another class in a node's place; inputs of the same name and links from it stay."""
        old = self[node]
        interface = self.registry[class_type].interface()
        kept = {name: value for name, value in old.inputs.items() if interface.lookup(name) is not None}
        new = Node(self, old.id, class_type, kept)
        new.inputs.update(inputs)
        self.nodes[old.id] = new
        self.inactive.discard(old.id)
        self.note_edit()
        return new

    def copy(self) -> Graph:
        """Return an independent graph with the same nodes; node objects of packs are not shared."""
        other = Graph(registry=self.registry)
        for node in self.nodes.values():
            twin = Node(other, node.id, node.class_type, node.inputs, node.extras)
            twin._mode, twin.control = node._mode, dict(node.control) if node.control else None
            other.nodes[node.id] = twin
        other.controlled, other.inactive = set(self.controlled), set(self.inactive)
        other.workflow, other.origin, other.on_error = self.workflow, self.origin, self.on_error
        other._ids_of_calls = dict(self._ids_of_calls)
        return other

    def active(self) -> dict[str, Node]:
        """Return the nodes that take part in runs: all but bypassed and muted ones."""
        if not self.inactive:
            return self.nodes
        return {node_id: node for node_id, node in self.nodes.items() if node_id not in self.inactive}

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

    def __comfy_nb_key__(self) -> tuple[Any, ...]:
        """Return what a node that reads the graph, and perhaps runs it, can see of it; not what its runs have left."""
        nodes = [
            (node.id, node.class_type, dict(node.inputs), node.extras, node.mode, node.control)
            for node in self.nodes.values()
        ]
        return (nodes, self.workflow, self.origin, self.on_error)

    def _resolved(self, node_id: str, name: str, value: Any) -> Any:
        link = link_of(value)
        if link is None:
            return value
        spec = self.registry.find(self.nodes[node_id].class_type)
        entry = spec.interface().lookup(name) if spec is not None else None
        end = resolve(self.nodes, link, entry.type if entry is not None else "*")
        return end.as_list() if end is not None else None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the prompt as JSON that loads as an equal graph: wrapped as a client posts it, if it is to "continue".

        Raises PromptError for a constant that JSON cannot hold, naming its node and input.
        """
        write_prompt(self.to_prompt(), path, posted(self.on_error))

    def validate(self, outputs: Sequence[str | Node | HandleLike] | None = None) -> list[Problem]:
        """Return all that is wrong with the graph; an empty list means that it can run."""
        return runner.current().validate(self, self._targets(outputs))

    def estimate(self, outputs: Sequence[str | Node | HandleLike] | None = None) -> Any:
        """Estimate how long a run would take, from how long its nodes took before in this session.

        It has `seconds`, None where no time is known, `nodes` that would be computed, and of these the `unknown` ones.
        """
        return runner.current().estimate(self, self._targets(outputs))

    async def run(self, outputs: Sequence[str | Node | HandleLike] | None = None, **options: Any) -> Any:
        """Run the graph and return its run. `outputs` are the wanted nodes; None: the output nodes, else the leaves.

        The options, here and in `start` and `run_sync`, are `run_id` (a str), `extra_data` (a dict, as a client posts
        it to ComfyUI), `quiet` (True: no notebook shows the run), `timeout` (the seconds that it may take) and
        `on_error`: with "continue" a failed node stops only what needs it, and all failures are raised at the end, as
        one NodeErrors. A stopped run is returned too. Raises ValidationError, NodeError for the first failure,
        RunTimeout, Interrupted where a person interrupts the cell, GraphError for another `on_error` or `timeout`, and
        UnknownName for another option.
        """
        return await runner.current().run(self, self._targets(outputs), **options)

    def start(self, outputs: Sequence[str | Node | HandleLike] | None = None, **options: Any) -> Any:
        """Start the graph in the background of the running loop and return its job."""
        return runner.current().start(self, self._targets(outputs), **options)

    def run_sync(self, outputs: Sequence[str | Node | HandleLike] | None = None, **options: Any) -> Any:
        """Run the graph and wait for it, from a script or from inside a cell that does not await.

        In a script Ctrl-C raises KeyboardInterrupt, whose `run` is the run; in a cell an interrupt raises Interrupted.
        """
        return runner.current().run_sync(self, self._targets(outputs), **options)

    def show(self) -> Any:
        """Return the graph as a picture that follows its runs and takes edits; the last line of a cell shows it."""
        return runner.current().presenter.show_graph(self)

    def advance_seeds(self) -> None:
        """Change the inputs that are under seed control, as ComfyUI does after a prompt was queued."""
        for node_id in self.controlled:
            if node_id in self.nodes:
                self.nodes[node_id].advance_seeds()

    def _targets(self, outputs: Sequence[str | Node | HandleLike] | None) -> list[str] | None:
        if outputs is None:
            return None
        listed: Sequence[Any] = [outputs] if isinstance(outputs, (str, int, Node)) or is_handle(outputs) else outputs
        return [self.add(each).id if is_handle(each) else self[each].id for each in listed]

    def as_input(self, value: Any) -> Any:
        """Return a value as prompts have it, adding a handle's nodes; raises GraphError for a node of another graph."""
        if is_handle(value):
            slot = value.index
            return [self.add(value).id, slot]
        if issubclass(type(value), Node):
            if value.graph is not self:
                raise GraphError(f"{value!r} belongs to another graph. Add it here first.")
            return value.out(0)
        return value if is_link(value) else wrap_constant(value)

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

    def note_edit(self, node_id: str | None = None) -> None:
        """Note an edit: of one node's constants, or (None) of the structure."""
        self.is_edited = True
        if node_id is None:
            self.structure += 1
        else:
            self.edited.add(node_id)

    def __getitem__(self, node: str | int | Node | HandleLike) -> Node:
        if isinstance(node, Node) and node not in self:
            raise GraphError(f"{node!r} is not in this graph; it belongs to another one, or was removed.")
        if is_handle(node):
            return self.nodes[self.id_of(node)]
        if isinstance(node, Node):
            return node
        node_id = str(node) if type(node) in (str, int) else short(node)
        if node_id not in self.nodes:
            if type(node) is not str:
                raise unknown_node(node_id, self.nodes, "in the graph")
            node_id = id_of_only(node_id, self.nodes, "in the graph")
        return self.nodes[node_id]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.nodes)

    def __delitem__(self, node: str | int | Node | HandleLike) -> None:
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
        lines = [f"<Graph of {count(len(self), 'node')}>"]
        for node in itertools.islice(self.nodes.values(), 30):
            lines.append(f"  {node!r} " + ", ".join(f"{k}={short_input(v)}" for k, v in node.inputs.items()))
        if len(self) > 30:
            lines.append(f"  ... and {len(self) - 30} more")
        return "\n".join(lines)


def load(source: Any, registry: Registry | None = None, scope: Scope | None = None) -> Graph:
    """Load a graph: a path of a JSON file or picture, JSON text, a dict, or bytes. Raises PromptError.

    With the `scope` of another graph it counts as that graph: nodes keep their objects and what is bound to their ids.
    """
    if isinstance(source, (Mapping, bytes, bytearray)) or (
        isinstance(source, str) and source.lstrip("\ufeff \t\r\n")[:1] in ("{", "[", "")
    ):
        return Graph.from_prompt(source, registry, scope)
    if not isinstance(source, (str, os.PathLike)):
        raise PromptError(f"A graph is loaded from a path, JSON text or a dict, not from {type(source).__name__}.")
    return Graph.from_prompt(read_prompt(source).without_records(), registry, scope)


def _parsed(source: Any) -> ParsedPrompt:
    parsed = parse_prompt(source)
    is_submitted = isinstance(source, Mapping) and not isinstance(source.get("prompt"), str)
    return parsed if is_submitted else parsed.without_records()


def _default_registry(handles: Sequence[HandleLike]) -> Registry:
    return handles[0].call.registry if handles and is_handle(handles[0]) else default_registry()
