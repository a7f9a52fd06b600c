"""The meaning of a graph, computed in the slowest and plainest way.

One recursive function computes a node after all that it needs. Nothing is cached between runs, nothing
overlaps, equal nodes are computed as often as they occur. The prompt is taken to be valid: its constants
have their declared types already.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from comfy_nb.engine.node_api.context import CurrentNodeContext, ExecutionBlocker
from comfy_nb.errors import DependencyCycleError, DuplicateNodeError, GraphError, UnknownName

Prompt = Mapping[str, Mapping[str, Any]]
Slots = list[list[Any]]
Failure = tuple[str, str]


@dataclass
class Outcome:
    """The outcome of a run.

    `values` holds, for each node of the submitted graph that was computed, one list per output slot. `ui`
    and `blocked`, a list of (node id, message), name nodes by their own ids, those of an expansion
    included. `error` is the first failure found: (id of the submitted node, name of the exception type).
    After a failure the rest is still computed as far as it can be. So `possible_errors` holds every failure
    that may come first when nodes run in another order; `values`, `ui` and `blocked` hold at least what any
    order can have reached.
    """

    values: dict[str, Slots] = field(default_factory=dict)
    ui: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    blocked: list[tuple[str, str]] = field(default_factory=list)
    error: Failure | None = None
    possible_errors: list[Failure] = field(default_factory=list)


def evaluate(prompt: Prompt, classes: Mapping[str, type], wanted: Iterable[str] | None = None) -> Outcome:
    """Compute the `wanted` nodes of a valid prompt; by default its output nodes, or else its leaves."""
    run = _Run(prompt, classes)
    run.compute_everything(default_targets(prompt, classes) if wanted is None else wanted)
    outcome = run.outcome
    outcome.values = {node_id: run.slots[node_id] for node_id in prompt if node_id in run.slots}
    outcome.error = outcome.possible_errors[0] if outcome.possible_errors else None
    return outcome


def comparable(value: Any) -> Any:
    """Return a value, or the lists and dicts that hold values, with each blocker as ("blocked", message)."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    return ("blocked", value.message) if isinstance(value, ExecutionBlocker) else value


def default_targets(prompt: Prompt, classes: Mapping[str, type]) -> list[str]:
    """Return the ids of the output nodes, or of the nodes that no other node uses when there are none."""
    outputs = [node_id for node_id, node in prompt.items() if is_output(classes[node["class_type"]])]
    used = {value[0] for node in prompt.values() for value in node["inputs"].values() if is_link(value)}
    return outputs or [node_id for node_id in prompt if node_id not in used]


class _Failed(Exception):
    """A node failed, or one that it needs did."""


