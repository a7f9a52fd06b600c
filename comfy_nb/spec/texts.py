"""What code names for a library to look up: globals in type hints, expressions for tables and pickles; accessors."""

from __future__ import annotations

import functools
import pickle
import pickletools
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from comfy_nb.spec.attributes import held_by
from comfy_nb.spec.declared import declared_constant
from comfy_nb.spec.locality import is_local, module_of
from comfy_nb.spec.names import MARKED, Call, Names, module_name

_NAME = re.compile(r"[^\W\d]\w*")
_WITH_ACCESSORS = ("DataFrame", "Series", "Index")
_OF_TABLES = frozenset({"eval", "query"})
_UNPICKLE = frozenset({"load", "loads", "Unpickler"})


def named_in_texts(names: Names, scope: Mapping[str, Any]) -> list[str]:
    """Return the globals that a piece of code names in expressions for tables, as in `df.query("size > @limit")`."""
    found = [*names.marked]
    for name in names.variables:
        if type(text := scope.get(name)) is str and "@" in text:
            found += MARKED.findall(text)
    for call in names.calls:
        if call.method in _OF_TABLES:
            texts = [text for name in call.variables if name in scope for text in _texts_in(scope[name])]
            # `pandas.eval` needs no mark.
            pattern = _NAME if call.method == "eval" else MARKED
            found += [name for text in (*call.constants, *texts) if type(text) is str for name in pattern.findall(text)]
    return [name for name in dict.fromkeys(found) if name in scope] if found else found


def _texts_in(value: Any) -> Iterable[Any]:
    """Return a text, or what a container or an object has, among which texts may be."""
    kind = type(value)
    if issubclass(kind, (str, types.ModuleType)):
        return (value,)
    if issubclass(kind, (list, tuple)):
        return list(value)
    try:
        return list((value if issubclass(kind, dict) else vars(value)).values())
    except Exception:  # it has no attributes, or refuses to be looked at
        return ()


def accessors_named(names: Names) -> Iterator[tuple[str, Any]]:
    """Yield what the person has registered with pandas under names that a piece of code reads, as `df.geo` does."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return
    kinds: list[Any] = [vars(pandas).get(name) for name in _WITH_ACCESSORS]
    for kind in kinds:
        for name in sorted(getattr(kind, "_accessors", frozenset()).intersection(names.all)):
            accessor = getattr(vars(kind).get(name), "_accessor", None)
            if isinstance(accessor, type) and is_local(module_of(accessor)):
                yield f"{kind.__name__}.{name}", accessor


def may_take_names(names: Names) -> bool:
    """Whether `takes_names` has to look at a piece of code."""
    return bool(names.calls) or not _UNPICKLE.isdisjoint(names.all)


def takes_names(pieces: Sequence[Names], scope: Mapping[str, Any], function: types.FunctionType | None) -> str | None:
    """Return through what the code of a function is given names that nobody can know."""
    return _unknown_expression(pieces, function) or _unknown_pickle(pieces, scope, function)


def _unknown_expression(pieces: Sequence[Names], function: types.FunctionType | None) -> str | None:
    """Return the method that gets an expression for tables from a parameter."""
    calls = [call for names in pieces for call in names.calls if call.method in _OF_TABLES and call.variables]
    if not calls or function is None or "pandas" not in sys.modules:
        return None
    texts = _text_parameters(function)
    return next((f".{call.method}()" for call in calls if call.variables & texts), None)


def _unknown_pickle(
    pieces: Sequence[Names], scope: Mapping[str, Any], function: types.FunctionType | None
) -> str | None:
    """Return the function of `pickle` that reads what is not known, or may name something of the person's own."""
    closed_over = [held for cell in (function and function.__closure__) or () for held in held_by(cell)]
    if not (any(each is pickle for each in closed_over) or any(_has_pickle(names, scope) for names in pieces)):
        return None
    for name in sorted(_UNPICKLE.intersection(each for names in pieces for each in names.all)):
        known = [_is_known_pickle(call, scope) for names in pieces for call in names.calls if call.method == name]
        if declared_constant(getattr(pickle, name)) is None and not (known and all(known)):
            return f"pickle.{name}"
    return None


def _has_pickle(names: Names, scope: Mapping[str, Any]) -> bool:
    imported = (module_name(each, scope) for each in names.imports)
    return "pickle" in imported or any(scope.get(name) is pickle for name in names.variables)


def _is_known_pickle(call: Call, scope: Mapping[str, Any]) -> bool:
    """Whether all that is unpickled is known, and names nothing of the notebook or the project."""
    if "dumps" in call.attributes:  # a copy of what is there
        return True
    pickles = [each for each in call.constants if isinstance(each, bytes)]
    given = [scope.get(name) for name in call.variables - {"pickle"}]
    if any(type(each) is not bytes for each in given):
        return False
    pickles += [each for each in given if each is not None]
    return bool(pickles) and not any(map(_names_own, pickles))


def _names_own(pickled: bytes) -> bool:
    try:
        texts = [arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)]
    except Exception:  # it is no pickle, and what reading it comes to is not known
        return True
    modules = {word for text in texts for word in text.split()[:1]}
    return any(name in sys.modules and is_local(name) for name in modules)


def names_in_hints(hints: Iterable[Any]) -> Iterator[types.CodeType]:
    """Yield the code of type hints that are texts, themselves or in what they are made of."""
    for hint in hints:
        text = hint.__forward_arg__ if isinstance(hint, typing.ForwardRef) else hint
        if isinstance(text, str):
            yield from _compiled(text)
        elif typing.get_origin(hint) not in (None, typing.Literal):
            made_of = typing.get_args(hint)
            yield from names_in_hints(made_of[:1] if hasattr(hint, "__metadata__") else made_of)


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> tuple[types.CodeType, ...]:
    """Return the code of a type hint, with those of the texts in it; nothing where it is none."""
    try:
        code = compile(text, "<hint>", "eval")
    except (SyntaxError, ValueError):
        return ()
    inner = [each for each in code.co_consts if isinstance(each, str) and each != text]
    return (code, *[found for each in inner for found in _compiled(each)])


def _text_parameters(function: types.FunctionType) -> Set[str]:
    """Return the parameters that may be texts, by their hints."""
    try:
        hints = function.__annotations__
    except NameError:  # they name what is not defined yet
        return frozenset(function.__code__.co_varnames)
    return {name for name, hint in hints.items() if hint is str or _is_text(hint)}


def _is_text(hint: Any) -> bool:
    return "str" in _NAME.findall(hint) if isinstance(hint, str) else str in typing.get_args(hint)
