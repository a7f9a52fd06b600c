"""Breakpoints: a run pauses when a value is there, and goes on with that value or another one."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from comfy_nb.engine.execution.interrupt import interrupt_watch
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.node_api.context import is_blocker
from comfy_nb.errors import ComfyNBError, ComfyNBWarning, GraphError, LayoutError, warn_each_time, warn_of_fault
from comfy_nb.graph.node import Node
from comfy_nb.spec.coerce import coerce
from comfy_nb.wording import describe_error, short

if TYPE_CHECKING:
    from comfy_nb.engine.cache.entry import Outputs
    from comfy_nb.engine.execution.node_run import NodeRun
    from comfy_nb.graph.handle import Handle
    from comfy_nb.graph.model import Graph

INTERRUPTED = "Interrupted waiting for the breakpoint; runs still pause there."
FAULT = "The display of a breakpoint failed"
ALIKE = (torch.Tensor, Mapping)
PLAIN: Mapping[str, type | tuple[type, ...]] = {
    "INT": Integral,
    "FLOAT": Real,
    "STRING": str,
    "BOOLEAN": (bool, np.bool_),
}


class Same(Enum):
    """Stands for the value as it is."""

    VALUE = "the value as it is"


SAME = Same.VALUE


class Breakpoint:
    """Pauses every run of its session that reaches a value, until `resume()` or `stop()` is called.

    `resume(value)` goes on with another value, which is never cached. With `when`, only values for which it is true
    pause. It is removed by `remove()`, or at the end of its `with` block; paused runs go on then.
    """

    def __init__(self, points: Breakpoints, where: Handle | Node, slot: int, when: Callable[[Any], Any] | None) -> None:
        self._points = points
        self._where = where
        self.slot = slot
        self.when = when
        self.is_removed = False
        self.paused: list[Pause] = []
        self._waiting: list[asyncio.Future[None]] = []

    def id_in(self, graph: Graph) -> str | None:
        """Return the id that its node has in a graph, or None."""
        if isinstance(self._where, Node):
            return self._where.id if self._where in graph else None
        return graph.find(self._where)

    async def reached(self) -> Pause:
        """Wait until a run is paused here, and return the pause; a kernel's interrupt raises Interrupted."""
        while not self.paused:
            coming = asyncio.get_running_loop().create_future()
            self._waiting.append(coming)
            if not self.paused:  # a run on another thread's loop may have paused meanwhile
                try:
                    with interrupt_watch.awaiting(INTERRUPTED, partial(post, coming.get_loop(), _set_done, coming)):
                        await coming
                finally:
                    if coming in self._waiting:
                        self._waiting.remove(coming)
        return self.paused[0]

    def hold(self, pause: Pause) -> None:
        """Note that a run is paused here, and wake those who wait for it."""
        self.paused.append(pause)
        waiting, self._waiting = self._waiting, []
        for coming in waiting:
            post(coming.get_loop(), _set_done, coming)

    def resume(self, value: Any = SAME) -> None:
        """Let all runs that are paused here go on, with another value if given; may be called from any thread."""
        for pause in list(self.paused):
            pause.resume(value)

    def stop(self) -> None:
        """Stop all runs that are paused here; what they computed stays cached."""
        for pause in list(self.paused):
            pause.stop()

    def remove(self) -> None:
        """Remove the breakpoint, also from runs that have begun."""
        self.is_removed = True
        self._points.remove(self)
        self.resume()

    def __enter__(self) -> Breakpoint:
        return self

    def __exit__(self, *raised: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        paused = f", {len(self.paused)} paused" if self.paused else ""
        return f"<Breakpoint at {self._where!r}{paused}>"


class Breakpoints:
    """The breakpoints of a session; `on_pause` is called for each pause."""

    def __init__(self, on_pause: Callable[[Pause], None]) -> None:
        self.on_pause = on_pause
        self._all: list[Breakpoint] = []

    def __len__(self) -> int:
        return len(self._all)

    def announce(self, pause: Pause) -> None:
        """Announce that a run has paused."""
        try:
            self.on_pause(pause)
        except (Exception, asyncio.CancelledError) as error:  # a display's fault must not hurt the run
            warn_of_fault(FAULT, error)
            warn_paused(pause)

    def add(self, where: Handle | Node, slot: int, when: Callable[[Any], Any] | None) -> Breakpoint:
        """Pause at an output in runs that begin after this; raises GraphError for a wrong `when`."""
        if when is not None and (not callable(when) or inspect.iscoroutinefunction(when)):
            raise GraphError(
                f"`when` must be a plain function of the value, such as `lambda x: x.max() > 1`, not {when!r}."
            )
        point = Breakpoint(self, where, slot, when)
        self._all.append(point)
        return point

    def remove(self, point: Breakpoint) -> None:
        """Stop pausing at a breakpoint."""
        self._all = [each for each in self._all if each is not point]

    def of(self, graph: Graph) -> Mapping[str, list[Breakpoint]]:
        """Return the breakpoints that a graph has, by the ids of their nodes."""
        found: dict[str, list[Breakpoint]] = {}
        for point in self._all:
            node_id = point.id_in(graph)
            if node_id is not None:
                found.setdefault(node_id, []).append(point)
        return found


class PausedRun(Protocol):
    """The paused run, as far as a pause needs it."""

    place: Any
    in_background: bool

    def value(self, node_id: str, slot: int | None = None) -> Any:
        """Return a value of one of its nodes."""
        ...

    def inspect(self, node_id: str | int, slot: int = 0) -> Any:
        """Return a view of what is on an output of a node."""
        ...

    def stop(self) -> None:
        """Stop it."""
        ...


class Holder(Protocol):
    """Holds nodes at their breakpoints, on the run's loop."""

    loop: asyncio.AbstractEventLoop

    def resume(self, pause: Pause, replaced: Outputs | None) -> None:
        """Let the run go on, with other outputs if given."""
        ...

    def fail(self, node_run: NodeRun, error: Exception) -> None:
        """Let the run fail at this node."""
        ...


class Pause:
    """One run, paused at one breakpoint. When it goes on, `on_end` is called on its loop; only `value` works then."""

    def __init__(self, run: PausedRun, node_run: NodeRun, points: Sequence[Breakpoint], holder: Holder) -> None:
        self.run = run
        self.node_run = node_run
        self.point, *self.next = points
        self.state = "paused"
        self.on_end: Callable[[], None] | None = None
        self._holder = holder
        self._lock = threading.Lock()

    @property
    def named(self) -> str:
        """The node in words."""
        return self.node_run.step.named

    @property
    def value(self) -> Any:
        """The value, as `await handle` returns it; raises NotKept when the run is over and no longer has it."""
        return self.run.value(self.node_run.step.id, self.point.slot)

    def resume(self, value: Any = SAME) -> None:
        """Go on, with another value if given; may be called from any thread. Raises LayoutError if it does not fit."""
        if self.state != "paused":
            return
        outputs = None if value is SAME else self._with(value)
        if self._is_first("replaced" if outputs else "continued"):
            post(self._holder.loop, self._holder.resume, self, outputs)

    def stop(self) -> None:
        """Stop the run; may be called from any thread."""
        if self._is_first("stopped"):
            self.run.stop()

    def give_up(self, reason: str) -> None:
        """Let the run fail at this node."""
        if self._is_first("failed"):
            post(self._holder.loop, self._holder.fail, self.node_run, ComfyNBError(reason))

    def close(self) -> None:
        """On the loop: end the pause, since the run has gone on or ended."""
        self._is_first("stopped")
        if self in self.point.paused:
            self.point.paused.remove(self)
            try:
                if self.on_end is not None:
                    self.on_end()
            except (Exception, asyncio.CancelledError) as error:  # a display's fault must not hurt the run
                warn_of_fault(FAULT, error)

    def _is_first(self, state: str) -> bool:
        with self._lock:
            is_first = self.state == "paused"
            if is_first:
                self.state = state
            return is_first

    def _with(self, value: Any) -> Outputs:
        """Return the node's outputs with another value in the slot, as a list of items as before."""
        slot, spec = self.point.slot, self.node_run.step.spec
        outputs = list(self.node_run.outputs or ())
        is_list = slot < len(spec.output_is_list) and spec.output_is_list[slot]
        items = value if issubclass(type(value), list) and (is_list or len(outputs[slot]) != 1) else [value]
        try:
            outputs[slot] = [_fitting(item, spec.output_type(slot), outputs[slot]) for item in items]
        except LayoutError as error:
            raise LayoutError(f"{self.named}, output {slot}: {error}") from error
        return tuple(outputs)

    def __repr__(self) -> str:
        return f"<{self.state} at {self.named}>"


def _set_done(coming: asyncio.Future[None]) -> None:
    if not coming.done():
        coming.set_result(None)


def slot_of(where: Any, slot: int | None) -> int:
    """Return the number of the output that a breakpoint is at; raises GraphError if there is no such output."""
    if isinstance(where, Node):
        spec = where.graph.registry[where.class_type]
    elif getattr(where, "is_comfy_nb_handle", False):
        spec = where.call.spec
        slot = where.index if slot is None else slot
    else:
        raise GraphError(
            f"A breakpoint needs a handle (what calling a node returns) or a node of a graph (graph['3']), "
            f"got {type(where).__name__}."
        )
    found = spec.slot(slot or 0) if isinstance(slot, int | str | None) else None
    if found is None:
        known = ", ".join(f"{place} ({name})" for place, name in enumerate(spec.output_names))
        raise GraphError(f"{spec.class_type} has no output {slot!r} to pause at. It has: {known or 'none'}.")
    return found


def is_wanted(pause: Pause) -> bool:
    """Whether the run is to pause at this value; raises ComfyNBError if the breakpoint's `when` fails."""
    when = pause.point.when
    if pause.point.is_removed or is_blocker(pause.value):
        return False
    try:
        return when is None or bool(when(pause.value))
    except BaseException as error:  # whatever a person's function raises
        raise ComfyNBError(f"the `when` of its breakpoint failed: {describe_error(error)}") from error


def _fitting(value: Any, socket: Any, before: list[Any]) -> Any:
    expected = PLAIN.get(socket) if isinstance(socket, str) else None
    is_none = value is None and not any(item is None for item in before)
    if is_none or (expected is not None and not issubclass(type(value), expected)):
        raise _misfit(value, socket)
    fitted = coerce(value, socket) if isinstance(socket, str) else value
    is_one_type = isinstance(socket, str) and socket != "*" and "," not in socket
    kinds = tuple(kind for kind in ALIKE if any(issubclass(type(item), kind) for item in before))
    if is_one_type and kinds and fitted is not None and not issubclass(type(fitted), kinds):
        raise _misfit(value, socket)
    return fitted


def _misfit(value: Any, socket: Any) -> LayoutError:
    return LayoutError(f"expected {socket}, got {type(value).__name__}: {short(value)}.")


def warn_paused(pause: Pause) -> None:
    """Warn that a run is paused, where nothing shows it."""
    message = f"The run is paused at {pause.named}: call the breakpoint's resume(), resume(value) or stop()."
    with suppress(ComfyNBWarning):  # where warnings are errors
        warn_each_time(message, pause.node_run.step.spec.function_code)
