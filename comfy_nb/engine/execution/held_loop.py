"""End an async node that keeps the main thread's event loop to itself, as the loop cannot do it.

A signal does, whose handler raises InterruptProcessingException where the node's own code is at work, and nothing
anywhere else: not in asyncio's code or ours, which would be left half done. It is SIGURG, which nothing sends and which
is ignored unless somebody asks for it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from comfy_nb.engine.execution.coroutines import busy_since
from comfy_nb.engine.execution.loops import post, running_loop
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

    def prepare(self) -> None:
        """On the main thread: install the handler, unless somebody else has one."""
        if SIGNAL is None or self._is_ready or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(SIGNAL) in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(SIGNAL, self._on_signal)
            self._is_ready = True

    def free(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that a loop turns which is to stop a run; from any thread."""
        if running_loop() is not loop:
            heard = threading.Event()
            post(loop, heard.set)
            self.signal_while(lambda: not heard.is_set() and loop.is_running())

    def signal_while(self, is_held: Callable[[], bool]) -> None:
        """Look every half a second, from the main thread, whether to raise, as long as the loop is held."""
        if self._is_ready:
            OwnThread(lambda: self._signal_while(is_held), "comfy-nb-stop").start()

    def _signal_while(self, is_held: Callable[[], bool]) -> None:
        main = threading.main_thread().ident
        assert SIGNAL is not None and main is not None
        time.sleep(PATIENCE_S)
        while is_held():
            signal.pthread_kill(main, SIGNAL)
            time.sleep(PATIENCE_S)

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
