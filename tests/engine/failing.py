"""What tests of misbehaving nodes share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.signs import others


class Unspeakable(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


async def failure(work: Awaitable[Any]) -> nb.NodeError:
    """The error of a run; the session, its lane and its loop must work after it."""

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
    """A node declared to return `kind` that returns something."""
    if is_async:

        async def odd() -> Any:
            return value()
    else:

        def odd() -> Any:
            return value()

    odd.__annotations__["return"] = kind
    return nb.node(odd)()
