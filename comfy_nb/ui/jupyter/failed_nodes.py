"""A cell in which several nodes failed: each is shown like one alone; IPython itself prints all frames of a group."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from comfy_nb.errors import NodeErrors
from comfy_nb.ui.jupyter.cells import shell


def register() -> None:
    """Show them so in this notebook, unless it shows errors of some kinds in a way of its own."""
    found = shell()
    if found is not None and not found.custom_exceptions:
        found.set_custom_exc((NodeErrors,), _show)


def _show(
    shell: Any, kind: type[NodeErrors], errors: NodeErrors, trace: TracebackType | None, tb_offset: int | None = None
) -> None:
    lines = errors._render_traceback_()
    for_debugger = next((each for each in reversed(errors.exceptions) if each.__traceback__ is not None), errors)
    shell._get_exc_info((type(for_debugger), for_debugger, for_debugger.__traceback__))  # what %debug opens in
    shell._showtraceback(kind, errors, lines)
