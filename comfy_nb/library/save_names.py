"""The names of saved files: tokens filled in, and made fit for the platform. Pure functions, without a file system.

Tokens are ComfyUI's, of the server (`%width%`, `%year%`) and of its editor (`%date:yyyy-MM-dd%`, `%Node.widget%`), and
stand anywhere in the text. Names are mended and not refused: they come at the end of a run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from comfy_nb.graph.link import link_of
from comfy_nb.wording import title_in

Lookup = Callable[[str], str | None]

BATCH_NUMBER = "batch_num"  # filled in for each picture
DATE = "date:"
DATE_PART = re.compile("d{1,2}|M{1,2}|h{1,2}|m{1,2}|s{1,2}|y{2,4}")
LOOKS_LIKE_A_TOKEN = re.compile(r"[^\W\d_]\w*|[^/\\]+\.\w+")
SEARCH_NAME = "Node name for S&R"
NOT_IN_A_VALUE = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')

WINDOWS = "win32"
NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\x00-\x1f]')
DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
DRIVE = re.compile("[A-Za-z]:")
MACOS = "darwin"
NAME_MAX = 255  # UTF-16 units on Windows, bytes of UTF-8 elsewhere
PATH_MAX = {WINDOWS: 259, MACOS: 1023}
PATH_MAX_ELSEWHERE = 4095
COUNTER_AND_SUFFIX = 16  # what a path needs behind the stem
SHORTEST_PART = 8
DEFAULT_STEM = "ComfyUI"


class SaveName(NamedTuple):
    """The folders that a prefix names, and the beginning of the file's name."""

    folders: tuple[str, ...]
    stem: str


# Tokens ---------------------------------------------------------------------------------------------------------------


def fill_tokens(text: str, lookup: Lookup) -> tuple[str, list[str]]:
    """Return a text with its tokens replaced by what `lookup` knows of them, and the tokens that it does not know.

    A `%` that begins no known token is text: "50%_%width%" becomes "50%_32".
    """
    filled, unknown, at, known_from = "", [], 0, 0
    while (start := text.find("%", at)) >= 0 and (end := text.find("%", start + 1)) >= 0:
        token = text[start + 1 : end]
        value = lookup(token) if token else None
        if value is not None:
            filled += text[known_from:start] + value
            at = known_from = end + 1
            continue
        following = text.find("%", end + 1)
        is_shared = following >= 0 and bool(token) and lookup(text[end + 1 : following]) is not None
        if token != BATCH_NUMBER and LOOKS_LIKE_A_TOKEN.fullmatch(token) and not is_shared:
            unknown.append(f"%{token}%")
            at = end + 1
        else:
            at = end
    return filled + text[known_from:], list(dict.fromkeys(unknown))


def size_and_time(width: int, height: int, now: time.struct_time) -> Lookup:
    """Return what `%width%`, `%height%`, `%year%` to `%second%` and `%date:...%` stand for."""
    numbers = {"month": now.tm_mon, "day": now.tm_mday, "hour": now.tm_hour, "minute": now.tm_min, "second": now.tm_sec}
    values = {"width": str(width), "height": str(height), "year": str(now.tm_year)}
    values |= {name: f"{number:02}" for name, number in numbers.items()}
    return lambda token: format_date(token[len(DATE) :], now) if token.startswith(DATE) else values.get(token)


def format_date(pattern: str, when: time.struct_time) -> str:
    """Fill in d, M, h (of 24), m and s, doubled with a leading zero, and yy or yyyy; all else stays as it is."""
    parts = {"d": when.tm_mday, "M": when.tm_mon, "h": when.tm_hour, "m": when.tm_min, "s": when.tm_sec}
    years = {"yy": f"{when.tm_year % 100:02}", "yyyy": str(when.tm_year)}

    def part(found: re.Match[str]) -> str:
        letters = found[0]
        return years.get(letters, letters) if letters[0] == "y" else f"{parts[letters[0]]:0{len(letters)}}"

    return DATE_PART.sub(part, pattern)


def graph_values(prompt: Any, extra_pnginfo: Any = None) -> Lookup:
    """Return what `%Node.widget%` stands for: a constant of a node in a prompt.

    The node is named by its "Node name for S&R" in the editor's workflow, which pictures carry beside the prompt, its
    title, id or class, in this order.
    """

    @cache
    def tables() -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, object]]:
        entries = prompt.items() if isinstance(prompt, Mapping) else ()
        nodes = {str(node_id): node for node_id, node in entries if isinstance(node, Mapping)}
        return nodes, {str(node.get("id")): _search_name(node) for node in _nodes_of(extra_pnginfo)}

    def named(name: str) -> Iterator[Mapping[str, Any]]:
        nodes, searched = tables()
        yield from (node for node_id, node in nodes.items() if searched.get(node_id) == name)
        yield from (node for node in nodes.values() if _title(node) == name)
        yield from (node for node_id, node in nodes.items() if node_id == name)
        yield from (node for node in nodes.values() if node.get("class_type") == name)

    def lookup(token: str) -> str | None:
        for dot in (at for at, letter in enumerate(token) if letter == "."):
            for node in named(token[:dot]):
                value = _constant(tables()[0], node, token[dot + 1 :])
                if value is not None:
                    return value
        return None

    return lookup


