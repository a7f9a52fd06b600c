"""A text field for whole numbers of any size: a page's number fields round those above 2^53."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import traitlets

LARGEST_EXACT = 2**53 - 1


class WholeNumber(widgets.Text):  # type: ignore[misc]
    """A text field whose `value` is an int; the page holds its digits.

    What is typed and is no whole number is put back to the value as it was.
    """

    value = traitlets.Int().tag(
        sync=True, to_json=lambda value, _: str(value), from_json=lambda text, it: it.read(text)
    )

    def read(self, text: Any) -> int:
        """Return what was typed as a number; the value as it is where it is none."""
        try:
            return int(str(text).strip())
        except ValueError:
            self.send_state("value")
            return int(self.value)


def is_exact(*bounds: Any) -> bool:
    """Whether all these are numbers that a page's number field holds exactly."""
    return all(each is not None and abs(each) <= LARGEST_EXACT for each in bounds)
