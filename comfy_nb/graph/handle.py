"""Handles: what a cell holds of a node that it called. Immutable; calling nodes with handles makes a graph."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from comfy_nb.errors import GraphError, LayoutError, UnknownName
from comfy_nb.graph import runner
from comfy_nb.graph.documentation import describe, signature_of, signature_text
from comfy_nb.graph.model import Graph
from comfy_nb.graph.no_value import NoValueYet
from comfy_nb.spec.coerce import coerce
from comfy_nb.spec.digest import Digest, combine, is_plain
from comfy_nb.spec.node_digest import node_digest
from comfy_nb.spec.node_spec import InputSpec, Interface, NodeSpec
from comfy_nb.wording import count, short

if TYPE_CHECKING:
    from comfy_nb.spec.registry import Registry

READERS = {"IMAGE": "nb.image({})", "MASK": "PIL.Image.open({})"}
TAKEN = {
    "IMAGE": "a picture, such as nb.image('photo.png')",
    "MASK": "a mask, such as PIL.Image.open('mask.png')",
    "LATENT": "a dict of a tensor, {'samples': [B,C,H,W]}",
    "AUDIO": "a dict of a tensor and its rate, {'waveform': [B,C,T], 'sample_rate': 44100}",
}
OFFERED = ("fresh", "graph", "run", "run_sync", "show", "start")
AWAIT_IT = "await it, or its .run() as a task"

_fresh = itertools.count(1)


class Call:
    """One node with its inputs: constants, and handles to other nodes' outputs.

    It holds its `factory`, so that this is known to be in use.
    """

    __slots__ = ("_digest", "_graph", "_pristine", "factory", "fresh", "inputs", "registry", "spec")

    def __init__(self, factory: NodeFactory, inputs: Mapping[str, Any], fresh: int = 0) -> None:
        self.factory = factory
        self.spec = factory.spec
        self.registry = factory.registry
        self.inputs = inputs
        self.fresh = fresh
        self._digest: Digest | None = None
        self._graph: Graph | None = None
        self._pristine: Graph | None = None

    def parents(self) -> list[Call]:
        """The calls whose outputs this one takes."""
        return [value.call for value in self.inputs.values() if type(value) is Handle]

    def closure(self) -> list[Call]:
        """This call and all it needs, what is needed first."""
        order: list[Call] = []
        seen: set[int] = set()
        stack: list[tuple[Call, bool]] = [(self, False)]
        while stack:
            call, ready = stack.pop()
            if ready:
                order.append(call)
            elif id(call) not in seen:
                seen.add(id(call))
                stack.append((call, True))
                stack.extend((parent, False) for parent in reversed(call.parents()))
        return order

    @property
    def digest(self) -> Digest:
        """What makes two calls equal: the class, its code, the constants, and the calls above."""
        if self._digest is None:
            codes: dict[NodeSpec, Digest] = {}
            for call in self.closure():
                if call._digest is None:
                    code = codes.get(call.spec) or codes.setdefault(call.spec, call.spec.code())
                    call._digest = call._own_digest(code)
        assert self._digest is not None
        return self._digest

    def _own_digest(self, code: Digest) -> Digest:
        constants = {name: None if type(value) is Handle else value for name, value in self.inputs.items()}
        handles = {name: value for name, value in sorted(self.inputs.items()) if type(value) is Handle}
        links = tuple([(name, handle.index) for name, handle in handles.items()])
        own = node_digest(self.spec.class_type, code, self.fresh, None, constants, links)
        return combine(b"", [own, *(handle.call.digest for handle in handles.values())]) if handles else own

    @property
    def graph(self) -> Graph:
        """The graph of this call and all above it, to edit; the same object each time, since it keeps its plan."""
        if self._graph is None:
            self._graph = self.pristine_graph
        return self._graph

    @property
    def pristine_graph(self) -> Graph:
        """A graph of this call that nobody has edited; made again after an edit."""
        if self._pristine is None or self._pristine.is_edited:
            self._pristine = Graph(Handle(self), registry=self.registry)
            self._pristine.is_edited = False
        return self._pristine

    @property
    def known_pristine_graph(self) -> Graph | None:
        """What this call is computed by, where it was made already: a repr must not make it."""
        return self._pristine if self._pristine is not None and not self._pristine.is_edited else None

    def extras(self) -> dict[str, Any] | None:
        """What the call's node carries beside its inputs."""
        return {"fresh": self.fresh} if self.fresh else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Call):
            return NotImplemented
        return self is other or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class Handle(NoValueYet):
    """A node that was called, or one output of it; nothing has run yet.

    `await handle` computes its value: of the slot, of the only output, or a tuple of all outputs. `handle.NAME` and
    `handle[i]` are output slots. Handles of equal nodes with equal inputs are equal.
    """

    __slots__ = ("__weakref__", "call", "slot")
    is_comfy_nb_handle = True

    def __init__(self, call: Call, slot: int | None = None) -> None:
        self.call = call
        self.slot = slot

    @property
    def index(self) -> int:
        """The output slot that this handle stands for; raises GraphError where none of several was chosen."""
        if self.slot is not None:
            return self.slot
        names = self.call.spec.output_names
        if len(names) > 1:
            which = ", ".join(f".{name}" for name in names)
            raise GraphError(f"{self.call.spec.class_type} has {len(names)} outputs; choose one of them: {which}.")
        if not names:
            raise GraphError(f"{self.call.spec.class_type} has no outputs, so nothing can be linked to it.")
        return 0

    @property
    def __wrapped__(self) -> Any:
        """The node's function or class, whose source IPython shows for `handle??`."""
        return self.call.spec.origin

    @property
    def graph(self) -> Graph:
        """The graph of this node and all that it needs, as its own object to edit, save or run."""
        return self.call.graph

    def __await__(self) -> Generator[Any, None, Any]:
        return self.run().__await__()

    async def run(self, *, timeout: float | None = None) -> Any:
        """Compute the value. A coroutine, for `create_task`, `gather` and `TaskGroup`.

        Raises RunTimeout where it takes longer than `timeout` seconds, here and in `start` and `run_sync`.
        """
        graph, node_id = self._target()
        run = await runner.current().run(graph, [node_id], timeout=timeout)
        return run.result(node_id, self.slot)

    def start(self, *, timeout: float | None = None) -> Any:
        """Start computing the value in the background of the running loop and return the job."""
        graph, node_id = self._target()
        return runner.current().start(
            graph, [node_id], take=lambda run: run.result(node_id, self.slot), timeout=timeout
        )

    def run_sync(self, *, timeout: float | None = None) -> Any:
        """Compute the value from code that cannot await."""
        graph, node_id = self._target()
        return runner.current().run_sync(graph, [node_id], timeout=timeout).result(node_id, self.slot)

    def __comfy_nb_key__(self) -> tuple[Any, ...]:
        """Return what a node that reads the handle, and perhaps awaits it, can see of it."""
        edited = self.call._graph
        return (*self._target(), self.slot, edited if edited is not None and edited.is_edited else None)

    def _target(self) -> tuple[Graph, str]:
        """Return the graph that this is computed by, and the id of its node there."""
        graph = self.call.pristine_graph
        return graph, graph.id_of(self)

    def fresh(self) -> Handle:
        """Return the same node to be computed anew: a new sample of a random node, a new answer of a remote one."""
        call = self.call
        return Handle(Call(call.factory, call.inputs, next(_fresh)), self.slot)

    def cache_keys(self) -> list[bytes]:
        """The keys that `nb.cache` knows this node by, for `nb.cache.drop(handle)` and `pin(handle)`."""
        return runner.current().keys_of(*self._target())

    async def show(self) -> Any:
        """Compute the value and show it as a picture, table or text below the cell: `await handle.show()`."""
        kind = self.call.spec.socket_of(self.slot or 0)
        return runner.current().presenter.show_value(await self.run(), kind)

    def __getitem__(self, slot: int | str) -> Handle:
        if not isinstance(slot, (int, str)):
            raise TypeError(f"{self._advice()} [{short(slot)}] is no output: these are taken by number or name.")
        index = self.call.spec.slot(slot)
        if index is None:
            if isinstance(slot, int):
                raise IndexError(
                    f"{self.call.spec.class_type} has {count(len(self), 'output')}; there is no output {slot}."
                )
            raise UnknownName.of("output", slot, self.call.spec.output_names, f"on {self.call.spec.class_type}")
        if self.slot is not None:
            raise GraphError(f"{self!r} is one output already; take [{slot!r}] of the node itself.")
        return Handle(self.call, index)

    def __getattr__(self, name: str) -> Handle:
        if name.startswith("_"):
            raise AttributeError(name)
        index = self.call.spec.slot(name) if self.slot is None else None
        if index is None:
            hint = UnknownName.of("output", name, self.call.spec.output_names, f"on {self.call.spec.class_type}")
            raise AttributeError(f"{self._advice()} {hint}", name=name, obj=self)
        return Handle(self.call, index)

    def __dir__(self) -> list[str]:
        names = self.call.spec.output_names if self.slot is None else ()
        return [*(name for name in names if name.isidentifier()), *OFFERED]

    def __iter__(self) -> Iterator[Handle]:
        if self.slot is not None or len(self) == 1:
            raise TypeError(f"{self._advice()} Only a node with several outputs can be unpacked.")
        return iter([Handle(self.call, index) for index in range(len(self))])

    def __len__(self) -> int:
        return len(self.call.spec.output_names)

    def __copy__(self) -> Handle:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Handle:
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handle):
            return NotImplemented
        return self.slot == other.slot and self.call == other.call

    def __hash__(self) -> int:
        return hash((self.call, self.slot))

    def __repr__(self) -> str:
        spec = self.call.spec
        slot = "" if self.slot is None else f".{spec.output_name(self.slot)}"
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.call.inputs.items())
        graph = self.call.known_pristine_graph
        state = runner.current().state_of(graph, graph.id_of(self)) if graph is not None else ""
        return f"<{spec.class_type}({shown}){slot}: {state}{'; ' if state else ''}{AWAIT_IT}>"

    def getdoc(self) -> str:
        """Return what IPython shows for `handle?`: its node class, and how it stands."""
        return f"{self.call.factory.getdoc()}\n\n{self!r}"

    def _advice(self) -> str:
        slot = "" if self.slot is None else f".{self.call.spec.output_name(self.slot)}"
        return f"This handle of {self.call.spec.class_type}{slot} has no value yet: `await` it."


