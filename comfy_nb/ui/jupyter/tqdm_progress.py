"""A `tqdm` in a node becomes the node's own bar, of whatever kind it is and whoever has made a kind of his own of it.

To tqdm such a bar is one that was disabled: no kind of tqdm draws it. The counting that tqdm leaves out then is done
here, so that methods and options which a subclass has added go on working.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from comfy_nb.engine.node_api.context import CallContext
from comfy_nb.engine.node_api.progress import Progress
from comfy_nb.ui.jupyter.ticker import TICK_S

CallOf = Callable[[], CallContext | None]
Methods = dict[str, Callable[..., Any]]

_numbers = itertools.count()
_MARK = "_comfy_nb_bar"


class NodeBar:
    """Tells how far a tqdm of a node is, at most once a tick; of several in one call, the first that is open.

    Like any report of progress it raises InterruptProcessingException if the run is to stop.
    """

    _open: ClassVar[WeakValueDictionary[int, NodeBar]] = WeakValueDictionary()

    def __init__(self, call: CallContext) -> None:
        self.call = call
        self.number = next(_numbers)
        self._progress = Progress(call)
        self._due = 0.0
        self._said = ""
        self._open[self.number] = self

    def over(self, bar: Any) -> Iterator[Any]:
        """Go over what the bar was given."""
        clock = time.perf_counter
        try:
            for item in bar.iterable:
                yield item
                bar.n += 1
                if clock() >= self._due:
                    self.show(bar)
            self.show(bar)
        finally:
            self._open.pop(self.number, None)

    def update(self, bar: Any, steps: float) -> None:
        """Count `steps` more."""
        bar.n += steps
        if time.perf_counter() >= self._due or (bar.total and bar.n >= bar.total):
            self.show(bar)

    def show(self, bar: Any) -> None:
        """Tell now."""
        self._due = time.perf_counter() + TICK_S
        if self._is_within_another():
            return
        said = ", ".join(filter(None, (bar.desc.removesuffix(": "), bar.postfix)))
        if said != self._said:
            self._said = said
            self._progress.text(said)
        self._progress(bar.n, bar.total or 0.0)

    def close(self, bar: Any) -> None:
        """Tell the last, and let the next one be the node's bar."""
        if self.number in self._open:
            if not self.call.run.stopping:
                self.show(bar)
            self._open.pop(self.number, None)

    def _is_within_another(self) -> bool:
        """Whether an earlier bar of the same call is open."""
        bars = (each() for each in self._open.valuerefs())  # a list: the bars of other threads come and go meanwhile
        return any(bar is not None and bar.call is self.call and bar.number < self.number for bar in bars)


@contextmanager
def node_bars(call_of_node: CallOf) -> Iterator[None]:
    """Within this, any kind of tqdm made in a node reports to the node; torch has imported it, if there is one."""
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        yield
        return
    ours = _methods(tqdm, call_of_node)
    before = {name: vars(tqdm)[name] for name in ours}
    for name, method in ours.items():
        setattr(tqdm, name, method)
    try:
        yield
    finally:
        for name, method in ours.items():
            if vars(tqdm)[name] is method:  # else somebody else has it now, and calls this one
                setattr(tqdm, name, before[name])


def _methods(tqdm: Any, call_of_node: CallOf) -> Methods:
    """Return what stands in for tqdm's methods: the same for a bar outside of nodes."""
    init, go_over, update, refresh, close = tqdm.__init__, tqdm.__iter__, tqdm.update, tqdm.refresh, tqdm.close
    parameters = inspect.signature(init)

    def init_here(bar: Any, *args: Any, **options: Any) -> None:
        call = call_of_node()
        given = parameters.bind(bar, *args, **options)
        if call is None or given.arguments.get("disable") or not _is_console(given.arguments.get("file")):
            init(bar, *args, **options)
            return
        given.arguments["disable"] = True
        init(*given.args, **given.kwargs)
        bar.desc, bar.postfix = given.arguments.get("desc") or "", None
        told = vars(bar)[_MARK] = NodeBar(call)
        told.show(bar)

    def go_over_here(bar: Any) -> Any:
        told = vars(bar).get(_MARK)
        return go_over(bar) if told is None else told.over(bar)

    def update_here(bar: Any, n: float = 1) -> Any:
        told = vars(bar).get(_MARK)
        return update(bar, n) if told is None else told.update(bar, n)

    def refresh_here(bar: Any, *args: Any, **options: Any) -> Any:
        told = vars(bar).get(_MARK)
        return refresh(bar, *args, **options) if told is None else told.show(bar)

    def close_here(bar: Any) -> None:
        told = vars(bar).get(_MARK)
        close(bar) if told is None else told.close(bar)

    return {
        "__init__": init_here,
        "__iter__": go_over_here,
        "update": update_here,
        "refresh": refresh_here,
        "close": close_here,
    }


def _is_console(file: Any) -> bool:
    """Whether a bar would be drawn where prints go; one that is written to a file of its own is left to tqdm."""
    return file is None or file is sys.stdout or file is sys.stderr
