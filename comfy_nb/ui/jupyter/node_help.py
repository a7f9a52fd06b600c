"""What Shift+Tab and `name?` tell of a node: its slots first, and none of the class that stands for it in Python."""

from __future__ import annotations

from typing import Any

from comfy_nb.graph.handle import Handle, NodeFactory
from comfy_nb.ui.jupyter.cells import shell

TEXT = "text/plain"


def register() -> None:
    """Tell it in this notebook, where its IPython (8.22 or later) can be told how; one call is enough."""
    found = shell()
    if found is None:
        return
    from IPython.core import oinspect

    if hasattr(oinspect, "InspectorHookData"):
        found.inspector.mime_hooks.setdefault(TEXT, _describe)


def _describe(inspected: Any) -> list[tuple[str, str]] | None:
    """Return the help of a node below a heading; None for all else, and where its source is asked for (`name??`)."""
    if inspected.detail_level or not isinstance(inspected.obj, NodeFactory | Handle):
        return None
    return [("Node", inspected.obj.getdoc())]
