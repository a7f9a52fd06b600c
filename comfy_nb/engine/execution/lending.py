"""The resources that a node asks for, lent to each of its calls for as long as that takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

from comfy_nb.engine.execution.resources import Resource
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.resource import Declared


@asynccontextmanager
async def _lend(spec: NodeSpec) -> AsyncGenerator[dict[str, Any], None]:
    async with AsyncExitStack() as stack:
        lent = {name: await stack.enter_async_context(_own(each).lent()) for name, each in spec.resources.items()}
        yield _as_inputs(spec, lent)


class _Nothing:
    """The resources of a node that asks for none."""

    async def __aenter__(self) -> dict[str, Any]:
        return {}

    async def __aexit__(self, *_: object) -> None:
        return None


_NOTHING = _Nothing()


def resources_for(spec: NodeSpec, is_check: bool) -> Any:
    """Return an async context of the resources of a node's call by parameter; a lazy check gets none."""
    return _lend(spec) if spec.resources and not is_check else _NOTHING


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
