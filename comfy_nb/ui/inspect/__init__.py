"""Views of any value: its pictures, plots, numbers and text, read in bounded time.

Begin with `inspector`: it splits a value into `parts` and answers what a front end asks about them, with `pictures`,
`plots`, `statistics` and words (`describe`). `view` is the widget, `html` what a saved notebook keeps, `formatter` how
a cell shows a tensor. Only `formatter` knows runs: which one a value came from.
"""

from __future__ import annotations

from comfy_nb.ui.inspect.part import Entry, Part
from comfy_nb.ui.inspect.parts import register_view

__all__ = ["Entry", "Part", "register_view"]
