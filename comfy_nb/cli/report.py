"""How a run ended, as lines for a terminal and as JSON for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import NodeError, NotKept, Problem, Stopped, ValidationError
from comfy_nb.graph.model import Graph
from comfy_nb.graph.topology import default_outputs
from comfy_nb.library.folders import reported_file
from comfy_nb.wording import clip

DONE, FAILED, INVALID, STOPPED = 0, 1, 2, 130
REPR_MAX = 2_000


@dataclass(frozen=True)
class Ended:
    """What came of running a graph: the run as far as there is one, and what was raised."""

    graph: Graph
    wanted: tuple[str, ...]
    run: Any
    error: BaseException | None

    @property
    def state(self) -> str:
        """ "done", "failed", "invalid", "stopped" or "cancelled"."""
        if isinstance(self.error, ValidationError):
            return "invalid"
        if isinstance(self.error, NodeError):
            return "failed"
        if self.error is not None:
            return "stopped"
        return str(self.run.state)

    @property
    def exit_code(self) -> int:
        """0 done, 1 a node failed, 2 the graph is invalid, 130 stopped."""
        return {"done": DONE, "failed": FAILED, "invalid": INVALID}.get(self.state, STOPPED)

    def values(self, node_id: str) -> list[Any]:
        """The node's output values that are there, by slot."""
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
        """Return it in values that JSON has."""
        outputs: dict[str, Any] = {}
        why: dict[str, str] = {}
        if self.run is not None:
            for node_id in self.wanted:
                ui = printable(self.run.ui.get(node_id))
                outputs[node_id] = {"ui": ui, "values": [printable(value) for value in self.values(node_id)]}
            why = {node_id: str(said) for node_id in self.graph.nodes if (said := _why(self.run, node_id))}
        seconds = self.run.seconds if self.run is not None else 0.0
        errors = _errors(self.error)
        return {"state": self.state, "seconds": seconds, "outputs": outputs, "why": why, "errors": errors}

    def lines(self) -> Iterator[str]:
        """Say what each wanted node gave: the files it wrote, or its values."""
        for node_id in self.wanted:
            name = f"{node_id} {self.graph.nodes[node_id].title}"
            ui = self.run.ui.get(node_id) or {}
            said = [_line_of(kind, entry) for kind, entries in ui.items() for entry in _as_list(entries)]
            said = said or [_short(printable(value)) for value in self.values(node_id)]
            yield from (f"{name}: {each}" for each in said)


def run_to_end(graph: Graph, outputs: Sequence[str] | None) -> Ended:
    """Run a graph and return how it ended; a graph that cannot be started at all raises."""
    wanted = tuple(outputs or default_outputs(graph))
    try:
        return Ended(graph, wanted, graph.run_sync(outputs=outputs), None)
    except (ValidationError, NodeError, Stopped) as error:
        return Ended(graph, wanted, error.run, error)
    except KeyboardInterrupt:
        return Ended(graph, wanted, None, Stopped())


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON has it: ComfyUI's four fields, the node, and the message for a person."""
    return {
        "node_id": problem.node_id,
        "class_type": problem.class_type,
        **printable(problem.as_comfy()),
        "text": str(problem),
    }


def to_json(value: Any) -> str:
    """Return strict JSON text."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def printable(value: Any) -> Any:
    """Return a value as JSON can hold it; arrays as shape, dtype and range, other objects as their repr."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _array_as_dict(value)
    return repr(value)[:REPR_MAX]


def _array_as_dict(value: Any) -> dict[str, Any]:
    described = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    try:
        return {**described, "min": printable(float(value.min())), "max": printable(float(value.max()))}
    except (RuntimeError, TypeError, ValueError):  # empty, or of numbers that have no order
        return described


def _errors(error: BaseException | None) -> list[dict[str, Any]]:
    if isinstance(error, ValidationError):
        return [problem_as_dict(problem) for problem in error.problems]
    if isinstance(error, NodeError):
        named = {"type": "node_failed", "node_id": error.node_id, "class_type": error.class_type}
        return [{**named, "text": str(error), "traceback": "".join(error.node_traceback)}]
    return [] if error is None else [{"type": "stopped", "text": str(error)}]


def _why(run: Any, node_id: str) -> Any:
    try:
        return run.why(node_id)
    except LookupError:
        return None


def _as_list(entries: Any) -> list[Any]:
    return list(entries) if isinstance(entries, list | tuple) else [entries]


def _line_of(kind: str, entry: Any) -> str:
    path = reported_file(entry)
    return str(path) if path is not None else f"{kind} {_short(printable(entry))}"


def _short(value: Any) -> str:
    return clip(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), REPR_MAX)
