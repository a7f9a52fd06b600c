"""Printed text without what only a terminal understands."""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def plain(log: str) -> str:
    """Return printed text without terminal colours, and of lines that overwrote themselves what was left to see."""
    text = ANSI.sub("", log) if "\x1b" in log else log
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
