"""What a resource is declared to be: the generator that opens it, and the resources that this one asks for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from comfy_nb.errors import SpecError


class Declared:
    """A resource as it is declared: what opens it, how long it stays open unused, and what it `needs` by parameter."""

    def __init__(self, function: Callable[..., Any], idle: float | None, needs: Mapping[str, Declared]) -> None:
        self.function = function
        self.name = function.__name__
        self.is_async = inspect.isasyncgenfunction(function)
        self.idle = idle
        self.needs = needs
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    def __comfy_nb_key__(self) -> bytes:
        """Count as nothing in the keys of nodes whose code names it: a resource is no part of a key."""
        return b"resource"


def check_opener(function: Any, idle: Any) -> None:
    """Raise SpecError for a function that cannot open a resource, and for an `idle` that is no time."""
    if not inspect.isfunction(function):
        raise SpecError(f"A resource is opened by a function that yields it once, not by {function!r}.")
    name = function.__name__
    if not (inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)):
        raise SpecError(f"{name} does not yield: a resource is opened before the one `yield` of its function.")
    is_time = idle is None or (isinstance(idle, (int, float)) and not isinstance(idle, bool) and idle >= 0)
    if not is_time or (idle is not None and math.isnan(idle)):
        raise SpecError(f"{name}: idle must be seconds, 0 or more, or None to keep it open, not {idle!r}.")


def resource_of(hint: Any) -> Declared | None:
    """Return the resource that a parameter asks for: annotated with it, or `Annotated[ClientSession, http]`."""
    return next((each for each in (hint, *getattr(hint, "__metadata__", ())) if isinstance(each, Declared)), None)


def read_needs(name: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]) -> dict[str, Declared]:
    """Return what a function asks for, by parameter; raises SpecError for a default in the place of a resource."""
    needs = {each: found for each in parameters if (found := resource_of(hints.get(each))) is not None}
    for each, resource in needs.items():
        if parameters[each].default is not inspect.Parameter.empty:
            raise SpecError(
                f"{name}({each}) has a default, but is filled with the resource {resource.name}. Leave the default out."
            )
    return needs


def check_needs(name: str, is_async: bool, needs: Mapping[str, Declared]) -> None:
    """Raise SpecError for a sync function that asks for an async resource: it has no loop to open that on."""
    for parameter, resource in needs.items():
        if resource.is_async and not is_async:
            raise SpecError(
                f"{name}({parameter}) asks for {resource.name}, which is async: it lives on an event loop, and a plain "
                f"function has none. Make it `async def {name}`, or {resource.name} a plain generator function."
            )


def check_parameters(name: str, parameters: Mapping[str, inspect.Parameter], needs: Mapping[str, Declared]) -> None:
    """Raise SpecError for a parameter of a resource that nothing fills."""
    for each in parameters.values():
        is_open = each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        if each.kind is each.POSITIONAL_ONLY or (each.name not in needs and each.default is each.empty and not is_open):
            raise SpecError(
                f"{name}({each.name}): a resource is opened without arguments. Only another resource can be asked for, "
                "by annotation; what it depends on else is a global, or a default."
            )
