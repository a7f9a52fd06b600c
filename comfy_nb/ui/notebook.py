"""Make runs and values show themselves in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from comfy_nb.ui.inspect import formatter
from comfy_nb.ui.jupyter.cell_output import running_cell, shell
from comfy_nb.ui.show_run import show_pause, show_refusal, show_run

if TYPE_CHECKING:
    from comfy_nb.engine.session import Session
    from comfy_nb.ui.inspect.view import ValueView

_enabled: WeakSet[Session] = WeakSet()


def enable(session: Session) -> bool:
    """Show a session's runs, pauses and values in this notebook; calling it again changes nothing.

    Returns False outside a notebook.
    """
    if shell() is None:
        return False
    if session not in _enabled:
        _enabled.add(session)
        session.on_show(show_run)
        session.show_value = _show_value
        session.find_place = running_cell
        session.breakpoints.on_pause = show_pause
        session.show_refusal = show_refusal
        formatter.register()
    return True


def _show_value(value: Any, kind: str | None) -> ValueView:
    from comfy_nb.ui.inspect.view import view_of

    return view_of(value, kind=kind)
