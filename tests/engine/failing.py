"""Shared by the tests of misbehaving nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.graph.default_registry import default_registry
from tests.engine.signs import others


class Unspeakable(Exception):
    """An exception whose `str` and `repr` raise."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


async def failure(work: Awaitable[Any]) -> nb.NodeError:
    """Return the error of a run, after which the session, its lane and its loop must still work."""

    @nb.node(cache="off")
    def works() -> int:
        return 1

    @nb.node(cache="off")
    async def works_too() -> int:
        return 2

    with pytest.raises(nb.NodeError) as caught:
        await work
    assert caught.value.run.state == "failed"
    assert (await works(), await works_too()) == (1, 2)
    assert not others()
    return caught.value


def returns(value: Callable[[], Any], kind: Any, is_async: bool) -> nb.Handle:
    """A node that is declared to return `kind`, and returns `value()`."""
    if is_async:

        async def odd() -> Any:
            return value()
    else:

        def odd() -> Any:
            return value()

    odd.__annotations__["return"] = kind
    if "odd" in default_registry():  # that of an earlier test may not be freed yet, and would keep the name
        default_registry().remove("odd")
    return nb.node(odd)()
