"""The context of a node's call: its run and node, whether it should stop, and the blocker that skips other nodes.

It is a context variable, which travels with the call to its lane or task, so that several runs may go on at once. Names
and behaviour are ComfyUI's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, NamedTuple, Protocol, TypeGuard

from comfy_nb.engine.cache.skip import Skip
from comfy_nb.engine.events import Event
from comfy_nb.errors import InterruptProcessingException, warn_each_time


class ExecutionBlocker:
    """Returned in place of a value: nodes that would receive it are skipped, and its message, if any, is reported."""

    __slots__ = ("message", "skip")

    def __init__(self, message: str | None = None) -> None:
        self.message = message
        self.skip: Skip | None = None  # what was skipped, if a skipped node passed this on

    def __repr__(self) -> str:
        return f"ExecutionBlocker({self.message!r})"

    def __comfy_nb_key__(self) -> str | None:
        return self.message


def is_blocker(value: object) -> TypeGuard[ExecutionBlocker]:
    """Whether a value is a blocker, whatever it says of its class."""
    return issubclass(type(value), ExecutionBlocker)


class RunSide(Protocol):
    """The run of a call, as far as the call needs it."""

    id: str
    warned: set[str]

    @property
    def stopping(self) -> bool:
        """Whether the run is to stop."""
        ...

    def emit(self, event: Event) -> None:
        """Deliver an event to the subscribers."""
        ...

    def log(self, node_id: str, stream: str, text: str) -> None:
        """Report text that a node printed."""
        ...

    def confirm_fingerprint(self, node_id: str, answer: object, what: str) -> None:
        """Keep no more results where a node's fingerprint says something else."""
        ...

    def name_of(self, node_id: str) -> str:
        """Return a node's name as messages have it."""
        ...

    def code_of(self, node_id: str) -> CodeType | None:
        """Return the code of a node's function, if it is known."""
        ...

    def prompt_and_pnginfo(self) -> tuple[Mapping[str, Any], Any]:
        """Return the prompt, and what pictures carry beside it."""
        ...


class CallContext:
    """One call of a node: its run, its node's id, and its place in the node's list."""

    __slots__ = ("builders", "calls", "index", "node_id", "run")

    def __init__(self, run: RunSide, node_id: str, index: int = 0, calls: int = 1) -> None:
        self.run = run
        self.node_id = node_id
        self.index = index
        self.calls = calls
        self.builders = 0


current_call: ContextVar[CallContext | None] = ContextVar("comfy_nb_call", default=None)


class ExecutionContext(NamedTuple):
    """The run (its prompt id), node and list index that are being executed."""

    prompt_id: str
    node_id: str
    list_index: int | None


def get_executing_context() -> ExecutionContext | None:
    """Return what is being executed in this context, or None outside a node."""
    call = current_call.get()
    return None if call is None else ExecutionContext(call.run.id, call.node_id, call.index)


def warn_in_call(message: str) -> None:
    """Warn of something, naming the node that runs; once in a run, however many calls of the node it concerns."""
    call, code = current_call.get(), None
    if call is not None:
        code = call.run.code_of(call.node_id)
        message = f"{call.run.name_of(call.node_id)}: {message}"
        if message in call.run.warned:
            return
        call.run.warned.add(message)
    warn_each_time(message, code)


def confirm_fingerprint(answer: object, what: str) -> None:
    """Say, from within a node, what its IS_CHANGED would answer to what it has just read.

    If that is not what it answered before the run, `what` (such as a file) changed in between, and nothing that the run
    computes from here on is kept under that answer.
    """
    call = current_call.get()
    if call is not None:
        call.run.confirm_fingerprint(call.node_id, answer, what)


class _NoRun:
    """The run of a context that was set by hand: it has no subscribers, and nobody stops it."""

    stopping = False

    def __init__(self, prompt_id: str) -> None:
        self.id = prompt_id
        self.warned: set[str] = set()

    def emit(self, event: Event) -> None:
        """Drop the event."""

    def log(self, node_id: str, stream: str, text: str) -> None:
        """Drop the text."""

    def confirm_fingerprint(self, node_id: str, answer: object, what: str) -> None:
        """Do nothing: no result is kept."""

    def name_of(self, node_id: str) -> str:
        """Return the id."""
        return f"node {node_id}"

    def code_of(self, node_id: str) -> CodeType | None:
        """Return nothing."""
        return None

    def prompt_and_pnginfo(self) -> tuple[Mapping[str, Any], Any]:
        """Return an empty prompt."""
        return {}, None


class EndedRun(_NoRun):
    """What a thread of a node has of its run once that has ended."""

    def __init__(self, prompt_id: str, stopping: bool) -> None:
        super().__init__(prompt_id)
        self.stopping = stopping


@contextmanager
def CurrentNodeContext(prompt_id: str, node_id: str, list_index: int | None = None) -> Iterator[None]:
    """Set what is being executed, for a `with` block; inside a run the block still reports to that run."""
    outer = current_call.get()
    run: RunSide = outer.run if outer is not None and outer.run.id == prompt_id else _NoRun(prompt_id)
    token = current_call.set(CallContext(run, node_id, list_index or 0))
    try:
        yield
    finally:
        current_call.reset(token)


def check_interrupt() -> None:
    """Raise InterruptProcessingException if the run of the calling node is to stop."""
    call = current_call.get()
    if call is not None and call.run.stopping:
        raise InterruptProcessingException
