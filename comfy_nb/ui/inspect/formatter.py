"""How a cell shows a tensor on its last line: values from a run with a view, others by torch's repr."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch

from comfy_nb.engine.session import default_session
from comfy_nb.ui.jupyter.cells import shell

_registered: WeakSet[Any] = WeakSet()
_shows_all = False


def register() -> None:
    """Show values from runs with a view in this notebook; one call is enough."""
    found = shell()
    if found is None or found in _registered:
        return
    _registered.add(found)
    formatter = found.display_formatter.ipython_display_formatter
    for kind in (torch.Tensor, dict):
        formatter.for_type(kind, _display)


def show_all_tensors(on: bool) -> None:
    """Show every tensor that a cell ends with, not only those from runs."""
    global _shows_all
    _shows_all = on
    register()


def _display(value: Any) -> None:
    provenance = default_session().provenance.of(value)
    if provenance is None and not (_shows_all and isinstance(value, torch.Tensor)):
        raise NotImplementedError  # IPython then asks the next formatter
    from comfy_nb.ui.inspect.view import view_of

    view_of(value)._ipython_display_()
