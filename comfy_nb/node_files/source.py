"""Where functions, classes and imports were written: their text in a cell or file, as long as it is what runs."""

from __future__ import annotations
import __future__

import ast
import enum
import functools
import linecache
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import SpecError
from comfy_nb.spec.code import is_same_code
from comfy_nb.spec.locality import is_local_file
from comfy_nb.spec.names import Import, module_name

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUTURE_ANNOTATIONS = __future__.annotations.compiler_flag
_FUTURE = 0x1FE0000
"""The flags of code that `from __future__ import` sets."""
_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class Unwritable(SpecError):
    """What keeps a value from being written as source, in words."""


@dataclass(frozen=True)
class Definition:
    """A function, class or lambda as it was written: the `text` of its file, and its `node` in that."""

    text: str
    node: Function | ast.ClassDef | ast.Lambda

    @property
    def is_indented(self) -> bool:
        """Whether it stands inside something else."""
        return self.node.col_offset > 0

    def lines(self) -> str:
        """Return its lines as they are, without its decorators."""
        assert self.node.end_lineno is not None
        return "\n".join(self.text.split("\n")[self.node.lineno - 1 : self.node.end_lineno])

    def segment(self, node: ast.AST) -> str:
        """Return the text of a part of it."""
        return ast.get_source_segment(self.text, node) or ""

    def names_around(self) -> set[str]:
        """Return the local names of the functions that it stands in."""
        found: set[str] = set()
        for each in ast.walk(_parsed(self.text)):
            if isinstance(each, Function) and each is not self.node and self.node in ast.walk(each):
                found.update(part.arg for part in ast.walk(each.args) if isinstance(part, ast.arg))
                found.update(part.id for part in ast.walk(each) if isinstance(part, ast.Name) and _is_stored(part))
        return found


def definition_of_function(function: types.FunctionType) -> Definition:
    """Return where a function was written; raises Unwritable where that cannot be read, or was edited since."""
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    if not _is_in(text, code):
        known = "has changed since it was defined" if text else "is not known"
        raise Unwritable(f"is a function whose source {known}; define it again")
    found: list[Function | ast.Lambda] = []
    for node in ast.walk(_parsed(text)):  # from outside to inside
        if isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and _is_body(node, code):
            found.append(node)
        if isinstance(node, Function) and node.name == code.co_name and _first_line(node) == code.co_firstlineno:
            found.append(node)
    if not found:
        raise Unwritable("is a function that was not written by def or lambda")
    return Definition(text, found[-1])


def definition_of_class(cls: type, scope: Mapping[str, Any]) -> Definition:
    """Return where a class was written: the last one of its name and attributes in the cells or the file of a scope.

    Raises Unwritable where that is not known, or methods were edited or replaced since.
    """
    methods = list(_methods(cls))
    found: list[Definition] = []
    for name, text in _texts_of(scope, *(code.co_filename for code in methods)).items():
        nodes = [each for each in ast.walk(_parsed(text)) if isinstance(each, ast.ClassDef)]
        for node in [each for each in nodes if each.name == cls.__name__ and _may_have_made(each, cls, bool(methods))]:
            lines = range(_first_line(node), (node.end_lineno or 0) + 1)
            if all(code.co_filename == name and code.co_firstlineno in lines for code in methods):
                found.append(Definition(text, node))
    if not found or not all(_is_in(found[-1].text, code) for code in methods):
        raise Unwritable("is a class whose source is not known, or was edited since; define it again")
    return found[-1]


def import_of(name: str, value: Any, scope: Mapping[str, Any]) -> list[str]:
    """Return the import statements by which a scope got a value under a name, as far as they give it today."""
    found: dict[str, None] = {}
    for text in _texts_of(scope).values():
        for node in ast.walk(_parsed(text)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update((line, None) for line in _giving(node, name, value, scope))
    plain = [line for line in found if line.startswith("import ") and " as " not in line]
    return plain or list(found)[-1:]


def _giving(node: ast.Import | ast.ImportFrom, name: str, value: Any, scope: Mapping[str, Any]) -> Iterator[str]:
    for alias in node.names:
        bound = alias.asname or alias.name.partition(".")[0]
        if bound != name:
            continue
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.Import):
            if sys.modules.get(alias.name if alias.asname else bound) is value:
                yield f"import {alias.name}{renamed}"
            continue
        module = module_name(Import(node.level, node.module or ""), scope)
        held = getattr(sys.modules.get(module), alias.name, None)
        if held is value and module != "__main__":
            yield f"from {module} import {alias.name}{renamed}"


