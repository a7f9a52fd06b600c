"""Which globals and modules a piece of code reads, told from its bytecode, and which of them it uses as values."""

from __future__ import annotations

import dis
import functools
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE_READS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SETS_FOR_OTHERS = frozenset({"STORE_DEREF", "STORE_NAME"})
"""How code sets a variable of the function around it, or one that becomes an attribute of a class."""
MARKED = re.compile(r"@\s*([^\W\d]\w*)")
"""How an expression for a table names what is not in it."""
_TAKE_NAMES = frozenset({"eval", "load", "loads", "query"})
"""Methods of tables, and functions of `pickle`, that may be given the names of globals."""


class Import(NamedTuple):
    """An `import` statement in a function: `level` counts the dots, `taken` has what it takes from the module.

    `bound_to` is the variable that it sets at once: to the module, or to what that is part of, as `import a.b` does.
    """

    level: int
    module: str
    taken: tuple[str, ...] = ()
    bound_to: str | None = None


class Call(NamedTuple):
    """A call of a method that may be given the names of globals: what stands in its arguments.

    `variables` and `attributes` are names that are read there, `constants` texts and bytes.
    """

    method: str
    variables: frozenset[str]
    attributes: frozenset[str]
    constants: tuple[str | bytes, ...]


class Names(NamedTuple):
    """The names that a piece of code reads.

    `bare` are variables and attributes that it uses otherwise than by reading an attribute: it may hand them on.
    `parents` are the variables that it asks for their `__subclasses__`, None for what is no global. `marked` are those
    that its texts name after an @. `all` has besides the variables also attributes, and what is imported from modules.
    """

    variables: tuple[str, ...]
    imports: tuple[Import, ...]
    bare: frozenset[str]
    calls: tuple[Call, ...]
    parents: tuple[str | None, ...]
    marked: tuple[str, ...]
    all: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> Names:
    """Return the names that a piece of code reads, without those of the functions defined in it."""
    variables: dict[str, None] = {}
    imports: list[Import] = []
    bare: set[str] = set()
    parents: list[str | None] = []
    renamed: list[tuple[str, str]] = []
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    for index, step in enumerate(steps):
        following = steps[index + 1] if index + 1 < len(steps) else None
        if step.opname in _GLOBAL_READS:
            variables[step.argval] = None
        if step.opname == "IMPORT_NAME":
            level, taken = int(steps[index - 2].argval or 0), steps[index - 1].argval or ()
            imports.append(Import(level, step.argval, taken, _stored(following)))
        elif step.opname == "IMPORT_FROM":
            renamed.append((step.argval, _stored(following) or ""))
        elif step.opname in _SETS_FOR_OTHERS:
            bare.add(step.argval)
        elif "LOAD_" in step.opname:
            names = _loaded(step)
            is_read = following is not None and following.opname in _ATTRIBUTE_READS
            bare.update(names[:-1] if is_read else names)
        if step.opname in _ATTRIBUTE_READS and step.argval == "__subclasses__":
            parents.append(steps[index - 1].argval if steps[index - 1].opname in _GLOBAL_READS else None)
    bare |= {name for name, variable in renamed if variable in bare}
    marked = tuple(name for each in code.co_consts if isinstance(each, str) for name in MARKED.findall(each))
    calls = tuple(_calls(steps))
    return Names(tuple(variables), tuple(imports), frozenset(bare), calls, tuple(parents), marked, code.co_names)


def _loaded(step: dis.Instruction) -> list[str]:
    """Return the names that a step reads, which may be two variables at once, or the text that it loads."""
    read = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    if step.opname.startswith("STORE_"):  # it also sets the first one
        read = read[1:]
    return [name for name in read if isinstance(name, str)]


def _stored(step: dis.Instruction | None) -> str | None:
    """Return the variable that a step sets, which may also set or read another one."""
    if step is None or not step.opname.startswith("STORE_"):
        return None
    return str(step.argval[0] if isinstance(step.argval, tuple) else step.argval)


def _calls(steps: Sequence[dis.Instruction]) -> Iterator[Call]:
    for index, step in enumerate(steps):
        if step.opname in _ATTRIBUTE_READS and step.argval in _TAKE_NAMES:
            given, is_called = _arguments(steps[index + 1 :])
            if not (is_called or _is_method(step)):
                continue
            attributes = frozenset(each.argval for each in given if each.opname in _ATTRIBUTE_READS)
            constants = [each.argval for each in given if each.opname == "LOAD_CONST"]
            others = [each for each in given if each.opname.startswith("LOAD_") and each.opname != "LOAD_CONST"]
            variables = {name for each in others for name in _loaded(each)} - attributes
            texts = tuple(each for each in constants if isinstance(each, (str, bytes)))
            yield Call(step.argval, frozenset(variables), attributes, texts)


def _is_method(step: dis.Instruction) -> bool:
    """Whether what is read is called at once."""
    return step.opname == "LOAD_METHOD" or (sys.version_info >= (3, 12) and bool((step.arg or 0) & 1))


def _arguments(steps: Sequence[dis.Instruction]) -> tuple[Sequence[dis.Instruction], bool]:
    """Return what is done between reading an attribute and using it, and whether that use is to call it.

    Not only methods are called: nor is a name that the same cell imports, or what is given `*args`, read as one.
    """
    depth = 0
    for place, step in enumerate(steps):
        if place > 0 or step.opname != "PUSH_NULL" or sys.version_info < (3, 13):
            depth += dis.stack_effect(step.opcode, step.arg, jump=False)
        if depth < 0:
            return steps[:place], depth == -1 and step.opname.startswith("CALL")
    return steps, False


def module_name(found: Import, scope: Mapping[str, Any]) -> str:
    """Return the full name of the module that an import means in the scope of a module."""
    if found.level == 0:
        return found.module
    package = str(scope.get("__package__") or str(scope.get("__name__", "")).rpartition(".")[0])
    for _ in range(found.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{found.module}" if found.module else package
