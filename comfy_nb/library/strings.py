"""Nodes on text."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

from comfy_nb.library.declare import bool_input, combo_input, int_input, string_input

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
    """Join two texts with a delimiter between them."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "string_a": string_input(),
                "string_b": string_input(),
                "delimiter": string_input(multiline=False, default=""),
            }
        }

    def execute(self, string_a: str, string_b: str, delimiter: str) -> tuple[str]:
        return (string_a + delimiter + string_b,)


class StringSubstring(_OnText):
    """Take the characters from `start` up to but not including `end`; negative numbers count from the end."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input(), "start": ("INT", {}), "end": ("INT", {})}}

    def execute(self, string: str, start: int, end: int) -> tuple[str]:
        return (string[start:end],)


class StringLength(_OnText):
    """Count the characters of a text."""

    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("length",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input()}}

    def execute(self, string: str) -> tuple[int]:
        return (len(string),)


class CaseConverter(_OnText):
    """Change the case of the letters of a text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input(), "mode": combo_input(*CASES)}}

    def execute(self, string: str, mode: str) -> tuple[str]:
        return (CASES[mode](string),)


class StringTrim(_OnText):
    """Remove whitespace from the ends of a text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input(), "mode": combo_input(*TRIMS)}}

    def execute(self, string: str, mode: str) -> tuple[str]:
        return (TRIMS[mode](string),)


class StringReplace(_OnText):
    """Replace every occurrence of a text within another."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input(), "find": string_input(), "replace": string_input()}}

    def execute(self, string: str, find: str, replace: str) -> tuple[str]:
        return (string.replace(find, replace),)


class StringContains(_OnText):
    """Tell whether a text contains another."""

    RETURN_TYPES = ("BOOLEAN",)
    RETURN_NAMES = ("contains",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input(), "substring": string_input(), "case_sensitive": bool_input(True)}}

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
                "string_a": string_input(),
                "string_b": string_input(),
                "mode": combo_input(*COMPARISONS),
                "case_sensitive": bool_input(True),
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
    return {"case_insensitive": bool_input(True), "multiline": bool_input(False), "dotall": bool_input(False)}


class RegexMatch(_OnText):
    """Tell whether a regular expression matches in a text; an invalid one never does."""

    RETURN_TYPES = ("BOOLEAN",)
    RETURN_NAMES = ("matches",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"string": string_input(), "regex_pattern": string_input(), **_regex_inputs()}}

    def execute(
        self, string: str, regex_pattern: str, case_insensitive: bool, multiline: bool, dotall: bool
    ) -> tuple[bool]:
        try:
            found = re.search(regex_pattern, string, _flags(case_insensitive, multiline, dotall))
        except re.error:
            return (False,)
        return (found is not None,)


class RegexExtract(_OnText):
    """Extract the matches of a regular expression from a text, one per line."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "string": string_input(),
                "regex_pattern": string_input(),
                "mode": combo_input("First Match", "All Matches", "First Group", "All Groups"),
                **_regex_inputs(),
                "group_index": int_input(1, 0, 100),
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
        matches = islice(pattern.finditer(string), 1 if mode.startswith("First") else None)
        if mode == "First Match":
            group_index = 0
        elif mode == "All Matches":
            # As in ComfyUI, all matches of a pattern with groups are those of its first group.
            group_index = min(pattern.groups, 1)
        elif group_index > pattern.groups or (mode == "All Groups" and not pattern.groups):
            return ("",)
        return ("\n".join(match.group(group_index) or "" for match in matches),)


class RegexReplace(_OnText):
    """Replace the matches of a regular expression in a text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        optional = _regex_inputs() | {
            "dotall": bool_input(False, tooltip="Whether a dot also matches a line break."),
            "count": int_input(0, 0, 100, tooltip="The number of matches to replace, from the first; 0 for all."),
        }
        return {
            "required": {"string": string_input(), "regex_pattern": string_input(), "replace": string_input()},
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
                f"the pattern {regex_pattern!r} or the replacement {replace!r} is not valid: "
                f"{error}. To match special characters literally, put a backslash before each."
            ) from error
