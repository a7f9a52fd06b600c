"""Views of any value: its pictures, plots, numbers and text, read in bounded time."""

from __future__ import annotations

from comfy_nb.ui.inspect.part import Entry, Part
from comfy_nb.ui.inspect.parts import register_view

__all__ = ["Entry", "Part", "register_view"]
