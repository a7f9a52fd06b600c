"""Prompts (ComfyUI's API format): read from text, dicts, files and pictures, checked for shape, written back.

    {"3": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "radius": 4}, "_meta": {"title": "Blur"}}}

Only the shape is looked at here; whether classes, inputs and links exist is for validation.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from comfy_nb.errors import ComfyNBWarning, PromptError, UnknownName
from comfy_nb.graph.media import read_metadata, sniff
from comfy_nb.graph.on_error import STOP, policy_in
from comfy_nb.graph.prompt_json import RECORDS, TYPES, prompt_text, restored
from comfy_nb.wording import name_node, short, suggest, title_in

Node = dict[str, Any]

EXCERPT = 30  # characters of JSON shown either side of a fault
HOW_TO_EXPORT = (
    "Export it with Workflow > Export (API) in the editor's menu (older versions: switch on the dev mode "
    "options in the settings, then Save (API Format)), or read a PNG or WebP picture that ComfyUI saved, which "
    "carries both. To look at the workflow as it is: nb.draw."
)
PICTURE_FORMATS = ("png", "webp", "jpeg")
MEDIA_SUFFIXES = (".json", ".png", ".webp", ".jpg", ".jpeg", ".flac", ".mp3", ".mp4")
LONGEST_PATH = 1_000
STRINGS_ONLY = frozenset((str,))


class ParsedPrompt(NamedTuple):
    """A prompt of the right shape: each node a dict with a `class_type` (str) and `inputs` (a dict).

    `workflow` is the editor's file that came with it, if any; `origin` says in words where it was found; `on_error` is
    what a client posted with it as `node_failure_policy`, "stop" or "continue".
    """

    nodes: dict[str, Node]
    workflow: dict[str, Any] | None
    origin: str
    on_error: str = STOP

    def without_records(self) -> ParsedPrompt:
        """Return the prompt without what a run noted on its nodes, which says nothing about the next run."""
        noted = {node_id: node for node_id, node in self.nodes.items() if not RECORDS.isdisjoint(node)}
        if not noted:
            return self
        kept = {
            node_id: {name: value for name, value in node.items() if name not in RECORDS}
            for node_id, node in noted.items()
        }
        return self._replace(nodes={**self.nodes, **kept})


def is_workflow(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a workflow in the editor's own format, which is not a prompt."""
    return isinstance(value, Mapping) and isinstance(value.get("nodes"), list)


def parse_prompt(source: str | bytes | Mapping[Any, Any], origin: str = "") -> ParsedPrompt:
    """Read a prompt from JSON text, from the bytes of a file, or from a dict.

    An envelope as posted to /prompt, `{"prompt": {...}, "extra_data": ...}`, is opened; NaN and Infinity are
    read as Python's json does; node ids given as ints become strings, also in links; a node without `inputs`
    gets an empty dict. The nodes of a dict are shared with the result unless something in them had to change.
    `origin` says in words where the source is from.
    Raises PromptError saying what the source is instead, and where it is wrong.
    """
    if isinstance(source, str):
        return _from_text(source, origin or "the text")
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), origin or "the data")
    if isinstance(source, Mapping):
        return _from_value(source, origin or "the dict")
    if isinstance(source, os.PathLike):
        raise PromptError(f"parse_prompt takes JSON text, bytes or a dict. Use read_prompt({str(source)!r}).")
    return _from_value(source, "the value")


def read_prompt(path: str | os.PathLike[str]) -> ParsedPrompt:
    """Read a prompt from a file: JSON (UTF-8 with or without BOM, UTF-16), or media that ComfyUI saved.

    The content decides, not the name. Raises PromptError when the file cannot be read or holds no prompt.
    """
    file = expanded(path)
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise PromptError(_why_unreadable(file, error)) from error
    return _from_bytes(data, str(file))


