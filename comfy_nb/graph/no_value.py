"""What a handle answers to those who take it for its value: each form of a forgotten await, in one sentence."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from comfy_nb.errors import ComfyNBWarning
from comfy_nb.tracebacks import NOT_THEIRS

TWO_SIDED = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "or", "xor"),
)
OTHERS = ("neg", "pos", "abs", "invert", "round", "lt", "le", "gt", "ge", "contains", "setitem", "delitem")
CONVERSIONS = ("int", "float", "complex", "index", "array", "bytes", "trunc", "reduce_ex")


class NoValueYet:
    """What is computed only when it is awaited.

    Arithmetic, order, conversion and pickling raise, truth and printing warn.

    A subclass gives its name by `_advice()`, the sentence that says what to do.
    """

    __slots__ = ()

    def _advice(self) -> str:
        raise NotImplementedError

    def __bool__(self) -> bool:
        _warn(f"{self._advice()} This test is always true.")
        return True

    def __str__(self) -> str:
        _warn(self._advice())
        return repr(self)

    def __format__(self, form: str) -> str:
        if form:
            raise TypeError(self._advice())
        _warn(self._advice())
        return repr(self)


def _warn(message: str) -> None:
    """Warn of a person's own line; what the notebook asks on its own account is answered in silence."""
    asking = str(sys._getframe(2).f_globals.get("__name__", ""))
    if asking.partition(".")[0] not in NOT_THEIRS:
        warnings.warn(message, ComfyNBWarning, stacklevel=3)


def _refuses(name: str) -> Callable[..., NoReturn]:
    def refuse(self: NoValueYet, *_: Any) -> NoReturn:
        raise TypeError(self._advice())

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


for _name in (*TWO_SIDED, *(f"r{each}" for each in TWO_SIDED), *OTHERS, *CONVERSIONS):
    setattr(NoValueYet, f"__{_name}__", _refuses(f"__{_name}__"))
