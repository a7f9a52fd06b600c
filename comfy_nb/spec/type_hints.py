"""The type hints of functions that are being declared, which may use names of the function around them."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any

from comfy_nb.errors import SpecError


def hints_of(thing: Any, name: str, around: dict[str, Any]) -> dict[str, Any]:
    """Return the hints of a function or class, evaluated; raises SpecError where one names what is not there."""
    try:
        return typing.get_type_hints(thing, include_extras=True, localns=around)
    except NameError as error:
        raise SpecError(f"{name}: the annotation {error.name!r} is not defined. Import or define it first.") from error
    except SyntaxError as error:
        raise SpecError(f"{name}: an annotation cannot be read: {error}.") from error


def names_around(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the local names of the function that defines this one, if it is running: annotations may use them."""
    code = inspect.unwrap(function).__code__
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if code in frame.f_code.co_consts:
            return dict(frame.f_locals)
    return dict(inspect.getclosurevars(function).nonlocals)