def write_prompt(
    nodes: Mapping[str, Mapping[str, Any]], path: str | os.PathLike[str], extra_data: Mapping[str, Any] | None = None
) -> Path:
    """Write a prompt as indented JSON (UTF-8), whole or not at all, and return the file's path.

    With `extra_data` it is wrapped as a client posts it. How constants are written that JSON has no type for is said in
    `graph/prompt_json.py`. Raises PromptError when it cannot hold one, naming node and input, or the file cannot be
    made.
    """
    text = prompt_text(parse_prompt(nodes).nodes, indent=2, extra_data=extra_data)
    file = expanded(path).resolve()
    if not file.parent.is_dir():
        raise PromptError(f"{file} cannot be written: make the folder {file.parent} first.")
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        # a lone surrogate has no UTF-8, but its escape is JSON
        draft.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        draft.replace(file)
    except OSError as error:
        raise PromptError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return file


def _from_bytes(data: bytes, origin: str) -> ParsedPrompt:
    form = sniff(data)
    if form in ("json", "unknown"):
        encoding = json.detect_encoding(data) if form == "json" else "utf-8-sig"
        return _from_text(_decode(data, encoding, origin), origin)
    entries = read_metadata(data)
    if not entries:
        raise PromptError(_no_graph(form, origin))
    if "prompt" not in entries:
        fault = f"{_start(origin)} carries a workflow of the editor's but no prompt. {HOW_TO_EXPORT}"
        raise PromptError(fault, _drawable(entries["workflow"]))
    return _from_envelope(entries["prompt"], entries.get("workflow"), origin)


def _from_text(text: str, origin: str) -> ParsedPrompt:
    return _from_value(_load_json(text, origin), origin)


def _from_value(value: object, origin: str) -> ParsedPrompt:
    inner = value.get("prompt") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not (isinstance(inner, str) or _is_nodes(inner)):
        return ParsedPrompt(_nodes_of(value, origin), None, origin)
    extra: Any = value.get("extra_data")
    pnginfo = extra.get("extra_pnginfo") if isinstance(extra, Mapping) else None
    workflow = (pnginfo if isinstance(pnginfo, Mapping) else value).get("workflow")
    return _from_envelope(inner, workflow, origin)._replace(on_error=_on_error(extra, origin))


def _on_error(extra_data: Any, origin: str) -> str:
    try:
        return policy_in(extra_data) or STOP
    except UnknownName as error:
        warnings.warn(f"{_start(origin)}: {error} A failed node stops the run.", ComfyNBWarning, stacklevel=2)
        return STOP


def _is_nodes(value: object) -> bool:
    return isinstance(value, Mapping) and "class_type" not in value


def _from_envelope(prompt: object, workflow: object, origin: str) -> ParsedPrompt:
    """Read a prompt, as JSON text or a dict, that may have the editor's workflow beside it."""
    where = f"the prompt in {origin}"
    try:
        if isinstance(prompt, str):
            parsed = _from_value(_load_json(prompt, where), where)
        else:
            parsed = ParsedPrompt(_nodes_of(prompt, where), None, where)
    except PromptError as error:
        error.workflow = error.workflow or _drawable(workflow)
        raise
    return ParsedPrompt(parsed.nodes, _companion(workflow, origin) or parsed.workflow, origin)


def _nodes_of(value: object, origin: str) -> dict[str, Node]:
    if not isinstance(value, Mapping):
        found = f"{_start(origin)} is a {type(value).__name__}"
        raise PromptError(f"{found}, not a prompt: a dict of nodes by their ids is expected.")
    workflow = _drawable(value) or _drawable(value.get("workflow"))
    if workflow is not None:
        raise PromptError(f"{_start(origin)} is in the editor's format, not a prompt. {HOW_TO_EXPORT}", workflow)
    if isinstance(value.get("class_type"), str):
        raise PromptError(f'{_start(origin)} is a single node, not a prompt. Use {{"1": node}}.')
    if not value:
        raise PromptError(f"{_start(origin)} is an empty dict: a prompt has at least one node.")
    return _restored(_checked(dict(value), origin), origin)


