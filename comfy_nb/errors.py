"""Every error a person can meet.

    ComfyNBError
    ├── SpecError                 a node that cannot be declared
    ├── LayoutError               a value without its socket's layout or type
    ├── GraphError                a graph that cannot be built, read or started
    │   ├── PromptError           a file or dict that is not a prompt
    │   ├── UnknownName           no such class, node, input or slot
    │   └── ValidationError       all that is wrong with a graph, at once
    ├── NodeError                 a node failed while it ran
    │   └── NodeTimeout           an async node took longer than its limit
    ├── NodeErrors                all failures of a run that went on without the failed nodes (an ExceptionGroup)
    ├── RunTimeout                a run took longer than its limit
    ├── NotKept                   a value that is no longer held
    ├── ResourceError             a resource that could not be opened
    └── Stopped                   a person stopped the run
    Interrupted                   a person interrupted the cell; no Exception
    InterruptProcessingException  raised inside a node that is to stop
    DuplicateNodeError            the cause of a NodeError: an expansion used the id of what made it
    DependencyCycleError          the cause of a NodeError: nodes of an expansion wait for each other

Each message says which node (title, id, class), which input, what was expected, what came and what to do.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from comfy_nb.tracebacks import as_ipython_shows, definition_line, joined, own_frames, their_lines, with_cells
from comfy_nb.wording import clip, count, describe_error, name_node, suggest

if TYPE_CHECKING:
    from types import CodeType, TracebackType

INPUT_MAX = 200


class ComfyNBError(Exception):
    """The root of what comfy_nb raises on purpose. IPython shows the lines that led to it, without our own."""

    def _render_traceback_(self) -> list[str]:
        return [*their_lines(self.__traceback__), f"{type(self).__name__}: {self}"]


class ComfyNBWarning(UserWarning):
    """Something a person should know, though the run goes on."""


class SpecError(ComfyNBError, TypeError):
    """A function or class that cannot be declared as a node."""


class LayoutError(ComfyNBError, ValueError):
    """A value that does not have the layout or type that its socket promises, where it is given or returned."""


class GraphError(ComfyNBError):
    """A graph that cannot be built, read or started."""


class PromptError(GraphError, ValueError):
    """A file, text or dict that does not hold a prompt in ComfyUI's API format.

    `workflow` is what it holds in the format of ComfyUI's editor, if it does: that can be drawn, not run.
    """

    def __init__(self, message: str, workflow: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.workflow = workflow


class UnknownName(GraphError, LookupError):
    """A class, node, input or slot that does not exist; the message offers the nearest names."""

    @classmethod
    def of(cls, kind: str, name: object, known: Iterable[str], where: str = "") -> UnknownName:
        """Make the error for a `name` that is none of the `known` ones of its `kind` ("input", "slot", ...)."""
        place = f" {where}" if where else ""
        return cls(f"There is no {kind} {name!r}{place}. {suggest(str(name), known)}")


class NotKept(ComfyNBError, LookupError):
    """A value that was computed but is no longer held, or was never wanted."""


class ResourceError(ComfyNBError):
    """A resource that could not be opened; its cause is what its function raised."""


class InterruptProcessingException(Exception):
    """Raised inside a node whose run is to stop; packs catch it by this name."""


class DuplicateNodeError(Exception):
    """An expansion used the id of the node that expanded, or of one that this came from."""


class DependencyCycleError(Exception):
    """An expansion made a node wait for itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one node of a graph.

    `type` is ComfyUI's name for it (`required_input_missing`, ...); `as_comfy` gives the shape it has there.
    """

    type: str
    message: str
    details: str
    node_id: str
    class_type: str
    title: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""

    def as_comfy(self) -> dict[str, Any]:
        """Return `{"type", "message", "details", "extra_info"}`."""
        return {
            "type": self.type,
            "message": self.message,
            "details": self.details,
            "extra_info": dict(self.extra),
        }

    def __str__(self) -> str:
        text = f"{name_node(self.node_id, self.class_type, self.title)}: {self.message.removesuffix('.')}"
        if self.details:
            text += f": {self.details}"
        return f"{text}. {self.advice}" if self.advice else text


class ValidationError(GraphError):
    """All that is wrong with a graph, each problem with its fix.

    `problems` lists them, `node_errors` has ComfyUI's shape, `run` holds what the valid outputs gave (or None). `lines`
    is how they are told where some are told together.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        type: str = "prompt_outputs_failed_validation",
        node_errors: Mapping[str, Any] | None = None,
        run: Any = None,
        lines: Sequence[str] | None = None,
    ) -> None:
        self.problems = tuple(problems)
        self.type = type
        self.node_errors = dict(node_errors or {})
        self.run = run
        told = [str(problem) for problem in self.problems] if lines is None else lines
        count = len(told)
        head = "The graph has a problem" if count == 1 else f"The graph has {count} problems"
        shown = [f"  - {line}" for line in told[:20]]
        if count > 20:
            shown.append(f"  ... and {count - 20} more")
        super().__init__("\n".join([head + ":", *shown]))


