"""One node's turn: its inputs are gathered, its function is called over lists of them, the results become outputs.

It is written as a generator, so that lanes and the event loop can drive the same code (see `callers`): it yields lists
of invocations, is sent their results, and returns an outcome.

    turn = node_turn(node_run, services)
    invocations = next(turn)             # perhaps check_lazy_status first, then the node's function
    invocations = turn.send(results)     # ... until StopIteration carries the Outcome: Ask, Expand or Done
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.returned import count_misfit, merge, merge_ui, read_result
from comfy_nb.engine.node_api.context import CallContext, ExecutionBlocker, is_blocker
from comfy_nb.engine.node_api.progress import Progress
from comfy_nb.engine.planning.hidden_inputs import KNOWN_HIDDEN
from comfy_nb.engine.planning.step import Step, as_lists
from comfy_nb.graph.check import InLink
from comfy_nb.graph.link import link_of
from comfy_nb.spec.attributes import items_of
from comfy_nb.spec.function import RESOURCE
from comfy_nb.wording import class_name, short


class Invocation(NamedTuple):
    """A function to call with inputs, in a context; `is_check` marks `check_lazy_status`."""

    function: Callable[..., Any]
    inputs: dict[str, Any]
    context: CallContext
    is_check: bool = False


class Ask(NamedTuple):
    """The node needs these lazy inputs first."""

    names: Sequence[str]


class Expand(NamedTuple):
    """The node's calls returned values, and some of them graphs: `parts` has (graph or None, values) for each call."""

    parts: Sequence[tuple[Mapping[str, Any] | None, Any]]
    ui: Mapping[str, Any] | None


class Done(NamedTuple):
    """The node's outputs."""

    outputs: Outputs
    ui: Mapping[str, Any] | None


Outcome = Ask | Expand | Done
Turn = Generator[list[Invocation], list[Any], Outcome]


class CallServices(Protocol):
    """The run, as far as a turn needs it."""

    def outputs_of(self, node_id: str) -> Outputs:
        """Return the outputs of another node, which the node has waited for."""
        ...

    def hidden(self, node_run: NodeRun, kind: Any) -> Any:
        """Return the value of a hidden input."""
        ...

    def object_of(self, node_run: NodeRun) -> Any:
        """Return the object that a node's methods are called on."""
        ...

    def context(self, node_run: NodeRun, index: int, calls: int) -> CallContext:
        """Return the context of one call."""
        ...

    def skipped(self, node_run: NodeRun, blockers: Sequence[tuple[str, ExecutionBlocker]]) -> ExecutionBlocker:
        """Report a call that was skipped because of blockers on inputs; returns what takes its result's place."""
        ...

    def warn(self, node_run: NodeRun, message: str) -> None:
        """Warn once in this run of something that a node does."""
        ...


def node_turn(node_run: NodeRun, services: CallServices) -> Turn:
    """Give a node its turn; yields lists of invocations that may be made at the same time."""
    step = node_run.step
    spec = step.spec
    node = services.object_of(node_run)
    if spec.check_lazy is None and not step.lazy_links and not spec.input_is_list:
        inputs, single = gather(node_run, services)
    else:
        inputs, single = _gather_lists(node_run, services), False
        if spec.check_lazy is not None:
            names = yield from _ask(node_run, services, spec.check_lazy(node), inputs)
            if names:
                return Ask(names)
        node_run.passed = [link for link in step.lazy_links if not link.raw and inputs[link.name] is not NOT_THERE]
    function = spec.function(node)
    if single:
        _fill_hidden(node_run, services, inputs, 0, 1)
        results: Sequence[Any] = yield [Invocation(function, inputs, services.context(node_run, 0, 1))]
    else:
        results = yield from _map(node_run, services, function, inputs)
    return collect(node_run, services, results)


def simple_inputs(step: Step, node_runs: Mapping[str, NodeRun]) -> dict[str, Any] | None:
    """Return the inputs of a simple node; None if one is a list or a blocker, which needs a whole turn."""
    inputs = step.template.copy()
    for name, origin, slot, _, _ in step.links:
        outputs = node_runs[origin].outputs
        try:
            items = outputs[slot]  # type: ignore[index]
        except IndexError:
            continue
        if len(items) != 1:
            return None
        value = inputs[name] = items[0]
        if issubclass(type(value), ExecutionBlocker):
            return None
    return inputs


def simple_outputs(node_run: NodeRun, services: CallServices, result: Any) -> Outcome:
    """Put what the one call of a simple node returned into output slots."""
    spec = node_run.step.spec
    if spec.pack is not None and not is_blocker(result):
        result = spec.pack(result)
    if type(result) is tuple and len(result) == len(spec.return_types):
        return Done(tuple([[value] for value in result]), None)
    return collect(node_run, services, [result])


def gather(node_run: NodeRun, services: CallServices) -> tuple[dict[str, Any], bool]:
    """Return a node's inputs by name, and whether they are single values (else each is a list)."""
    inputs = node_run.step.template.copy()
    for link in node_run.step.links:
        items = _items(link, services.outputs_of(link.origin))
        if len(items) != 1 or is_blocker(items[0]):
            return _gather_lists(node_run, services), False
        inputs[link.name] = items[0]
    return inputs, True


NOT_THERE: list[Any] = [None]


def _items(link: InLink, outputs: Outputs) -> list[Any]:
    if link.raw:
        return [[link.origin, link.slot]]
    try:
        return outputs[link.slot]
    except IndexError:
        return [None]