class _Run:
    def __init__(self, prompt: Prompt, classes: Mapping[str, type]) -> None:
        self.classes = classes
        self.prompt = {node_id: unwrapped(node) for node_id, node in prompt.items()}
        self.nodes: dict[str, Mapping[str, Any]] = dict(self.prompt)
        self.parents: dict[str, str] = {}
        self.asked: dict[str, set[str]] = {}
        self.objects: dict[str, Any] = {}
        self.slots: dict[str, Slots] = {}
        self.failed: set[str] = set()
        self.in_progress: list[str] = []
        self.to_do: list[str] = []
        self.outcome = Outcome()

    def compute_everything(self, wanted: Iterable[str]) -> None:
        self.to_do = list(wanted)
        while self.to_do:  # an expansion adds its output nodes
            self.compute_all([self.to_do.pop(0)])

    def compute_all(self, node_ids: Iterable[str]) -> bool:
        """Compute each of the nodes, whether others fail or not; return whether all could be computed."""
        results = [self.compute(node_id) for node_id in node_ids]
        return all(results)

    def compute(self, node_id: str) -> bool:
        """Compute one node after everything that it needs, and return whether that succeeded."""
        if node_id in self.slots or node_id in self.failed:
            return node_id in self.slots
        if node_id in self.in_progress:
            self.report_failure(self.expanding_node_of_cycle(node_id), DependencyCycleError())
            return False
        self.in_progress.append(node_id)
        try:
            self.slots[node_id] = self.run_node(node_id)
        except _Failed:
            self.failed.add(node_id)
        except Exception as error:
            self.failed.add(node_id)
            self.report_failure(node_id, error)
        self.in_progress.pop()
        return node_id in self.slots

    def run_node(self, node_id: str) -> Slots:
        node_class = self.class_of(node_id)
        self.wait_for(self.sources_needed_first(node_id))
        while asked := self.lazy_sources_asked_for(node_id):
            self.wait_for(asked)
        returned = self.call_for_each_index(node_id, node_class.FUNCTION)
        replies = [as_reply(value) for value in returned]
        self.report_ui(node_id, [reply["ui"] for reply in replies if reply.get("ui")])
        results = self.expanded(node_id, replies)
        return gathered(results, getattr(node_class, "OUTPUT_IS_LIST", None))

    # What must be there first

    def sources_needed_first(self, node_id: str) -> list[str]:
        """Return the sources of all linked inputs that are not lazy; a rawLink input's source too."""
        node_class, inputs = self.class_of(node_id), self.nodes[node_id]["inputs"]
        return [
            value[0]
            for name, value in inputs.items()
            if is_link(value) and not options_of(node_class, name).get("lazy")
        ]

    def lazy_sources_asked_for(self, node_id: str) -> list[str]:
        """Return the sources that check_lazy_status names at any list index and that are not there yet."""
        if not hasattr(self.class_of(node_id), "check_lazy_status"):
            return []
        inputs = self.nodes[node_id]["inputs"]
        answers = self.call_for_each_index(node_id, "check_lazy_status", is_check=True)
        names = [name for answer in answers if isinstance(answer, list) for name in answer]
        sources = []
        for name in names:
            if name in self.inputs_of(node_id) and not self.is_missing(node_id, name):
                continue
            if name not in inputs:
                raise NameError(f"check_lazy_status of node {node_id} asks for {name!r}, which it is not given.")
            sources.append(inputs[name][0])
        self.asked.setdefault(node_id, set()).update(sources)
        return sources

    def is_missing(self, node_id: str, name: str) -> bool:
        """Tell whether an input waits for the value of a node that this one has not waited for."""
        value = self.nodes[node_id]["inputs"].get(name)
        is_raw = options_of(self.class_of(node_id), name).get("rawLink")
        return is_link(value) and not is_raw and not self.has_waited_for(node_id, value[0])

    def has_waited_for(self, node_id: str, source: str) -> bool:
        return source in self.asked.get(node_id, ()) or source in self.sources_needed_first(node_id)

    def wait_for(self, node_ids: Sequence[str]) -> None:
        for node_id in node_ids:
            if node_id not in self.nodes:
                raise GraphError(f"There is no node {node_id!r}.")
        if not self.compute_all(node_ids):
            raise _Failed

    # Calling the node

    def inputs_of(self, node_id: str) -> dict[str, list[Any]]:
        """Return a list of values per input, and None for a lazy one that was not asked for."""
        node_class, inputs = self.class_of(node_id), {}
        for name, value in self.nodes[node_id]["inputs"].items():
            options = options_of(node_class, name)
            if is_link(value) and not options.get("rawLink"):
                there = self.slots.get(value[0], []) if self.has_waited_for(node_id, value[0]) else []
                inputs[name] = slot_of(there, value[1])
            elif is_declared(node_class, name):
                inputs[name] = [value]
        return inputs | self.hidden_inputs_of(node_id)

    def hidden_inputs_of(self, node_id: str) -> dict[str, list[Any]]:
        known = {
            "UNIQUE_ID": node_id,
            "PROMPT": self.prompt,
            "DYNPROMPT": LivePrompt(self),
            "EXTRA_PNGINFO": None,
            "AUTH_TOKEN_COMFY_ORG": None,
            "API_KEY_COMFY_ORG": None,
            "COMFY_USAGE_SOURCE": None,
        }
        hidden = self.class_of(node_id).INPUT_TYPES().get("hidden", {})
        return {name: [known[kind]] for name, kind in hidden.items() if kind in known}

    def call_for_each_index(self, node_id: str, method: str, *, is_check: bool = False) -> list[Any]:
        """Call a method of the node per list index; a call that would receive a blocker returns one instead."""
        node_class = self.class_of(node_id)
        takes_lists = bool(getattr(node_class, "INPUT_IS_LIST", False))
        if node_id not in self.objects:
            self.objects[node_id] = node_class()
        returned: list[Any] = []
        for index, arguments in enumerate(list_calls(self.inputs_of(node_id), takes_lists)):
            blocker = first_blocker(arguments, takes_lists)
            if blocker is None:
                with CurrentNodeContext("reference", node_id, index):
                    returned.append(called(getattr(self.objects[node_id], method), arguments))
                continue
            if blocker.message is not None and not is_check:
                self.outcome.blocked.append((node_id, blocker.message))
            returned.append(ExecutionBlocker(None))
        return returned

    # What it returned

    def report_ui(self, node_id: str, parts: Sequence[Mapping[str, Sequence[Any]]]) -> None:
        keys = dict.fromkeys(key for part in parts for key in part)
        if keys:
            merged = {key: [item for part in parts for item in part.get(key, [])] for key in keys}
            self.outcome.ui[node_id] = merged

    def expanded(self, node_id: str, replies: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Return the result of each call that has one, after the expansions of all calls were computed."""
        for reply in replies:
            self.add_expansion(node_id, reply.get("expand") or {})
        outputs = len(self.class_of(node_id).RETURN_TYPES)
        results = [(as_tuple(reply["result"], outputs), "expand" in reply) for reply in replies if "result" in reply]
        self.wait_for([item[0] for items, expands in results if expands for item in items if is_link(item)])
        return [self.links_replaced(items) if expands else items for items, expands in results]

    def add_expansion(self, parent: str, expansion: Prompt) -> None:
        for node_id, node in expansion.items():
            if node_id in self.makers_of(parent):
                raise DuplicateNodeError(f"Node {parent} expands to {node_id!r}, which made it.")
            if node["class_type"] not in self.classes:
                raise UnknownName.of("class", node["class_type"], self.classes)
        for node_id, node in expansion.items():
            self.nodes[node_id] = node
            self.parents[node_id] = parent
            self.slots.pop(node_id, None)
            self.objects.pop(node_id, None)
            self.failed.discard(node_id)
            if is_output(self.classes[node["class_type"]]):
                self.to_do.append(node_id)

    def links_replaced(self, items: Iterable[Any]) -> tuple[Any, ...]:
        """Put the items of the slot that a link names in the place of the link."""
        whole: list[Any] = []
        for item in items:
            whole += slot_of(self.slots[item[0]], item[1]) if is_link(item) else [item]
        return tuple(whole)

    def makers_of(self, node_id: str) -> list[str]:
        """Return a node and those by whose expansions it came."""
        makers = [node_id]
        while makers[-1] in self.parents:
            makers.append(self.parents[makers[-1]])
        return makers

    # Who is who

    def class_of(self, node_id: str) -> Any:
        return self.classes[self.nodes[node_id]["class_type"]]

    def report_failure(self, node_id: str, error: Exception) -> None:
        while node_id in self.parents:
            node_id = self.parents[node_id]
        failure = (node_id, type(error).__name__)
        if failure not in self.outcome.possible_errors:
            self.outcome.possible_errors.append(failure)

    def expanding_node_of_cycle(self, node_id: str) -> str:
        """Return a member of the cycle whose parent made it by expanding, else the member that closed it."""
        cycle = self.in_progress[self.in_progress.index(node_id) :]
        return next((member for member in cycle if member in self.parents), cycle[-1])


class LivePrompt:
    """The graph with all expansions so far, as a node that declares DYNPROMPT sees it."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def has_node(self, node_id: str) -> bool:
        return node_id in self._run.nodes

    def get_node(self, node_id: str) -> Mapping[str, Any]:
        return self._run.nodes[node_id]

    def get_original_prompt(self) -> Prompt:
        return self._run.prompt

    def get_parent_node_id(self, node_id: str) -> str | None:
        return self._run.parents.get(node_id)


# Prompts and declarations


def is_link(value: Any) -> bool:
    """Tell whether a value of a prompt, or an item of an expansion's result, is `[node id, slot]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def unwrapped(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a submitted node with its `{"__value__": constant}` inputs replaced by the constants."""
    inputs = {
        name: value["__value__"] if isinstance(value, dict) and "__value__" in value else value
        for name, value in node["inputs"].items()
    }
    return {**node, "inputs": inputs}


def is_output(node_class: Any) -> bool:
    return bool(getattr(node_class, "OUTPUT_NODE", False))


def is_declared(node_class: Any, name: str) -> bool:
    return any(name in group for group in node_class.INPUT_TYPES().values())


def options_of(node_class: Any, name: str) -> Mapping[str, Any]:
    """Return the options of an input, empty for one that is undeclared, hidden or has none."""
    declared = node_class.INPUT_TYPES()
    for kind in ("required", "optional"):
        group = declared.get(kind, {})
        if name in group and len(group[name]) > 1:
            return dict(group[name][1])
    return {}


# Lists, calls and results


def slot_of(slots: Slots, slot: int) -> list[Any]:
    """Return the values of a slot, of which -1 is the last; a single None for a slot that does not exist."""
    return slots[slot] if -len(slots) <= slot < len(slots) else [None]


def list_calls(inputs: Mapping[str, list[Any]], takes_lists: bool) -> list[dict[str, Any]]:
    """Return the arguments of each call: all lists at once, or one item of each, the last one repeated."""
    if takes_lists:
        return [dict(inputs)]
    for name, values in inputs.items():
        if not values:
            raise ValueError(f"Input {name!r} got an empty list.")
    calls = max(map(len, inputs.values()), default=1)
    return [{name: values[min(i, len(values) - 1)] for name, values in inputs.items()} for i in range(calls)]


def first_blocker(arguments: Mapping[str, Any], takes_lists: bool) -> ExecutionBlocker | None:
    for argument in arguments.values():
        for item in argument if takes_lists else [argument]:
            if isinstance(item, ExecutionBlocker):
                return item
    return None


def called(function: Any, arguments: Mapping[str, Any]) -> Any:
    returned = function(**arguments)
    return finished(returned) if inspect.iscoroutine(returned) else returned


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop and thread of its own, so that the caller may be on a loop itself."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()


def as_reply(returned: Any) -> Mapping[str, Any]:
    """Return what a call returned as a dict with `result`, `ui` and `expand`, of which any may be missing."""
    return returned if isinstance(returned, dict) else {"result": returned}


def as_tuple(result: Any, outputs: int) -> tuple[Any, ...]:
    """Return a result as one value per slot; a bare value is for the only output, if there is one."""
    if isinstance(result, ExecutionBlocker):
        return (result,) * outputs
    if isinstance(result, (tuple, list)):
        return tuple(result)
    if outputs > 1:
        raise TypeError(f"The node has {outputs} outputs and returned a single {type(result).__name__}.")
    return (result,) * outputs


def gathered(results: Sequence[tuple[Any, ...]], output_is_list: Sequence[bool] | None) -> Slots:
    """Join the calls' results per slot: item after item, or, in a slot of lists, list after list."""
    if not results:
        return []
    concatenate = output_is_list if output_is_list is not None else [False] * len(results[0])
    slots: Slots = []
    for slot in range(min(len(results[0]), len(concatenate))):
        values: list[Any] = []
        for result in results:
            is_one_item = not concatenate[slot] or isinstance(result[slot], ExecutionBlocker)
            values += [result[slot]] if is_one_item else result[slot]
        slots.append(values)
    return slots
