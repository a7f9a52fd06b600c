"""Text made fit for a place: short enough, without what only a terminal knows, and such that it can be saved."""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def clip(text: str, most: int) -> str:
    """Return text that is no longer than `most` characters, its beginning where it is cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cut(text: str, most: int) -> str:
    """Return text without its middle where it has more than `most` characters."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n…\n{text[len(text) - half :]}"


def plain(log: str) -> str:
    """Return printed text without terminal colours, and of lines that overwrote themselves what was left to see."""
    text = ANSI.sub("", log) if "\x1b" in log else log
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def sound(text: str) -> str:
    """Return text that can be sent and saved: half characters, such as a path may have, replaced."""
    return text.encode("utf-8", "replace").decode()
