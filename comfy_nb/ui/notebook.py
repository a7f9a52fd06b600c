"""What makes runs show themselves in a notebook, and which view they get."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from comfy_nb.errors import UnknownName
from comfy_nb.ui.cell import CellOutput, shell
from comfy_nb.ui.lines import Lines

if TYPE_CHECKING:
    from comfy_nb.engine.session import Session

_lines = Lines()


def _show_bars(run: Any) -> None:
    from comfy_nb.ui.bars import Bars

    Bars(run, CellOutput(), _lines.here())


def _show_text(run: Any) -> None:
    from comfy_nb.ui.text import TextView

    TextView(run, CellOutput())


def _show_nothing(run: Any) -> None:
    """Leave the run unseen."""


def _show_value(value: Any, kind: str | None) -> Any:
    from comfy_nb.ui.values import show_value

    return show_value(value, kind)


VIEWS: dict[str, Callable[[Any], None]] = {"bars": _show_bars, "text": _show_text, "none": _show_nothing}
DEFAULT_VIEW = "bars"

_chosen = DEFAULT_VIEW
_watched: WeakKeyDictionary[Any, Callable[[], Any]] = WeakKeyDictionary()


def choose_view(name: str) -> None:
    """Say how runs are shown from now on: "bars", "text" or "none"; raises UnknownName for another word."""
    global _chosen
    if name not in VIEWS:
        raise UnknownName.of("display", name, VIEWS)
    _chosen = name


def enable(session: Session) -> bool:
    """Show a session's runs, and what `handle.show()` gives, in this notebook; False outside one. Once is enough."""
    if shell() is None:
        return False
    if session not in _watched:
        _watched[session] = session.on_run(_show)
        session.show_value = _show_value
    return True


def _show(run: Any) -> None:
    VIEWS[_chosen](run)
