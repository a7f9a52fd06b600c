"""The resources that a node asks for, lent to each of its calls for as long as that takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

from comfy_nb.engine.execution.resources import Resource
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.resource import Declared


@asynccontextmanager
async def resources_for(spec: NodeSpec) -> AsyncGenerator[dict[str, Any], None]:
    """Lend an async node its resources, by parameter, in a block."""
    async with AsyncExitStack() as stack:
        lent = {name: await stack.enter_async_context(_own(each).lent()) for name, each in spec.resources.items()}
        yield _as_inputs(spec, lent)


def with_resources_here(spec: NodeSpec, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a sync node's one with its resources, opened on the thread where it is called."""

    def call(**inputs: Any) -> Any:
        with ExitStack() as stack:
            lent = {name: stack.enter_context(_own(each).lent_here()) for name, each in spec.resources.items()}
            return function(**inputs, **_as_inputs(spec, lent))

    return call


def _as_inputs(spec: NodeSpec, lent: dict[str, Any]) -> dict[str, Any]:
    return {name: [value] for name, value in lent.items()} if spec.input_is_list else lent


def _own(declared: Declared) -> Resource:
    assert isinstance(declared, Resource)
    return declared
