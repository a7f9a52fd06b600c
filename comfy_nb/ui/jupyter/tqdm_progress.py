"""A `tqdm` in a node reports the node's progress, whichever tqdm class or subclass it is.

To tqdm such a bar is disabled, so that no class of tqdm draws it. The counting that tqdm skips for a disabled bar is
done here, so that methods and options which a subclass has added keep working.
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
_ATTRIBUTE = "_comfy_nb_progress"


class TqdmProgress:
    """Reports how far a tqdm of a node is, at most once a tick; of several in one call, the first that is open.

    Like any progress report it raises InterruptProcessingException if the run is to stop.
    """

    _open: ClassVar[WeakValueDictionary[int, TqdmProgress]] = WeakValueDictionary()

    def __init__(self, call: CallContext) -> None:
        self.call = call
        self.place = (call.run.id, call.node_id, call.index)
        self.number = next(_numbers)
        self._progress = Progress(call)
        self._due = 0.0
        self._text = ""
        self._open[self.number] = self

    def iterate(self, bar: Any) -> Iterator[Any]:
        """Iterate over the bar's iterable, counting the items."""
        clock = time.perf_counter
        try:
            for item in bar.iterable:
                yield item
                bar.n += 1
                if clock() >= self._due:
                    self.report(bar)
            self.report(bar)
        finally:
            self._open.pop(self.number, None)

    def update(self, bar: Any, steps: float) -> None:
        """Count `steps` more."""
        bar.n += steps
        if time.perf_counter() >= self._due or (bar.total and bar.n >= bar.total):
            self.report(bar)

    def report(self, bar: Any) -> None:
        """Report the bar's state now."""
        self._due = time.perf_counter() + TICK_S
        if self._is_within_another():
            return
        text = ", ".join(filter(None, (bar.desc.removesuffix(": "), bar.postfix)))
        if text != self._text:
            self._text = text
            self._progress.text(text)
        self._progress(bar.n, bar.total or 0.0)

    def close(self, bar: Any) -> None:
        """Report the final state, and let the next open bar be the node's."""
        if self.number in self._open:
            if not self.call.run.stopping:
                self.report(bar)
            self._open.pop(self.number, None)

    def _is_within_another(self) -> bool:
        """Whether an earlier bar of the same call is open, perhaps in another thread."""
        bars = (each() for each in self._open.valuerefs())  # a copy: other threads open and close bars meanwhile
        return any(bar is not None and bar.place == self.place and bar.number < self.number for bar in bars)


@contextmanager
def tqdm_as_node_progress(call_of_node: CallOf) -> Iterator[None]:
    """Within this, any tqdm made in a node reports to the node. Torch imports tqdm if it is installed."""
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
            if vars(tqdm)[name] is method:  # else somebody else has wrapped it since
                setattr(tqdm, name, before[name])


def _methods(tqdm: Any, call_of_node: CallOf) -> Methods:
    """Return replacements for tqdm's methods; for a bar outside nodes they do the same."""
    init, iterate, update, refresh, close = tqdm.__init__, tqdm.__iter__, tqdm.update, tqdm.refresh, tqdm.close

    def init_here(bar: Any, *args: Any, **options: Any) -> None:
        call = call_of_node()
        given = inspect.signature(init).bind(bar, *args, **options)
        if call is None or given.arguments.get("disable") or not _is_console(given.arguments.get("file")):
            init(bar, *args, **options)
            return
        given.arguments["disable"] = True
        init(*given.args, **given.kwargs)
        bar.desc, bar.postfix = given.arguments.get("desc") or "", None
        ours = vars(bar)[_ATTRIBUTE] = TqdmProgress(call)
        ours.report(bar)

    def iterate_here(bar: Any) -> Any:
        ours = vars(bar).get(_ATTRIBUTE)
        return iterate(bar) if ours is None else ours.iterate(bar)

    def update_here(bar: Any, n: float = 1) -> Any:
        ours = vars(bar).get(_ATTRIBUTE)
        return update(bar, n) if ours is None else ours.update(bar, n)

    def refresh_here(bar: Any, *args: Any, **options: Any) -> Any:
        ours = vars(bar).get(_ATTRIBUTE)
        return refresh(bar, *args, **options) if ours is None else ours.report(bar)

    def close_here(bar: Any) -> None:
        ours = vars(bar).get(_ATTRIBUTE)
        close(bar) if ours is None else ours.close(bar)

    return {
        "__init__": init_here,
        "__iter__": iterate_here,
        "update": update_here,
        "refresh": refresh_here,
        "close": close_here,
    }


def _is_console(file: Any) -> bool:
    """Whether a bar would be drawn on the console; one that is written to a file is left to tqdm."""
    return file is None or file is sys.stdout or file is sys.stderr