def _short(value: Any) -> str:
    if type(value) is not Handle:
        return short(value)
    slot = "" if value.slot is None else f".{value.call.spec.output_name(value.slot)}"
    return f"{value.call.spec.class_type}(…){slot}"


def _refusal(socket: str, value: Any) -> str:
    """Say why a number or text is no picture, latent or audio, and what to give in its place."""
    if type(value) is str and socket in READERS:
        advice = f"Read the picture that it names: {READERS[socket].format(short(value))}"
    else:
        advice = f"Give {TAKEN[socket]}, or a node's output"
    return f"expected {socket}, got {'the text ' if type(value) is str else ''}{short(value)}. {advice}."


class NodeFactory:
    """A node class that can be called: the call gives a Handle.

    Made by `@nb.node` (then `function` is the plain function) and by the `nb.nodes` namespace.
    """

    def __init__(self, spec: NodeSpec, registry: Registry) -> None:
        self.spec = spec
        self.registry = registry
        self._known: Interface | None = None
        self.__name__ = spec.class_type
        self.__qualname__ = spec.class_type
        self.__doc__ = describe(spec)
        self.function = self.__wrapped__ = spec.origin  # IPython shows its source for `name??`

    @property
    def __signature__(self) -> inspect.Signature:
        return signature_of(self.spec)

    @property
    def _interface(self) -> Interface:
        if self._known is None:
            self._known = self.spec.interface()
        return self._known

    def __call__(self, *args: Any, **inputs: Any) -> Handle:
        """Make a node with these inputs, positional ones in declared order; missing ones take their defaults."""
        if args:
            inputs = {**self._named(args, inputs), **inputs}
        declared = self._interface.declared
        complete: dict[str, Any] = {}
        for name, entry in declared.items():
            if name in inputs:
                complete[name] = self._given(entry, inputs[name])
            elif entry.required and not entry.has_default:
                raise GraphError(
                    f"{self.spec.class_type} needs the input {name!r} ({entry.socket}). "
                    f"Its inputs are: {', '.join(declared)}."
                )
            elif "default" in entry.options or entry.required:
                complete[name] = self._default(entry)
        if len(complete) < len(inputs) or not inputs.keys() <= complete.keys():
            self._take_undeclared(inputs, complete)
        return Handle(Call(self, complete))

    def _named(self, args: tuple[Any, ...], inputs: Mapping[str, Any]) -> dict[str, Any]:
        names = list(self._interface.declared)
        if len(args) > len(names):
            raise GraphError(
                f"{self.spec.class_type} takes {len(names)} inputs ({', '.join(names)}), but {len(args)} came."
            )
        twice = [name for name in names[: len(args)] if name in inputs]
        if twice:
            raise GraphError(f"{self.spec.class_type} got the input {twice[0]!r} twice, by position and by name.")
        return dict(zip(names, args, strict=False))

    def _given(self, entry: InputSpec, value: Any) -> Any:
        if type(value) is Handle:
            return value if value.slot is not None else Handle(value.call, value.index)
        if is_plain(value):
            if value is not None and entry.socket in TAKEN:
                raise LayoutError(f"{self.spec.class_type}, input {entry.name!r}: {_refusal(entry.socket, value)}")
            return value
        # A proxy or a container of somebody else's may do anything when it is asked for its class or items.
        items = next((base.__iter__(value) for base in (list, tuple) if issubclass(type(value), base)), ())
        if any(type(item) is Handle for item in items):
            raise GraphError(
                f"{self.spec.class_type}, input {entry.name!r}: a handle can be an input, but not part of a list. "
                "Join the nodes first (ImageBatch joins pictures), or await them and give the values."
            )
        try:
            if entry.is_list and issubclass(type(value), (list, tuple)):
                return [coerce(entry.name_of(item), entry.socket) for item in value]
            return coerce(entry.name_of(value), entry.socket)
        except LayoutError as error:
            raise LayoutError(f"{self.spec.class_type}, input {entry.name!r}: {error}") from error

    def _default(self, entry: InputSpec) -> Any:
        if "default" not in entry.options:
            # What can be chosen may have grown (a new file) since the class was first looked at.
            self._known = None
            entry = self._interface.lookup(entry.name) or entry
        return entry.default

    def _take_undeclared(self, inputs: Mapping[str, Any], complete: dict[str, Any]) -> None:
        for name in [each for each in inputs if each not in complete]:
            entry = self._interface.lookup(name)
            value = inputs[name]
            if entry is None and not (type(value) is Handle and self.spec.undeclared_inputs):
                raise UnknownName.of("input", name, self._interface.declared, f"on {self.spec.class_type}")
            complete[name] = self._given(entry or InputSpec(name, "*", {}, False), value)

    def __comfy_nb_key__(self) -> Digest:
        return self.spec.code()

    def getdoc(self) -> str:
        """Return the documentation with a picture of the slots, which IPython shows for `nb.nodes.X?`."""
        return f"{runner.current().presenter.class_text(self.spec)}\n\n{describe(self.spec)}"

    def _repr_html_(self) -> str:
        return runner.current().presenter.class_html(self.spec)

    def __repr__(self) -> str:
        return f"<node {self.spec.class_type}{signature_text(self.spec)}>"