class NodeError(ComfyNBError):
    """A node failed while it ran; the node's own exception is the cause.

    `node_id` and `class_type` name the node of the submitted graph, `real_node_id` the one that failed inside an
    expansion, `inputs` holds its inputs in printable form and `run` what had finished.
    """

    def __init__(
        self,
        message: str,
        *,
        node_id: str,
        class_type: str,
        title: str = "",
        real_node_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        run: Any = None,
    ) -> None:
        super().__init__(message)
        self.node_id = node_id
        self.class_type = class_type
        self.title = title
        self.real_node_id = real_node_id or node_id
        self.inputs = dict(inputs or {})
        self.run = run

    def __str__(self) -> str:
        return f"{name_node(self.node_id, self.class_type, self.title)}: {self.args[0]}"

    @property
    def node_traceback(self) -> list[str]:
        """The lines of the cause's traceback that lie in the node's own code."""
        cause, frames = self._own_cause()
        if cause is None:
            return []
        return [with_cells(each) for each in traceback.format_exception(type(cause), cause, frames)]

    @property
    def input_lines(self) -> list[str]:
        """A line for each input, tensors by their shapes."""
        return [f"  {name} = {clip(' '.join(str(value).split()), INPUT_MAX)}" for name, value in self.inputs.items()]

    def _own_cause(self) -> tuple[BaseException | None, TracebackType | None]:
        """Return the error that the node's own code raised, with its traceback from there on."""
        cause = self.__cause__
        while cause is not None and (frames := own_frames(cause.__traceback__)) is None:
            cause = cause.__cause__ or cause.__context__
        return (cause, frames) if cause is not None else (None, None)

    def _render_traceback_(self) -> list[str]:
        inputs = ["Its inputs:", *self.input_lines] if self.inputs else []
        cause, frames = self._own_cause()
        if cause is not None and frames is not None:
            trace = joined(self.__traceback__, frames)
            shown = as_ipython_shows(type(self).__name__, str(self), trace, cause)
            if shown is not None:
                self.__traceback__ = trace
                return [*shown, *inputs, *notes_of(self)]
        lines = "".join(self.node_traceback).splitlines()
        return [*lines, *([""] if lines else []), f"{type(self).__name__}: {self}", *inputs, *notes_of(self)]


class NodeTimeout(NodeError):
    """An async node took longer than its `timeout`."""


class NodeErrors(ComfyNBError, ExceptionGroup[NodeError]):
    """Nodes failed in a run with `on_error="continue"`, which ran all that does not depend on them.

    `exceptions` are their `NodeError`s in the order in which they failed; `run` has what finished.
    """

    run: Any

    def __new__(cls, failures: Sequence[NodeError], *, run: Any = None) -> NodeErrors:
        failed = count(len({failure.node_id for failure in failures}), "node")
        made = super().__new__(cls, f"{failed} failed", failures)
        made.run = run
        return made

    def __init__(self, failures: Sequence[NodeError], *, run: Any = None) -> None:
        super().__init__(self.message, failures)

    def derive(self, failures: Sequence[NodeError], /) -> NodeErrors:  # type: ignore[override]
        """Return the group of some of the failures, as `except*` and `split` make it."""
        return NodeErrors(failures, run=self.run)

    def __str__(self) -> str:
        return "\n".join([f"{self.message}:", *(f"  - {failure}" for failure in self.exceptions)])

    def _render_traceback_(self) -> list[str]:
        failures = [failure for failure in self.exceptions if isinstance(failure, NodeError)]
        lines = [line for failure in failures for line in [*failure._render_traceback_(), ""]]
        return [*lines, f"{type(self).__name__}: {self.message}", *notes_of(self)]


class RunTimeout(ComfyNBError, TimeoutError):
    """A run took longer than its `timeout`; its nodes were stopped, and `run` holds what had finished.

    `seconds` is the timeout; `running` and `not_begun` are the ids of nodes by how they stood when it was over.
    """

    def __init__(
        self,
        message: str,
        *,
        seconds: float,
        running: Sequence[str] = (),
        not_begun: Sequence[str] = (),
        run: Any = None,
    ) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.running = list(running)
        self.not_begun = list(not_begun)
        self.run = run


class Stopped(ComfyNBError):
    """A person stopped the run that this cell waited for, and that run only; `run` holds what had finished."""

    def __init__(self, message: str = "Stopped.", *, run: Any = None) -> None:
        super().__init__(message)
        self.run = run

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class Interrupted(asyncio.CancelledError):
    """A person interrupted the cell, which ends as by KeyboardInterrupt; `run` holds what had finished, if one was on.

    It is no Exception, because `except Exception` in a loop would swallow the press. It is no KeyboardInterrupt either:
    asyncio lets that leave a task through the loop, which in a kernel is the kernel's own. It is a cancellation, which
    is what a kernel makes of an interrupt: gathers, groups and timeouts pass it on and leave no task behind.
    """

    def __init__(self, message: str = "Interrupted.", *, run: Any = None) -> None:
        super().__init__(message)
        self.run = run

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def warn_of_fault(what: str, error: BaseException) -> None:
    """Warn of a fault that must not hurt anybody but whoever made it; not even where warnings are errors."""
    with suppress(ComfyNBWarning):
        warn_each_time(f"{what}: {describe_error(error)}")


def warn_each_time(message: str, code: CodeType | None = None) -> None:
    """Warn of something that happened just now: by its defaults, Python shows an equal warning only once.

    It names the line where a person's `code` is defined, or else that of the caller.
    """
    if code is not None:
        warnings.warn_explicit(message, ComfyNBWarning, code.co_filename, definition_line(code), registry={})
        return
    frame = sys._getframe(1)
    module = str(frame.f_globals.get("__name__", ""))
    warnings.warn_explicit(
        message, ComfyNBWarning, frame.f_code.co_filename, frame.f_lineno, module=module, registry={}
    )


def notes_of(error: BaseException) -> list[str]:
    """Return the lines of the notes that were added to an error."""
    return [line for note in getattr(error, "__notes__", ()) for line in str(note).splitlines()]
