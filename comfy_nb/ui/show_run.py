"""Show runs below the cell that began them, in the display that was chosen."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from functools import partial
from html import escape
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary, WeakSet

from comfy_nb.errors import UnknownName
from comfy_nb.ui.jupyter.cell_output import CellOutput, cell_key, is_running, is_watched, running_cell
from comfy_nb.ui.jupyter.cells import CellRef, cells
from comfy_nb.ui.render.style import ERROR_TEXT
from comfy_nb.ui.run.display import Display, MakeScreen, Screen
from comfy_nb.ui.run.monitor import RunMonitor, monitor_of
from comfy_nb.wording import describe_error, encodable

if TYPE_CHECKING:
    from comfy_nb.engine.execution.breakpoints import Pause
    from comfy_nb.engine.run import Run
    from comfy_nb.engine.session import Session
    from comfy_nb.ui.graph.live import LiveGraph
    from comfy_nb.ui.run.text_view import TextView
    from comfy_nb.ui.run_views import RunViews

SHOW_AFTER_S = 0.15
CELLS_MAX = 16  # whose displays are kept: a task may begin runs long after its cell has ended
EXPECTED_MAX = 12  # displays of the background runs of one cell; the last one is for all that are left

_displays: OrderedDict[str, Display] = OrderedDict()
_shown: WeakSet[Run] = WeakSet()
_outputs: WeakKeyDictionary[Run, CellOutput] = WeakKeyDictionary()
_expected: deque[weakref.ref[Run]] = deque()
_lock = threading.Lock()


def _bars(display: Display) -> Screen:
    from comfy_nb.ui.run.bars import Bars

    return Bars(display.press_stop)


def _panel(display: Display) -> Screen:
    from comfy_nb.ui.run.panel import Panel

    return Panel(display, _graph_view)


def _views() -> RunViews:
    from comfy_nb.ui.run_views import RunViews

    return RunViews()


def _graph_view(run: Run) -> LiveGraph:
    from comfy_nb.ui.graph.live import LiveGraph

    return LiveGraph(run.graph, cast("Session", run.session))


SCREENS: dict[str, MakeScreen] = {"panel": _panel, "bars": _bars}
DISPLAYS = (*SCREENS, "text", "none")
DEFAULT_SCREEN = "panel"

_chosen = DEFAULT_SCREEN


def choose_display(name: str) -> None:
    """Show runs in this display from now on: "panel", "bars", "text" or "none"; raises UnknownName for any other."""
    global _chosen
    if name not in DISPLAYS:
        raise UnknownName.of("display", name, DISPLAYS)
    _chosen = name


def expect_run(run: Run) -> None:
    """Show a background run when its cell ends, if it has not ended by then: without a page it cannot be later."""
    if _chosen == "none" or run.is_quiet or is_watched(run.place):
        return
    if not _expected:
        cells.at_end(_show_expected, _show_expected)
    _expected.append(weakref.ref(run))


def _show_expected() -> None:
    """The cell ends: show the runs that it began and that go on, while it can have outputs."""
    noted = [_expected.popleft()() for _ in range(len(_expected))]
    expected = [run for run in noted if run is not None and run.state == "running" and run not in _shown]
    shared: Display | TextView | None = None
    for number, run in enumerate(expected, 1):
        if number > EXPECTED_MAX and isinstance(shared, Display):
            _shown.add(run)
            shared.add(monitor_of(run))
        else:
            shared = _view(run)
            shared.show_now()


def show_run(run: Run) -> None:
    """Show a run from its start, below the cell that began it."""
    if _chosen != "none" and not run.is_quiet and run not in _shown:
        _view(run)


def _view(run: Run) -> Display | TextView:
    _shown.add(run)
    if _chosen == "text":
        from comfy_nb.ui.run.text_view import TextView

        return TextView(run, _output_of(run))
    display = _display_for(run)
    display.add(monitor_of(run))
    return display


def _output_of(run: Run) -> CellOutput:
    output = _outputs.get(run)
    if output is None:
        output = _outputs[run] = CellOutput(run.place)
    return output


def is_shown_here(run: Run) -> bool:
    """Whether the cell that is running now shows a run, or will."""
    return _chosen != "none" and not run.is_quiet and cell_key(run.place) == cell_key()


def follow_here(monitor: RunMonitor) -> None:
    """Show a run below the cell that is running now, in a display of its own."""
    _new_display(CellOutput(), running_cell(), show_after_s=0.0).add(monitor)


def show_refusal(run: Run, error: BaseException) -> None:
    """Show why a background run could not begin; nobody may be awaiting it."""
    if _chosen == "none" or run.is_quiet:
        return
    text = encodable(describe_error(error))
    html = f'<div class="comfy-nb-run" style="{ERROR_TEXT}">✗ {escape(text)}</div>'
    _output_of(run).show({"text/html": html, "text/plain": f"✗ {text}"})


def show_pause(pause: Pause) -> None:
    """Show a run that is paused at a breakpoint, with controls to continue or stop."""
    from comfy_nb.ui.run.pause_view import PauseView

    PauseView(pause, CellOutput(pause.run.place))


def _display_for(run: Run) -> Display:
    """Return the display that all runs share which a cell awaits; a background job has its own."""
    key = "" if run.in_background else cell_key(run.place)
    with _lock:
        display = _displays.pop(key, None)
        if display is None:
            display = _new_display(_output_of(run), run.place, show_after_s=SHOW_AFTER_S)
        if key:
            _displays[key] = display  # as the newest
            while len(_displays) > CELLS_MAX:
                _displays.popitem(last=False)
    return display


def _new_display(output: CellOutput, cell: CellRef | None, *, show_after_s: float) -> Display:
    return Display(
        _screen(),
        output,
        _views,
        show_after_s=show_after_s,
        is_live=is_watched(cell),
        cell_runs=partial(is_running, cell),
    )


def _screen() -> MakeScreen:
    return SCREENS[_chosen if _chosen in SCREENS else DEFAULT_SCREEN]
