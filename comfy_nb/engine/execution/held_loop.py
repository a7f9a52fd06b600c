"""End an async node that keeps the main thread's event loop to itself, as the loop cannot do it.

A signal does, whose handler raises InterruptProcessingException where the node's own code is at work, and nothing
anywhere else: not in asyncio's code or ours, which would be left half done. It is SIGURG, which nothing sends and which
is ignored unless somebody asks for it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

from comfy_nb.engine.execution.coroutines import busy_since
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import InterruptProcessingException

SIGNAL: signal.Signals | None = getattr(signal, "SIGURG", None)
PATIENCE_S = 0.5


class HeldLoop:
    """Raises in the nodes of runs that are to stop and do not let the loop of the main thread turn.

    `also(frame)` may raise in other nodes, whose code the main thread executes in that frame.
    """

    def __init__(self) -> None:
        self.also: Callable[[FrameType | None], None] = lambda frame: None
        self._is_ready = False

    def prepare(self) -> bool:
        """Return whether the loop of this thread can be freed: if it is the main one, and nobody has the signal."""
        if SIGNAL is None or threading.current_thread() is not threading.main_thread():
            return False
        if not self._is_ready and signal.getsignal(SIGNAL) in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(SIGNAL, self._on_signal)
            self._is_ready = True
        return self._is_ready

    def free(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look every half a second, from the main thread, whether to raise, until this loop turns; from any thread."""
        if self._is_ready and not process_end.has_begun:
            heard = threading.Event()
            post(loop, heard.set)
            OwnThread(lambda: self._free(loop, heard), "comfy-nb-stop").start()

    def _free(self, loop: asyncio.AbstractEventLoop, heard: threading.Event) -> None:
        main = threading.main_thread().ident
        assert SIGNAL is not None and main is not None
        while not heard.wait(PATIENCE_S) and loop.is_running() and not process_end.has_begun:
            signal.pthread_kill(main, SIGNAL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        call = current_call.get()
        if call is not None and busy_since(frame) is not None and _is_to_stop(call.run):
            raise InterruptProcessingException
        self.also(frame)


def _is_to_stop(run: object) -> bool:
    """Whether a run, or one around it, is to stop."""
    while isinstance(run, RunState):
        if run.stopping:
            return True
        run = run.outer
    return False


held_loop = HeldLoop()
