"""The outcome of a run, as lines for a terminal and as JSON for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfy_nb.engine.run import Run
from comfy_nb.errors import NodeError, NodeErrors, NotKept, Problem, RunTimeout, Stopped, ValidationError
from comfy_nb.graph.model import Graph
from comfy_nb.graph.prompt_json import name_not_finite
from comfy_nb.graph.topology import default_outputs
from comfy_nb.library.folders import reported_file
from comfy_nb.wording import clip, encodable, short

DONE, FAILED, INVALID, STOPPED = 0, 1, 2, 130
REPR_MAX = 2_000
DEPTH_MAX = 50
INT_BITS_MAX = 2_000  # Python refuses to print much longer ones


@dataclass(frozen=True)
class Outcome:
    """The run of a graph, None if it did not get so far, and the error that it ended with, if any."""

    graph: Graph = field(repr=False)
    wanted: tuple[str, ...]
    run: Run | None
    error: BaseException | None

    @property
    def state(self) -> str:
        """ "done", "failed", "invalid", "stopped" or "cancelled"."""
        if isinstance(self.error, ValidationError):
            return "invalid"
        if isinstance(self.error, NodeError | NodeErrors | RunTimeout):
            return "failed"
        if self.error is not None or self.run is None:
            return "stopped"
        return str(self.run.state)

    @property
    def exit_code(self) -> int:
        """0 done, 1 a node failed or the time was over, 2 the graph is invalid, 130 stopped."""
        return {"done": DONE, "failed": FAILED, "invalid": INVALID}.get(self.state, STOPPED)

    def values(self, node_id: str) -> list[Any]:
        """Return the node's output values that are still held, by slot."""
        if self.run is None:
            return []
        spec = self.graph.registry.find(self.graph.nodes[node_id].class_type)
        slots = range(len(spec.output_names)) if spec is not None else range(0)
        found = []
        for slot in slots:
            try:
                found.append(self.run.value(node_id, slot))
            except NotKept:
                break
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as values that JSON can hold."""
        outputs: dict[str, Any] = {}
        why: dict[str, str] = {}
        if self.run is not None:
            for node_id in self.wanted:
                ui = as_json(self.run.ui.get(node_id))
                outputs[node_id] = {"ui": ui, "values": [as_json(value) for value in self.values(node_id)]}
            why = {node_id: self.run.why(node_id) for node_id in self.graph.nodes if node_id in self.run.plan.steps}
        seconds = self.run.seconds if self.run is not None else 0.0
        errors = [*_errors(self.error), *self._problems_beside()]
        return {"state": self.state, "seconds": seconds, "outputs": outputs, "why": why, "errors": errors}

    def _problems_beside(self) -> list[dict[str, Any]]:
        """Return what was wrong with outputs that could not run, where the run ended by something else."""
        validity = self.run.validity if self.run is not None else None
        if validity is None or isinstance(self.error, ValidationError):
            return []
        return [problem_as_dict(problem) for problem in validity.problems]

    def lines(self) -> Iterator[str]:
        """Yield a line for each file that a wanted node wrote, or else for each of its values."""
        for node_id in self.wanted:
            name = f"{node_id} {self.graph.nodes[node_id].title}"
            ui = (self.run.ui.get(node_id) if self.run is not None else None) or {}
            shown = [_ui_line(kind, entry) for kind, entries in ui.items() for entry in _as_list(entries)]
            shown = shown or [_value_line(value) for value in self.values(node_id)]
            yield from (f"{name}: {each}" for each in shown)


def run_to_end(
    graph: Graph, outputs: Sequence[str] | None, on_error: str | None = None, timeout: float | None = None
) -> Outcome:
    """Run a graph and return the outcome; raises GraphError for a graph that cannot even be started."""
    wanted = tuple(outputs or default_outputs(graph))
    try:
        return Outcome(graph, wanted, graph.run_sync(outputs=outputs, on_error=on_error, timeout=timeout), None)
    except (ValidationError, NodeError, NodeErrors, RunTimeout, Stopped) as error:
        return Outcome(graph, wanted, error.run, error)
    except KeyboardInterrupt as interrupt:
        return Outcome(graph, wanted, getattr(interrupt, "run", None), Stopped("Stopped by Ctrl-C."))


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON: ComfyUI's four fields, the node, and the message for a person."""
    return {
        "node_id": problem.node_id,
        "class_type": problem.class_type,
        **as_json(problem.as_comfy()),
        "text": str(problem),
    }


def json_text(value: Any) -> str:
    """Return strict JSON text, with lone surrogates escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


def as_json(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Return a value as JSON can hold it; arrays as shape, dtype and range, other objects as their repr.

    What is too deep, or contains itself, is cut off; `above` are the ids of the containers that it is in.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= INT_BITS_MAX else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else name_not_finite(value)
    if isinstance(value, Mapping | list | tuple):
        if id(value) in above or len(above) == DEPTH_MAX:
            return "…"
        above = (*above, id(value))
        if isinstance(value, Mapping):
            return {str(key): as_json(item, above) for key, item in value.items()}
        return [as_json(item, above) for item in value]
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _array_as_dict(value)
    return short(value, REPR_MAX)


def _array_as_dict(value: Any) -> dict[str, Any]:
    described = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    try:
        return {**described, "min": as_json(float(value.min())), "max": as_json(float(value.max()))}
    except (RuntimeError, TypeError, ValueError):  # empty, or of numbers that have no order
        return described


def _errors(error: BaseException | None) -> list[dict[str, Any]]:
    if isinstance(error, ValidationError):
        return [problem_as_dict(problem) for problem in error.problems]
    if isinstance(error, NodeErrors):
        return [record for failure in error.exceptions for record in _errors(failure)]
    if isinstance(error, NodeError):
        named = {"type": "node_failed", "node_id": error.node_id, "class_type": error.class_type}
        return [{**named, "text": str(error), "traceback": "".join(error.node_traceback)}]
    if isinstance(error, RunTimeout):
        return [{"type": "timeout", "running": error.running, "not_begun": error.not_begun, "text": str(error)}]
    return [] if error is None else [{"type": "stopped", "text": str(error)}]


def _as_list(entries: Any) -> list[Any]:
    return list(entries) if isinstance(entries, list | tuple) else [entries]


def _ui_line(kind: str, entry: Any) -> str:
    path = reported_file(entry)
    return str(path) if path is not None else f"{kind} {_value_line(entry)}"


def _value_line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(as_json(value), ensure_ascii=False)
    return clip(encodable(text), REPR_MAX)