def either(lookups: Iterable[Lookup]) -> Lookup:
    """Ask several lookups in turn."""
    known = tuple(lookups)
    return lambda token: next((value for lookup in known if (value := lookup(token)) is not None), None)


def _nodes_of(extra_pnginfo: Any) -> Iterator[Mapping[str, Any]]:
    workflow = extra_pnginfo.get("workflow") if isinstance(extra_pnginfo, Mapping) else None
    found = workflow.get("nodes") if isinstance(workflow, Mapping) else None
    return (node for node in found if isinstance(node, Mapping)) if isinstance(found, list) else iter(())


def _search_name(node: Mapping[str, Any]) -> object:
    properties = node.get("properties")
    return properties.get(SEARCH_NAME) if isinstance(properties, Mapping) else None


def _title(node: Mapping[str, Any]) -> str:
    return title_in(node.get("_meta"))


def _constant(nodes: Mapping[str, Mapping[str, Any]], node: Mapping[str, Any], name: str) -> str | None:
    """Return a constant as text; a link counts as the `value` of the primitive that it comes from."""
    inputs = node.get("inputs")
    if not isinstance(inputs, Mapping) or name not in inputs:
        return None
    value = inputs[name]
    link = link_of(value)
    if link is not None:
        origin = nodes.get(link.origin, {}).get("inputs")
        value = origin.get("value") if isinstance(origin, Mapping) else None
    return None if value is None or link_of(value) is not None else _as_text(value)


def _as_text(value: Any) -> str:
    """Write a constant as the editor does: true, 7 for 7.0, and no character that names a folder."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    text = NOT_IN_A_VALUE.sub("_", text)
    return text if text.strip(".") else "_" * len(text)


# Platforms ------------------------------------------------------------------------------------------------------------


def split_prefix(prefix: str, platform: str) -> SaveName:
    """Split a prefix into folders and the beginning of a file name, both fit for a platform (`sys.platform`).

    Raises ValueError for one that leads out of the folder it is relative to.
    """
    separator = r"[/\\]" if platform == WINDOWS else "/"
    parts = re.split(separator, prefix)
    is_absolute = parts[0] == "" and len(parts) > 1
    if is_absolute or (platform == WINDOWS and DRIVE.match(prefix)):
        raise ValueError(f"{prefix!r} leads out of the folder: name a file inside of it.")
    path: list[str] = []
    for part in parts:
        if part == ".." and path and path[-1] != "..":
            path.pop()
        elif part not in ("", "."):
            path.append(part)
    has_stem = bool(path) and path[-1] != ".."
    folders = tuple(each if each == ".." else fit_name(each, "", platform) for each in path[: len(path) - has_stem])
    return SaveName(folders, path[-1] if has_stem else DEFAULT_STEM)


def fit_name(stem: str, ending: str, platform: str) -> str:
    """Return `stem + ending` as a name of one file or folder that a platform allows.

    Forbidden characters and half surrogates become "_", names of devices get one behind them, and the stem is cut
    where the name is too long.
    """
    stem = stem.replace("\0", "_").replace("/", "_")
    if platform == WINDOWS:
        stem = NOT_ON_WINDOWS.sub("_", stem.replace("\\", "_"))
        if not ending:
            stem = stem.rstrip(". ") or "_"
        if DEVICES.fullmatch(stem + ending):
            device, dot, rest = stem.partition(".")
            stem = f"{device.rstrip()}_{dot}{rest}"
    else:
        stem = "".join(letter if _is_encodable(letter, platform) else "_" for letter in stem)
    room = NAME_MAX - _length(ending, platform)
    while _length(stem, platform) > room:
        stem = stem[:-1]
    if platform == WINDOWS and not ending:
        stem = stem.rstrip(". ")
    return stem + ending


def fit_path(name: SaveName, root: str, platform: str) -> SaveName:
    """Cut the longest parts of a name whose path below `root` would be too long for a platform."""
    parts = [*name.folders, name.stem]
    room = PATH_MAX.get(platform, PATH_MAX_ELSEWHERE) - _length(root, platform) - len(parts) - COUNTER_AND_SUFFIX
    while sum(_length(part, platform) for part in parts) > room:
        longest = max(range(len(parts)), key=lambda place: len(parts[place]))
        if len(parts[longest]) <= SHORTEST_PART:
            break
        parts[longest] = fit_name(parts[longest][: max(SHORTEST_PART, len(parts[longest]) * 3 // 4)], "", platform)
    return SaveName(tuple(parts[:-1]), parts[-1])


def _is_encodable(letter: str, platform: str) -> bool:
    if not "\ud800" <= letter <= "\udfff":
        return True
    return platform != MACOS and "\udc80" <= letter <= "\udcff"  # a byte that is no UTF-8, as PEP 383 has it


def _length(name: str, platform: str) -> int:
    if platform == WINDOWS:
        return len(name.encode("utf-16-le", "surrogatepass")) // 2
    return len(name.encode("utf-8", "surrogatepass"))