def _checked(nodes: dict[Any, Any], origin: str) -> dict[str, Node]:
    """Return the nodes when all have the right shape (one pass without a call per node), else mend them."""
    odd = {
        node_id: node
        for node_id, node in nodes.items()
        if not (
            type(node_id) is str
            and type(node) is dict
            and type(node.get("class_type")) is str
            and type(node.get("inputs")) is dict
            and STRINGS_ONLY.issuperset(map(type, node["inputs"]))
        )
    }
    if not odd:
        return nodes
    mended = {node_id: _mended(node_id, node, origin) for node_id, node in odd.items()}
    numbers = {node_id for node_id in odd if not isinstance(node_id, str)}
    if not numbers:
        return {**nodes, **mended}
    named = {str(node_id): mended.get(node_id, node) for node_id, node in nodes.items()}
    if len(named) < len(nodes):
        twice = next(node_id for node_id in numbers if str(node_id) in nodes)
        raise PromptError(f"{_start(origin)} has the nodes {twice} and {str(twice)!r}: ids are strings.")
    return {node_id: _relinked(node, numbers) for node_id, node in named.items()}


def _restored(nodes: dict[str, Node], origin: str) -> dict[str, Node]:
    """Give constants the types that JSON could not hold; warn of those that it did not hold at all."""
    typed = {node_id: restored(node) for node_id, node in nodes.items() if TYPES in node}
    lost = [f"{name!r} of {_named(node_id, node)}" for node_id, (node, names) in typed.items() for name in names]
    if lost:
        left_out = f"{_start(origin)} has constants left out that JSON could not hold: the input {', '.join(lost)}."
        warnings.warn(f"{left_out} Give them values again.", ComfyNBWarning, stacklevel=2)
    return {**nodes, **{node_id: node for node_id, (node, _) in typed.items()}} if typed else nodes


def _named(node_id: str, node: Node) -> str:
    return name_node(node_id, node["class_type"], title_in(node.get("_meta")))


def _mended(node_id: object, node: object, origin: str) -> Node:
    """Return a node that needs no more than its `inputs` filled in; raise for any other fault."""
    if not isinstance(node_id, str | int) or isinstance(node_id, bool):
        raise PromptError(f"{_start(origin)} has a node id {node_id!r}: ids are strings.")
    where = f"{_start(origin)}: node {node_id!r}"
    if not isinstance(node, dict):
        kind = type(node).__name__
        raise PromptError(f"{where} is a {kind} ({short(node)}), not a dict with a class_type.")
    if "class_type" not in node:
        keys = ", ".join(map(repr, list(node)[:8])) or "nothing"
        raise PromptError(f"{where} has no class_type, which names its class; it has {keys}.")
    if not isinstance(node["class_type"], str):
        raise PromptError(f"{where} has a class_type that is no string: {short(node['class_type'])}.")
    inputs = node.get("inputs", {})
    if not isinstance(inputs, dict):
        kind = type(inputs).__name__
        raise PromptError(
            f"{where} ({node['class_type']}) has inputs that are a {kind} ({short(inputs)}), not a dict of "
            "values by name."
        )
    for name in inputs:
        if not isinstance(name, str):
            raise PromptError(f"{where} ({node['class_type']}) has an input {name!r}: names are strings.")
    return node if "inputs" in node else {**node, "inputs": {}}


def _relinked(node: Node, numbers: set[int]) -> Node:
    """Turn links to ids that were numbers into links to strings."""
    changed = {
        name: [str(value[0]), value[1]]
        for name, value in node["inputs"].items()
        if isinstance(value, list) and len(value) == 2 and type(value[0]) is int and value[0] in numbers
    }
    return {**node, "inputs": {**node["inputs"], **changed}} if changed else node


