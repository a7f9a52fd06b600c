"""A `tqdm` in a node becomes the node's own bar."""

from __future__ import annotations

import importlib
import io
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from comfy_nb.engine.context import CallContext
from comfy_nb.engine.events import NodeProgress, NodeText

_numbers = itertools.count()
CallOf = Callable[[], CallContext | None]


@contextmanager
def node_bars(call_of_node: CallOf) -> Iterator[None]:
    """Within this, any kind of tqdm made in a node reports to the node. Nothing happens where tqdm is not in use."""
    std = sys.modules.get("tqdm.std")
    if std is None:
        yield
        return
    make, kind = std.tqdm.__new__, _kind()

    def make_here(cls: Any, *args: Any, **options: Any) -> Any:
        call = call_of_node()
        if call is None or issubclass(cls, kind):
            return make(cls, *args, **options)
        bar = make(kind)
        bar.call, bar.number = call, next(_numbers)
        if not isinstance(bar, cls):  # then Python does not do it
            bar.__init__(*args, **options)
        return bar

    std.tqdm.__new__ = make_here
    try:
        yield
    finally:
        std.tqdm.__new__ = make


@cache
def _kind() -> Any:
    """Return the kind of tqdm that draws nothing and tells its node instead."""
    base = importlib.import_module("tqdm.asyncio").tqdm_asyncio

    class NodeBar(base):  # type: ignore[misc, valid-type]  # it has no types
        """Of several in one call, the first that is open is the node's bar."""

        call: CallContext
        number: int

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("display", None)
            super().__init__(*args, **{**options, "file": io.StringIO()})

        @staticmethod
        def status_printer(file: Any) -> Callable[[str], None]:
            return lambda text: None

        def display(self, msg: Any = None, pos: Any = None, **_: Any) -> bool:
            call = self.call
            if self._is_first():
                now, total = time.perf_counter(), self.total or 0
                run_id, node_id = call.run.id, call.node_id
                call.run.emit(NodeProgress(run_id, now, node_id, self.n, total, call.index, call.calls))
                if self.desc:
                    call.run.emit(NodeText(run_id, now, node_id, self.desc.removesuffix(": "), False))
            return True

        def clear(self, nolock: bool = False) -> None:
            """There is nothing to clear."""

        def _is_first(self) -> bool:
            bars = [bar for bar in list(self._instances) if getattr(bar, "call", None) is self.call]
            return self.number <= min((bar.number for bar in bars), default=self.number)

    return NodeBar
