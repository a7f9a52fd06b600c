"""What a `%%node` cell says: the function it is, as source whose lines are those of the cell."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass

from comfy_nb.errors import SpecError

_OPTION = re.compile(r"(?:^|\s)--?[a-z]")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class CellSource:
    """Source to execute, the function that it defines, and the name wanted for the node ("" for the function's)."""

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


def read_cell(head: str, body: str) -> CellSource:
    """Read a cell whose first line, `%%node head`, is followed by the body. Raises SpecError, naming the line."""
    if "(" in head:
        return _from_signature(head, body)
    if head and (not head.isidentifier() or keyword.iskeyword(head)):
        raise SpecError(f"{head!r} is no name for a node. Write %%node NAME, or a signature: %%node NAME(image).")
    functions = [each for each in _parse(body).body if isinstance(each, _FUNCTIONS)]
    if len(functions) != 1:
        raise SpecError(
            f"The cell must hold one function, not {len(functions)}. For a body alone write the signature in the first "
            "line: %%node blur(image: nb.Image) -> nb.Image. For several nodes put @nb.node before each."
        )
    return CellSource(f"\n{body}", functions[0].name, head)


def _from_signature(head: str, body: str) -> CellSource:
    if not _reads(head):
        raise SpecError(f"The signature {head!r} cannot be read. Write it as after def: blur(image, radius=3.0).")
    tree = _parse(body)
    if not tree.body:
        raise SpecError("The cell has a signature, but no body that says what the node does.")
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
    """Say in one line what is wrong and where in the cell; `first_line` is the cell's line that was read as line 1."""
    text = f": {error.text.strip()}" if error.text and error.text.strip() else ""
    return f"Line {(error.lineno or 1) + first_line - 1} of the cell, {error.msg}{text}"


def _indented(tree: ast.Module, body: str) -> str:
    """Indent a body, but not what is inside its strings."""
    inside: set[int] = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, str | bytes)):
            inside.update(range(each.lineno + 1, (each.end_lineno or each.lineno) + 1))
    lines = body.split("\n")
    return "\n".join(line if number in inside else f"    {line}" for number, line in enumerate(lines, start=1))


def _awaits(tree: ast.AST) -> bool:
    """Whether code awaits, leaving aside functions within it."""
    if isinstance(tree, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
        return True
    if isinstance(tree, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
        return False
    if isinstance(tree, ast.comprehension) and tree.is_async:
        return True
    return any(map(_awaits, ast.iter_child_nodes(tree)))
