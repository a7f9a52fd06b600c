"""Colours and styles that every piece of HTML shares; they go inline, because a saved notebook loads no stylesheet."""

from __future__ import annotations

from html import escape

COLOURS = {  # readable on white and on black: a saved page does not know its theme
    "done": "#2a8f4f",
    "cached": "#7a8794",
    "failed": "#d6414a",
    "blocked": "#b07a10",
    "stopped": "#b07a10",
    "cancelled": "#b07a10",
    "running": "#2f81d6",
    "waiting": "#7a8794",
}
FAINT = "font-size:90%;opacity:.7"
ERROR_TEXT = f"color:{COLOURS['failed']};white-space:pre-wrap"


def code_html(code: str) -> str:
    """Return a line of code to copy: one click selects all of it."""
    return f'<div><code style="user-select:all;white-space:pre-wrap">{escape(code)}</code></div>'