def _texts_of(scope: Mapping[str, Any], *files: str) -> dict[str, str]:
    """Return the texts that a scope may have been filled by: of its file, or of all cells, the last one last."""
    file = scope.get("__file__")
    cells = [name for name, entry in list(linecache.cache.items()) if _is_cell(entry)]
    names = [file, *files] if isinstance(file, str) else cells
    return {name: "".join(linecache.getlines(name)) for name in names}


def _is_cell(entry: Any) -> bool:
    return len(entry) == 4 and entry[1] is None


def _methods(cls: type) -> Iterator[types.CodeType]:
    """Yield the code of the methods that a class was written with, of which the text is known."""
    for value in vars(cls).values():
        function = _own_function(value)
        if function is not None and _is_method(function, cls) and linecache.getlines(function.__code__.co_filename):
            yield function.__code__


def _own_function(attribute: Any) -> types.FunctionType | None:
    """Return the function of a method, if it is the person's own."""
    function = getattr(attribute, "__func__", getattr(attribute, "fget", attribute))
    is_own = isinstance(function, types.FunctionType) and is_local_file(function.__code__.co_filename)
    return function if is_own else None


def _is_method(function: types.FunctionType, cls: type) -> bool:
    return function.__qualname__.startswith(f"{cls.__qualname__}.")


def _may_have_made(node: ast.ClassDef, cls: type, has_methods: bool) -> bool:
    """Whether a class has what this body sets; what its constants were tells classes without methods apart."""
    known = {*vars(cls), *vars(cls).get("__annotations__", ()), *getattr(cls, "__slots__", ())}
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function = _own_function(vars(cls).get(each.name))
            if each.name not in known or (function is not None and not _is_method(function, cls)):
                return False
        if isinstance(each, ast.Assign | ast.AnnAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            is_other = not has_methods and not all(_may_be(each.value, cls, name) for name in names)
            if is_other or not known.issuperset(names):
                return False
    return True


def _may_be(written: ast.expr | None, cls: type, name: str) -> bool:
    """Whether an attribute of a class may be what was written: of constants this can be told."""
    held = vars(cls).get(name)
    if not isinstance(written, ast.Constant) or name not in vars(cls) or hasattr(type(held), "__get__"):
        return True
    return bool((held.value if isinstance(held, enum.Enum) else held) == written.value)


def _first_line(node: Function | ast.ClassDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _is_body(node: ast.Lambda, code: types.CodeType) -> bool:
    """Whether code is the body of a lambda, by the places of its instructions."""
    body = node.body
    begin, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    places = [(line, column) for line, _, column, _ in code.co_positions() if line is not None and column]
    return bool(places) and all(begin <= place <= end for place in places)


def _is_in(text: str, code: types.CodeType) -> bool:
    """Whether a text has the source of this very code."""
    compiled = _codes(text, code.co_flags & _FUTURE)
    return any(each.co_firstlineno == code.co_firstlineno and is_same_code(each, code) for each in compiled)


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


@functools.lru_cache(maxsize=256)
def _codes(text: str, flags: int) -> tuple[types.CodeType, ...]:
    """Return the code of every function in a text, compiled as a file is, and as a cell is: by statements.

    The two differ: Python calls functions of what the same text imports in another way.
    """
    parts = [_parsed(text), *(ast.Module([statement], []) for statement in _parsed(text).body)]
    try:
        stack = [compile(part, "<text>", "exec", flags | _TOP_LEVEL_AWAIT, dont_inherit=True) for part in parts]
    except (SyntaxError, ValueError):
        return ()
    found: list[types.CodeType] = []
    while stack:
        found.append(stack.pop())
        stack += [each for each in found[-1].co_consts if isinstance(each, types.CodeType)]
    return tuple(found)