def _gather_lists(node_run: NodeRun, services: CallServices) -> dict[str, Any]:
    lists = as_lists(node_run.step, node_run.step.template)
    sources = node_run.sources()
    for link in node_run.step.links:
        is_there = link.raw or link.origin in sources
        lists[link.name] = _items(link, services.outputs_of(link.origin)) if is_there else NOT_THERE
    return lists


def _fill_hidden(node_run: NodeRun, services: CallServices, inputs: dict[str, Any], index: int, calls: int) -> None:
    step = node_run.step
    for name, kind in step.interface.hidden.items():
        if kind == RESOURCE:
            inputs.pop(name, None)  # the caller lends it, for as long as the call takes
            continue
        if kind == "PROGRESS":
            value: Any = Progress(services.context(node_run, index, calls))
        elif kind in KNOWN_HIDDEN:
            value = services.hidden(node_run, kind)
        else:
            continue
        inputs[name] = [value] if step.spec.input_is_list else value


def _map(
    node_run: NodeRun, services: CallServices, function: Callable[..., Any], lists: Mapping[str, list[Any]]
) -> Generator[Any, Any, Sequence[Any]]:
    """Call once per list index, or once with whole lists; calls that a blocker reaches are skipped."""
    calls = _calls(node_run, services, function, lists)
    made = [call for call in calls if type(call) is Invocation]
    node_run.is_blocked = not made
    results = iter((yield made) if made else ())
    return [next(results) if type(call) is Invocation else services.skipped(node_run, call) for call in calls]


def _calls(
    node_run: NodeRun,
    services: CallServices,
    function: Callable[..., Any],
    lists: Mapping[str, list[Any]],
    is_check: bool = False,
) -> list[Any]:
    """Return the invocations over a node's lists; in place of one that blockers would reach, their inputs and these."""
    whole = node_run.step.spec.input_is_list
    rows = [dict(lists)] if whole else _rows(node_run, lists)
    calls: list[Any] = []
    for index, row in enumerate(rows):
        blockers = list(_blockers(row, whole))
        if blockers:
            calls.append(blockers)
            continue
        _fill_hidden(node_run, services, row, index, len(rows))
        calls.append(Invocation(function, row, services.context(node_run, index, len(rows)), is_check))
    return calls


def _blockers(row: Mapping[str, Any], whole: bool) -> Iterator[tuple[str, ExecutionBlocker]]:
    for name, value in row.items():
        for item in value if whole else (value,):
            if is_blocker(item):
                yield name, item


def _rows(node_run: NodeRun, lists: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    empty = [name for name, items in lists.items() if not items]
    if empty:
        raise ValueError(
            f"the input {empty[0]!r} is an empty list, so there is nothing to call the node with. "
            "Give it at least one item, or remove the link."
        )
    count = max((len(items) for items in lists.values()), default=1)
    return [{name: items[min(index, len(items) - 1)] for name, items in lists.items()} for index in range(count)]


def _ask(
    node_run: NodeRun, services: CallServices, check: Callable[..., Any], lists: Mapping[str, list[Any]]
) -> Generator[Any, Any, list[str]]:
    """Ask `check_lazy_status` which lazy inputs it wants; return those that are not there yet."""
    step = node_run.step
    calls = _calls(node_run, services, check, lists, is_check=True)
    made = [call for call in calls if type(call) is Invocation]
    answers = (yield made) if made else ()
    for answer in answers:
        if answer is not None and not issubclass(type(answer), list):
            advice = f"[{short(answer)}]" if issubclass(type(answer), str) else "a list of names"
            what = f"its check_lazy_status returned {short(answer)}, a {class_name(answer)}, which asks for nothing"
            services.warn(node_run, f"{what}. Return {advice}.")
    lists_of_names = [items_of(answer) for answer in answers if issubclass(type(answer), list)]
    named = [str.__str__(name) for names in lists_of_names for name in names if issubclass(type(name), str)]
    known = dict.fromkeys([*step.template, *step.interface.hidden])
    by_name = {link.name: link for link in step.links}
    missing = []
    for name in dict.fromkeys(named):
        if name not in known:
            raise NameError(f"check_lazy_status asked for {name!r}, but the node's inputs are: {', '.join(known)}.")
        link = by_name.get(name)
        if link is not None and link.lazy and lists[name] is NOT_THERE:
            missing.append(name)
    return missing


def collect(node_run: NodeRun, services: CallServices, results: Sequence[Any]) -> Outcome:
    """Put what the calls returned into output slots; warns of one that returned too few values, or too many."""
    spec = node_run.step.spec
    parts: list[tuple[Mapping[str, Any] | None, Any]] = []
    uis: list[Mapping[str, Any]] = []
    expands = False
    for result in results:
        values, graph, ui = read_result(spec, result)
        if ui is not None:
            uis.append(ui)
        if graph is not None:
            expands = True
        if values is not None:
            parts.append((graph, values))
        # A link in the result of an expansion stands for as many values as it brings.
        is_open = any(map(link_of, values or ())) if graph is not None else values is None and spec.is_output
        if not is_open and (misfit := count_misfit(spec, values or ())):
            services.warn(node_run, misfit)
    ui = merge_ui(uis)
    if expands:
        return Expand(parts, ui)
    return Done(merge(spec, [values for _, values in parts]), ui)
