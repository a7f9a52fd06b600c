"""Shared by the tests of validation: classes with inputs to check, and the errors of graphs that are refused."""

from __future__ import annotations

from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.errors import Problem
from tests.engine.support import Pack, made

INT = ("INT", {})


def echo(self: Any, **inputs: Any) -> tuple[Any]:
    return (inputs,)


def taking(pack: Pack, kind: Any, options: dict[str, Any] | None = None, **traits: Any) -> None:
    """Register `Take`, an output node with one required input `value` of this type, which returns its inputs."""
    declared = (kind, options) if options is not None else (kind,)
    pack.node("Take", echo, {"value": declared}, ("*",), **{"OUTPUT_NODE": True, **traits})


async def refused(graph: nb.Graph, **options: Any) -> nb.ValidationError:
    with pytest.raises(nb.ValidationError) as caught:
        await graph.run(**options)
    return caught.value


async def received(pack: Pack, **inputs: Any) -> Any:
    """Return what `Take` receives for these inputs."""
    run = await pack.graph({"1": made("Take", **inputs)}).run()
    return run["1"]


async def problem(pack: Pack, **inputs: Any) -> Problem:
    """Return the only problem of `Take` with these inputs."""
    (found,) = (await refused(pack.graph({"1": made("Take", **inputs)}))).problems
    return found


def checking(pack: Pack, validate: Any, *, required: dict[str, Any] | None = None, **traits: Any) -> None:
    """Register `Checked`, an output node with its own validation of `a` and `b`."""
    inputs = required or {"a": INT, "b": INT}
    optional = {"c": INT}
    more = {"OUTPUT_NODE": True, **traits, "VALIDATE_INPUTS": validate}
    pack.node("Checked", echo, inputs, ("*",), optional=optional, **more)
