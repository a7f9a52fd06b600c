"""Printed text as a page can show it, without terminal control codes."""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def strip_terminal_codes(printed: str) -> str:
    r"""Return printed text without ANSI codes; of a line that was overwritten with `\r`, only the last version."""
    text = ANSI.sub("", printed) if "\x1b" in printed else printed
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
