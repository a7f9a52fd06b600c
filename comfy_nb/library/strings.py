"""Nodes on text."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

from comfy_nb.library.declare import combo, flag, text, whole

CASES: dict[str, Callable[[str], str]] = {
    "UPPERCASE": str.upper,
    "lowercase": str.lower,
    "Capitalize": str.capitalize,
    "Title Case": str.title,
}
TRIMS: dict[str, Callable[[str], str]] = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}
COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "Starts With": str.startswith,
    "Ends With": str.endswith,
    "Equal": str.__eq__,
}


class _OnText:
    RETURN_TYPES: tuple[str, ...] = ("STRING",)
    FUNCTION = "execute"
    CATEGORY = "utils/string"


class StringConcatenate(_OnText):
    """Join two texts, with a delimiter between them."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "string_a": text(),
                "string_b": text(),
                "delimiter": text(multiline=False, default=""),
            }
        }

    def execute(self, string_a: str, string_b: str, delimiter: str) -> tuple[str]:
        return (string_a + delimiter + string_b,)


class StringSubstring(_OnText):
    """Take the characters from `start` up to, not with, `end`; negative numbers count from the end."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text(), "start": ("INT", {}), "end": ("INT", {})}}

    def execute(self, string: str, start: int, end: int) -> tuple[str]:
        return (string[start:end],)


class StringLength(_OnText):
    """Count the characters of a text."""

    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("length",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text()}}

    def execute(self, string: str) -> tuple[int]:
        return (len(string),)


class CaseConverter(_OnText):
    """Change the case of the letters of a text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text(), "mode": combo(*CASES)}}

    def execute(self, string: str, mode: str) -> tuple[str]:
        return (CASES[mode](string),)


class StringTrim(_OnText):
    """Take the blanks off the ends of a text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text(), "mode": combo(*TRIMS)}}

    def execute(self, string: str, mode: str) -> tuple[str]:
        return (TRIMS[mode](string),)


class StringReplace(_OnText):
    """Replace every occurrence of a text within another."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text(), "find": text(), "replace": text()}}

    def execute(self, string: str, find: str, replace: str) -> tuple[str]:
        return (string.replace(find, replace),)


class StringContains(_OnText):
    """Tell whether a text occurs within another."""

    RETURN_TYPES = ("BOOLEAN",)
    RETURN_NAMES = ("contains",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text(), "substring": text(), "case_sensitive": flag(True)}}

    def execute(self, string: str, substring: str, case_sensitive: bool) -> tuple[bool]:
        if not case_sensitive:
            string, substring = string.lower(), substring.lower()
        return (substring in string,)


class StringCompare(_OnText):
    """Tell whether a text equals, starts with or ends with another."""

    RETURN_TYPES = ("BOOLEAN",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "string_a": text(),
                "string_b": text(),
                "mode": combo(*COMPARISONS),
                "case_sensitive": flag(True),
            }
        }

    def execute(self, string_a: str, string_b: str, mode: str, case_sensitive: bool) -> tuple[bool]:
        if not case_sensitive:
            string_a, string_b = string_a.lower(), string_b.lower()
        return (COMPARISONS[mode](string_a, string_b),)


def _flags(case_insensitive: bool, multiline: bool, dotall: bool) -> re.RegexFlag:
    flags = re.NOFLAG
    for wanted, one in ((case_insensitive, re.IGNORECASE), (multiline, re.MULTILINE), (dotall, re.DOTALL)):
        flags |= one if wanted else re.NOFLAG
    return flags


def _regex_inputs() -> dict[str, Any]:
    return {"case_insensitive": flag(True), "multiline": flag(False), "dotall": flag(False)}


class RegexMatch(_OnText):
    """Tell whether a regular expression is found in a text; one that cannot be read is not found."""

    RETURN_TYPES = ("BOOLEAN",)
    RETURN_NAMES = ("matches",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": text(), "regex_pattern": text(), **_regex_inputs()}}

    def execute(
        self, string: str, regex_pattern: str, case_insensitive: bool, multiline: bool, dotall: bool
    ) -> tuple[bool]:
        try:
            found = re.search(regex_pattern, string, _flags(case_insensitive, multiline, dotall))
        except re.error:
            return (False,)
        return (found is not None,)


class RegexExtract(_OnText):
    """Take out what a regular expression finds in a text, one find per line."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "string": text(),
                "regex_pattern": text(),
                "mode": combo("First Match", "All Matches", "First Group", "All Groups"),
                **_regex_inputs(),
                "group_index": whole(1, 0, 100),
            }
        }

    def execute(
        self,
        string: str,
        regex_pattern: str,
        mode: str,
        case_insensitive: bool,
        multiline: bool,
        dotall: bool,
        group_index: int,
    ) -> tuple[str]:
        try:
            pattern = re.compile(regex_pattern, _flags(case_insensitive, multiline, dotall))
        except re.error:
            return ("",)
        finds = islice(pattern.finditer(string), 1 if mode.startswith("First") else None)
        if mode == "First Match":
            group_index = 0
        elif mode == "All Matches":
            # As in ComfyUI, all matches of a pattern with groups are those of its first group.
            group_index = min(pattern.groups, 1)
        elif group_index > pattern.groups or (mode == "All Groups" and not pattern.groups):
            return ("",)
        return ("\n".join(find.group(group_index) or "" for find in finds),)


class RegexReplace(_OnText):
    """Replace what a regular expression finds in a text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        optional = _regex_inputs() | {
            "dotall": flag(False, tooltip="Whether a dot also stands for the end of a line."),
            "count": whole(0, 0, 100, tooltip="How many finds to replace, from the first; 0 for all."),
        }
        return {
            "required": {"string": text(), "regex_pattern": text(), "replace": text()},
            "optional": optional,
        }

    def execute(
        self,
        string: str,
        regex_pattern: str,
        replace: str,
        case_insensitive: bool = True,
        multiline: bool = False,
        dotall: bool = False,
        count: int = 0,
    ) -> tuple[str]:
        flags = _flags(case_insensitive, multiline, dotall)
        try:
            return (re.sub(regex_pattern, replace, string, count=count, flags=flags),)
        except re.error as error:
            raise ValueError(
                f"the pattern {regex_pattern!r} with the replacement {replace!r} is no regular expression: "
                f"{error}. "
                "To find special characters as they are, put a backslash before each."
            ) from error
