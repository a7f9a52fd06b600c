"""Reads `%%node` cells: the options, and the function as source whose line numbers are those of the cell."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from typing import Any

import click

from comfy_nb.errors import SpecError

_OPTION = re.compile(r"(?:^|\s)--?[a-z]")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OPTIONS = click.Command(
    "%%node",
    add_help_option=False,
    params=[
        *(click.Option([f"--{name}"]) for name in ("title", "category", "cache", "lazy")),
        *(click.Option([f"--{name}"], is_flag=True) for name in ("output", "thread-safe", "grad", "list-output")),
        click.Option(["--timeout"], type=float),
        click.Option(["--retries"], type=int),
        click.Option(["--backoff"], type=float),
    ],
)


@dataclass(frozen=True)
class CellSource:
    """Source to execute, the function that it defines, and the node's name ("" for that of the function)."""

    source: str
    function: str
    name: str


def split_options(line: str) -> tuple[str, str]:
    """Split `blur(image, radius=3) -> nb.Image --timeout 3` before the options."""
    for found in _OPTION.finditer(line):
        head = line[: found.start()].strip()
        if "(" not in head or _reads(head):
            return head, line[found.start() :].strip()
    return line.strip(), ""


def read_options(words: list[str]) -> dict[str, Any]:
    """Return the options of `nb.node` that were given; raises click.UsageError."""
    given = _OPTIONS.make_context("%%node", words).params
    if given["lazy"]:
        given["lazy"] = given["lazy"].split(",")
    return {name: value for name, value in given.items() if value is not None and value is not False}


def read_cell(head: str, body: str) -> CellSource:
    """Read a cell whose first line, `%%node head`, is followed by the body. Raises SpecError, naming the line."""
    if "(" in head:
        return _from_signature(head, body)
    if head and (not head.isidentifier() or keyword.iskeyword(head)):
        raise SpecError(f"{head!r} is not a name for a node. Write %%node NAME, or a signature: %%node NAME(image).")
    functions = [each for each in _parse(body).body if isinstance(each, _FUNCTIONS)]
    if len(functions) != 1:
        raise SpecError(
            f"The cell must hold one function, got {len(functions)}. For a body alone, write the signature in the "
            "first line: %%node blur(image: nb.Image) -> nb.Image. For several nodes, put @nb.node before each."
        )
    return CellSource(f"\n{body}", functions[0].name, head)


def _from_signature(head: str, body: str) -> CellSource:
    if not _reads(head):
        raise SpecError(f"The signature {head!r} cannot be read. Write it as after `def`: blur(image, radius=3.0).")
    tree = _parse(body)
    if not tree.body:
        raise SpecError("The cell has a signature but no body.")
    begins = "async def" if any(map(_awaits, tree.body)) else "def"
    name = head.partition("(")[0].strip()
    return CellSource(f"{begins} {head}:\n{_indented(tree, body)}", name, "")


def _reads(head: str) -> bool:
    try:
        tree = ast.parse(f"def {head}: pass")
    except (SyntaxError, ValueError):
        return False
    return len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef) and "\n" not in head


def _parse(body: str) -> ast.Module:
    try:
        return ast.parse(body)
    except SyntaxError as error:
        raise SpecError(syntax_message(error, first_line=2)) from None
    except ValueError as error:
        raise SpecError(f"The cell cannot be read: {error}.") from None


def syntax_message(error: SyntaxError, first_line: int = 1) -> str:
    """Describe in one line what is wrong and where; `first_line` is the line of the cell that was parsed as line 1."""
    text = f": {error.text.strip()}" if error.text and error.text.strip() else ""
    return f"Line {(error.lineno or 1) + first_line - 1} of the cell, {error.msg}{text}"


def _indented(tree: ast.Module, body: str) -> str:
    """Indent a body, but not the text inside its strings."""
    inside: set[int] = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, str | bytes)):
            inside.update(range(each.lineno + 1, (each.end_lineno or each.lineno) + 1))
    lines = body.split("\n")
    return "\n".join(line if number in inside else f"    {line}" for number, line in enumerate(lines, start=1))


def _awaits(tree: ast.AST) -> bool:
    """Tell whether code awaits, not counting the functions inside it."""
    if isinstance(tree, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
        return True
    if isinstance(tree, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
        return False
    if isinstance(tree, ast.comprehension) and tree.is_async:
        return True
    return any(map(_awaits, ast.iter_child_nodes(tree)))
