"""Which globals and modules a piece of code reads, told from its bytecode, and which of them it uses as values."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

_GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE_READS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


class Import(NamedTuple):
    """An `import` statement in a function: `level` counts the dots, `bound_to` is the variable that it sets, if one."""

    level: int
    module: str
    bound_to: str | None


class Names(NamedTuple):
    """The names that a piece of code reads.

    `bare` are variables and attributes that it uses otherwise than by reading an attribute: it may hand them on.
    """

    variables: tuple[str, ...]
    imports: tuple[Import, ...]
    bare: frozenset[str]


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> Names:
    """Return the names that a piece of code reads, without those of the functions defined in it."""
    variables: dict[str, None] = {}
    imports: list[Import] = []
    bare: set[str] = set()
    steps = [*dis.get_instructions(code)]
    for index, step in enumerate(steps):
        following = steps[index + 1] if index + 1 < len(steps) else None
        if step.opname in _GLOBAL_READS:
            variables[step.argval] = None
        if step.opname == "IMPORT_NAME":
            bound_to = following.argval if following is not None and following.opname.startswith("STORE_") else None
            imports.append(Import(int(steps[index - 2].argval or 0), step.argval, bound_to))
        elif step.opname.startswith("LOAD_"):
            names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            is_read = following is not None and following.opname in _ATTRIBUTE_READS
            bare.update(name for name in (names[:-1] if is_read else names) if isinstance(name, str))
    return Names(tuple(variables), tuple(imports), frozenset(bare))


def module_name(found: Import, scope: Mapping[str, Any]) -> str:
    """Return the full name of the module that an import means in the scope of a module."""
    if found.level == 0:
        return found.module
    package = str(scope.get("__package__") or str(scope.get("__name__", "")).rpartition(".")[0])
    for _ in range(found.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{found.module}" if found.module else package
