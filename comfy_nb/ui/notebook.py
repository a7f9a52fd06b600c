"""What makes runs show themselves in a notebook, and which view they get."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

from comfy_nb.errors import UnknownName
from comfy_nb.ui.inspect import formatter
from comfy_nb.ui.jupyter.cell_output import CellOutput, cell_key, running_cell, shell
from comfy_nb.ui.run.html import COLOURS
from comfy_nb.ui.run.summary_line import Lines
from comfy_nb.wording import describe_error, encodable

if TYPE_CHECKING:
    from comfy_nb.engine.execution.breakpoints import Pause
    from comfy_nb.engine.session import Session
    from comfy_nb.ui.run.display import Display, MakeScreen, Screen
    from comfy_nb.ui.run.monitor import Bridge

SHOW_AFTER_S = 0.15

_lines = Lines()
_displays: WeakValueDictionary[str, Display] = WeakValueDictionary()


def _bars(press_stop: Callable[[], None], newest_run: Callable[[], Any]) -> Screen:
    from comfy_nb.ui.run.bars import Bars

    return Bars(press_stop)


def _panel(press_stop: Callable[[], None], newest_run: Callable[[], Any]) -> Screen:
    from comfy_nb.ui.run.panel import Panel

    return Panel(press_stop, newest_run)


SCREENS: dict[str, MakeScreen] = {"panel": _panel, "bars": _bars}
VIEWS = (*SCREENS, "text", "none")
DEFAULT_VIEW = "panel"

_chosen = DEFAULT_VIEW
_watched: WeakSet[Session] = WeakSet()


def choose_view(name: str) -> None:
    """Say how runs are shown from now on: "panel", "bars", "text" or "none"; raises UnknownName for another word."""
    global _chosen
    if name not in VIEWS:
        raise UnknownName.of("display", name, VIEWS)
    _chosen = name


def enable(session: Session) -> bool:
    """Show a session's runs, and what `handle.show()` gives, in this notebook; False outside one. Once is enough."""
    if shell() is None:
        return False
    if session not in _watched:
        _watched.add(session)
        session.on_run(_show)
        session.show_value = _show_value
        session.find_place = running_cell
        session.breakpoints.on_pause = _show_pause
        session.show_refusal = _show_refusal
        formatter.register()
    return True


def follow(bridge: Bridge) -> None:
    """Show a run in a display of its own in this cell, from now on."""
    from comfy_nb.ui.run.display import Display

    display = Display(_screen(), CellOutput(), _lines.of(), show_after_s=0.0)
    display.add(bridge)


def _show(run: Any) -> None:
    if _chosen == "none" or run.is_quiet:
        return
    if _chosen == "text":
        from comfy_nb.ui.run.text_view import TextView

        TextView(run, CellOutput(run.place))
        return
    from comfy_nb.ui.run.monitor import bridge_of

    _display_for(run).add(bridge_of(run))


def _show_refusal(run: Any, error: BaseException) -> None:
    """A job failed before it began, and nobody awaits it to be told."""
    if _chosen == "none" or run.is_quiet:
        return
    said = encodable(describe_error(error))
    html = f'<div class="comfy-nb-run" style="color:{COLOURS["failed"]};white-space:pre-wrap">✗ {escape(said)}</div>'
    CellOutput(run.place).show({"text/html": html, "text/plain": f"✗ {said}"})


def _show_pause(pause: Pause) -> None:
    from comfy_nb.ui.run.pause_view import PauseView

    PauseView(pause, CellOutput(pause.run.place))


def _display_for(run: Any) -> Display:
    """Return the display that the cell's awaited runs share while it goes on; a background job gets its own."""
    from comfy_nb.ui.run.display import Display

    key = "" if run.in_background else cell_key(run.place)
    display = _displays.get(key) if key else None
    if display is None or display.is_over:
        display = Display(_screen(), CellOutput(run.place), _lines.of(run.place), show_after_s=SHOW_AFTER_S)
        if key:
            _displays[key] = display
    return display


def _screen() -> MakeScreen:
    return SCREENS[_chosen if _chosen in SCREENS else DEFAULT_VIEW]


def _show_value(value: Any, kind: str | None) -> Any:
    from comfy_nb.ui.inspect.view import view_of

    return view_of(value, kind=kind)