def _load_json(text: str, origin: str) -> Any:
    if not text.strip("\ufeff \t\r\n"):
        raise PromptError(f"{_start(origin)} is empty: a prompt in JSON is expected.")
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise PromptError(f"{_start(origin)} is not JSON: {_fault(error)}{_path_hint(text)}") from error
    except RecursionError as error:
        raise PromptError(f"{_start(origin)} is nested too deeply to be a prompt.") from error
    except ValueError as error:
        raise PromptError(f"{_start(origin)} cannot be read as JSON: {error}.") from error


def _drawable(workflow: object) -> Mapping[str, Any] | None:
    """The workflow that a value is, or holds as JSON text; None for any other value."""
    if isinstance(workflow, str):
        try:
            workflow = json.loads(workflow)
        except (ValueError, RecursionError):
            return None
    return workflow if is_workflow(workflow) else None


def _companion(workflow: object, origin: str) -> dict[str, Any] | None:
    """The workflow that accompanies a prompt, as a dict; a damaged one is left out with a warning."""
    if isinstance(workflow, str):
        try:
            workflow = _load_json(workflow, f"the workflow in {origin}")
        except PromptError as error:
            warnings.warn(f"{error} The graph is read without it.", ComfyNBWarning, stacklevel=2)
            return None
    return workflow if isinstance(workflow, dict) else None


def _decode(data: bytes, encoding: str, origin: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{_start(origin)} is neither text in UTF-8 or UTF-16 nor a PNG, WebP, JPEG, FLAC, MP3 or MP4 "
            f"file: no prompt can be read from it ({error.reason} at byte {error.start})."
        ) from error


def _fault(error: json.JSONDecodeError) -> str:
    before = error.doc[max(0, error.pos - EXCERPT) : error.pos]
    after = error.doc[error.pos : error.pos + EXCERPT]
    place = f"line {error.lineno}, column {error.colno}"
    return f"{error.msg} at {place}, at the mark in {before + '»' + after!r}."


def _path_hint(text: str) -> str:
    if "\n" in text or not text.strip().lower().endswith(MEDIA_SUFFIXES):
        return ""
    return f" It looks like a file's path. Use read_prompt({text!r})."


def _no_graph(form: str, origin: str) -> str:
    kind = f"{form} {'picture' if form in PICTURE_FORMATS else 'file'}"
    return (
        f"{_start(origin)}, a {kind}, carries no graph. ComfyUI writes one into what it saves, but many "
        "websites, chats and picture editors strip it. Use the original file, or the graph's JSON."
    )


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with its `~` put in full; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _why_unreadable(file: Path, error: Exception) -> str:
    if re.fullmatch(r"\{\w*\}", str(file)):
        return f"There is no file {str(file)!r}, nor a variable {str(file)[1:-1]!r} to stand for one."
    if str(file).lstrip().startswith("{"):
        return "read_prompt takes the path of a file; for JSON text use parse_prompt(text)."
    if len(str(file)) > LONGEST_PATH or "\0" in str(file):
        return f"A text of {len(str(file)):,} characters is neither JSON nor the path of a file."
    if isinstance(error, IsADirectoryError):
        readable = _readable_in(file)
        return f"{file} is a folder. {suggest('', readable) if readable else 'It holds no graph.'}"
    if not isinstance(error, FileNotFoundError):
        return f"{file} cannot be read: {error}."
    if not file.parent.is_dir():
        return f"There is no file {file}, nor the folder {file.parent}; the working folder is {Path.cwd()}."
    folder = file.parent.resolve()
    readable = _readable_in(folder)
    found = suggest(file.name, readable) if readable else "No other file there can hold a graph."
    return f"There is no file {file.name!r} in {folder}. {found}"


def _readable_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in MEDIA_SUFFIXES)
    except OSError:
        return []


def _start(origin: str) -> str:
    """An origin at the start of a sentence."""
    return "T" + origin[1:] if origin.startswith("the ") else origin
