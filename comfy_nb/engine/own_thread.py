"""The threads that we begin."""

from __future__ import annotations

import threading
from collections.abc import Callable


class OwnThread(threading.Thread):
    """A daemon thread that no other thread has for its parent.

    ipykernel 6 wraps `Thread.run` to note which thread began which, for as long as it runs, and follows the parents of
    one that prints. Once the identifier of a parent that has ended is used again, they make a circle, which it follows
    for ever. What is not run by `Thread.run` is not noted.
    """

    def __init__(self, work: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work

    def run(self) -> None:
        """Do the work."""
        self._work()
