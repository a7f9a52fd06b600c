"""What Shift+Tab and `name?` tell of a node: its slots first, and none of the class that stands for it in Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
        found.inspector.mime_hooks.setdefault(TEXT, partial(_describe, found.inspector.format))


def _describe(coloured: Callable[[str], str], inspected: Any) -> list[tuple[str, str]] | None:
    """Return the help of a node below a heading, or its source where that is asked for (`name??`); else None."""
    if not isinstance(inspected.obj, NodeFactory | Handle):
        return None
    known = inspected.info_dict
    if not inspected.detail_level or not known["source"]:
        return [("Node", inspected.obj.getdoc())]
    shown = {"Signature": known["definition"], "Source": known["source"]}
    parts = [(title, coloured(code)) for title, code in shown.items() if code]
    return [*parts, ("File", known["file"])] if known["file"] else parts
