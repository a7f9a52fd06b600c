"""A zoo of small deterministic ComfyUI node classes, one for each thing that a class can do.

Every function accepts any value that may reach it: None, the value of a missing slot, counts as 0 or as empty
text. A lazy input that a node did not ask for itself never changes its result.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from comfy_nb.engine.node_api.context import ExecutionBlocker, get_executing_context
from comfy_nb.engine.node_api.graph_builder import GraphBuilder

Declared = tuple[str, dict[str, Any]]

INT: Declared = ("INT", {})
STRING: Declared = ("STRING", {})
LAZY_INT: Declared = ("INT", {"lazy": True})
RAW_INT: Declared = ("INT", {"rawLink": True})
NodeClass = type[Any]


def make_classes(calls: Counter[str] | None = None) -> dict[str, NodeClass]:
    """Make fresh classes, by name; `calls` counts the calls of their functions."""
    zoo = [*plain_classes(), *form_classes(), *list_classes(), *lazy_classes(), *blocking_classes()]
    zoo += [*identity_classes(), *async_classes(), *expanding_classes()]
    if calls is not None:
        for node_class in zoo:
            count_calls(node_class, calls)
    return {node_class.__name__: node_class for node_class in zoo}


def count_calls(node_class: NodeClass, calls: Counter[str]) -> None:
    """Make a class count the calls of its function under its name."""
    run = node_class.run

    def counted(self: Any, **inputs: Any) -> Any:
        calls[node_class.__name__] += 1
        return run(self, **inputs)

    async def counted_async(self: Any, **inputs: Any) -> Any:
        calls[node_class.__name__] += 1
        return await run(self, **inputs)

    node_class.run = counted_async if inspect.iscoroutinefunction(run) else counted


def node(
    name: str,
    run: Callable[..., Any],
    required: dict[str, Any] | None = None,
    returns: tuple[str, ...] = ("INT",),
    *,
    optional: dict[str, Any] | None = None,
    hidden: dict[str, str] | None = None,
    **traits: Any,
) -> NodeClass:
    """Make a V1 class with the method `run`; `traits` are class attributes such as `INPUT_IS_LIST`."""
    declared = {"required": required or {}, "optional": optional or {}, "hidden": hidden or {}}
    body = {
        "INPUT_TYPES": classmethod(lambda cls: declared),
        "RETURN_TYPES": returns,
        "FUNCTION": "run",
        "CATEGORY": "zoo",
        "run": run,
        **traits,
    }
    return type(name, (), body)


def number(value: Any) -> int:
    return 0 if value is None else value


def plain_classes() -> list[NodeClass]:
    """Sources and sums, one that raises on some values and one that takes any inputs."""

    def add(self: Any, a: int, b: int | None = None) -> tuple[int]:
        return (number(a) + number(b),)

    def refuse(self: Any, n: int) -> tuple[int]:
        if number(n) % 5 == 4:
            raise ValueError(f"{n} is not welcome.")
        return (number(n),)

    def variadic(self: Any, **values: int) -> tuple[int]:
        return (sum(map(number, values.values())),)

    return [
        node("Number", lambda self, value: (number(value),), {"value": INT}),
        node("Text", lambda self, text: (text or "",), {"text": STRING}, ("STRING",)),
        node("Add", add, {"a": INT}, optional={"b": INT}),
        node("Length", lambda self, text: (len(text or ""),), {"text": STRING}),
        node(
            "Repeat",
            lambda self, text, n: ((text or "") * (number(n) % 3),),
            {"text": STRING, "n": INT},
            ("STRING",),
        ),
        node("Refuse", refuse, {"n": INT}),
        node("Variadic", variadic),
    ]


def form_classes() -> list[NodeClass]:
    """The forms in which a node may return."""

    def labelled(self: Any, n: int) -> dict[str, Any]:
        return {"result": (number(n),), "ui": {"label": [f"n={n}"]}}

    def show(self: Any, n: int) -> dict[str, Any]:
        return {"ui": {"shown": [n], "odd" if number(n) % 2 else "even": [n]}}

    def keep(self: Any, n: int) -> dict[str, Any]:
        return {"ui": {"kept": [n]}, "result": (number(n),)}

    return [
        node("Pair", lambda self, n: (number(n) + 1, f"<{n}>"), {"n": INT}, ("INT", "STRING")),
        node("ListReturned", lambda self, n: [number(n), -number(n)], {"n": INT}, ("INT", "INT")),
        node("Fewer", lambda self, n: (number(n),), {"n": INT}, ("INT", "INT", "INT")),
        node("Bare", lambda self, n: number(n) + 1, {"n": INT}),
        node("BareText", lambda self, n: f"bare {n}", {"n": INT}, ("STRING",)),
        node("Labelled", labelled, {"n": INT}),
        node("Show", show, {"n": INT}, (), OUTPUT_NODE=True),
        node("Keep", keep, {"n": INT}, OUTPUT_NODE=True),
        node("Sink", lambda self, text: None, {"text": STRING}, (), OUTPUT_NODE=True),
    ]


def list_classes() -> list[NodeClass]:
    """Nodes that take or make lists."""

    def span(self: Any, start: int, count: int) -> tuple[list[int]]:
        return ([number(start) + i for i in range(1 + number(count) % 3)],)

    def halves(self: Any, n: int) -> tuple[int, list[int]]:
        return (number(n), [number(n) // 2, number(n) - number(n) // 2])

    def total(self: Any, values: list[int]) -> tuple[int]:
        return (sum(map(number, values)),)

    def evens(self: Any, values: list[int]) -> tuple[list[int]]:
        return ([value for value in values if number(value) % 2 == 0],)

    def join(self: Any, texts: list[str], separator: list[str]) -> tuple[str]:
        return ((separator[0] or "").join(text or "" for text in texts),)

    return [
        node("Listed", lambda self, values: (values,), {"values": ("INTS", {})}, OUTPUT_IS_LIST=(True,)),
        node("Span", span, {"start": INT, "count": INT}, OUTPUT_IS_LIST=(True,)),
        node("Halves", halves, {"n": INT}, ("INT", "INT"), OUTPUT_IS_LIST=(False, True)),
        node("Total", total, {"values": INT}, INPUT_IS_LIST=True),
        node("Evens", evens, {"values": INT}, INPUT_IS_LIST=True, OUTPUT_IS_LIST=(True,)),
        node("Join", join, {"texts": STRING, "separator": STRING}, ("STRING",), INPUT_IS_LIST=True),
    ]


def lazy_classes() -> list[NodeClass]:
    """Nodes that ask for some of their inputs only."""

    def choose(self: Any, which: int, even: int | None = None, odd: int | None = None) -> tuple[int]:
        return (number(odd if number(which) % 2 else even),)

    def asked_for_choice(self: Any, which: int, even: int | None = None, odd: int | None = None) -> list[str]:
        return ["odd" if number(which) % 2 else "even"]

    def choose_list(self: Any, which: list[int], even: list[int], odd: list[int]) -> tuple[list[int]]:
        return (odd if sum(map(number, which)) % 2 else even,)

    def asked_for_list(self: Any, which: list[int], even: Any, odd: Any) -> list[str]:
        return ["odd" if sum(map(number, which)) % 2 else "even"]

    def in_stages(self: Any, first: int, second: int | None = None, third: int | None = None) -> tuple[int]:
        if first is None or first % 2:
            return (number(first),)
        if second is None or (first + second) % 3 == 0:
            return (first + number(second),)
        return (first + second + number(third),)

    def asked_in_stages(self: Any, first: int | None, second: int | None = None, third: int | None = None) -> list[str]:
        if first is None or first % 2:
            return ["first"]
        if second is None or (first + second) % 3 == 0:
            return ["first", "second"]
        return ["first", "second", "third"]

    lazies = {"even": LAZY_INT, "odd": LAZY_INT}
    stages = {"second": LAZY_INT, "third": LAZY_INT}
    return [
        node("Switch", choose, {"which": INT, **lazies}, check_lazy_status=asked_for_choice),
        node(
            "ListSwitch",
            choose_list,
            {"which": INT, **lazies},
            check_lazy_status=asked_for_list,
            INPUT_IS_LIST=True,
            OUTPUT_IS_LIST=(True,),
        ),
        node("Stages", in_stages, {"first": LAZY_INT, **stages}, check_lazy_status=asked_in_stages),
    ]


def blocking_classes() -> list[NodeClass]:
    """Nodes that block what comes after them when a value is odd."""

    def block_odd(self: Any, n: int, message: str) -> Any:
        return ExecutionBlocker(message or None) if number(n) % 2 else (number(n), number(n) + 1)

    def block_one(self: Any, n: int, message: str) -> tuple[Any, int]:
        return (ExecutionBlocker(message or None) if number(n) % 2 else number(n), number(n))

    def block_items(self: Any, n: int, message: str) -> tuple[Any]:
        return (ExecutionBlocker(message or None) if number(n) % 2 else [number(n), number(n) + 2],)

    inputs = {"n": INT, "message": STRING}
    return [
        node("BlockOdd", block_odd, inputs, ("INT", "INT")),
        node("BlockOne", block_one, inputs, ("INT", "INT")),
        node("BlockItems", block_items, inputs, OUTPUT_IS_LIST=(True,)),
        node(
            "BlockInDict",
            lambda self, **inputs: {"result": block_odd(self, **inputs)},
            inputs,
            ("INT", "INT"),
        ),
    ]


def identity_classes() -> list[NodeClass]:
    """Nodes that know who they are, or that must not be computed for one another."""

    def where(self: Any, n: int, me: str, prompt: Any, live: Any) -> tuple[str]:
        return (f"{live.get_node(me)['class_type']} {me in prompt} {n}",)

    return [
        node("WhoAmI", lambda self, n, me: (f"{me}:{n}",), {"n": INT}, ("STRING",), hidden={"me": "UNIQUE_ID"}),
        node(
            "Where",
            where,
            {"n": INT},
            ("STRING",),
            hidden={"me": "UNIQUE_ID", "prompt": "PROMPT", "live": "DYNPROMPT"},
        ),
        node("Once", lambda self, n: (number(n) * 2,), {"n": INT}, NOT_IDEMPOTENT=True),
    ]


def async_classes() -> list[NodeClass]:
    """Nodes that let others go on while they wait."""

    async def async_number(self: Any, value: int) -> tuple[int]:
        await asyncio.sleep(0)
        return (number(value),)

    async def async_add(self: Any, a: int, b: int | None = None) -> tuple[int]:
        await asyncio.sleep(0)
        return (number(a) + number(b),)

    async def async_refuse(self: Any, n: int) -> tuple[int]:
        await asyncio.sleep(0)
        if number(n) % 5 == 4:
            raise LookupError(f"{n} is not welcome.")
        return (number(n),)

    async def async_choose(self: Any, which: int, even: int | None = None, odd: int | None = None) -> tuple[int]:
        await asyncio.sleep(0)
        return (number(odd if number(which) % 2 else even),)

    async def asked_for_choice(self: Any, which: int, even: int | None = None, odd: int | None = None) -> list[str]:
        await asyncio.sleep(0)
        return ["odd" if number(which) % 2 else "even"]

    switch = {"which": INT, "even": LAZY_INT, "odd": LAZY_INT}
    return [
        node("AsyncNumber", async_number, {"value": INT}),
        node("AsyncAdd", async_add, {"a": INT}, optional={"b": INT}),
        node("AsyncRefuse", async_refuse, {"n": INT}),
        node("AsyncSwitch", async_choose, switch, check_lazy_status=asked_for_choice),
    ]


def expanding_classes() -> list[NodeClass]:
    """Nodes that stand for a graph made while they run."""

    def prefix(me: str) -> str:
        context = get_executing_context()
        return f"{me}.{context.list_index if context else 0}."

    def expand(self: Any, n: int, link: Any) -> dict[str, Any]:
        graph = GraphBuilder()
        total = graph.node("Total", id="sum", values=link)
        both = graph.node("Add", a=total.out(0), b=number(n))
        return {"result": (both.out(0),), "expand": graph.finalize()}

    def expand_pair(self: Any, n: int, me: str) -> dict[str, Any]:
        at = prefix(me)
        graph = {at + "pair": made("Pair", n=number(n)), at + "where": made("Where", n=number(n))}
        return {"result": ([at + "pair", 0], [at + "where", -1], number(n)), "expand": graph}

    def countdown(self: Any, n: int, so_far: int, me: str) -> Any:
        left, at = number(n) % 4, prefix(me)
        if left == 0:
            return (number(so_far),)
        graph = {
            at + "add": made("Add", a=number(so_far), b=left),
            at + "next": made("Countdown", n=left - 1, so_far=[at + "add", 0]),
        }
        return {"result": ([at + "next", 0],), "expand": graph}

    def expand_odd(self: Any, n: int, me: str) -> Any:
        at = prefix(me)
        if number(n) % 2 == 0:
            return (number(n), f"even {n}")
        graph = {at + "pair": made("Pair", n=number(n))}
        return {"result": ([at + "pair", 0], [at + "pair", 1]), "expand": graph}

    def expand_with_output(self: Any, n: int, me: str) -> dict[str, Any]:
        at = prefix(me)
        graph = {
            at + "number": made("Refuse", n=number(n)),
            at + "show": made("Show", n=[at + "number", 0]),
            at + "unneeded": made("Refuse", n=4),
        }
        return {"result": (number(n),), "expand": graph, "ui": {"expanding": [number(n)]}}

    async def async_expand(self: Any, n: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        graph = GraphBuilder()
        source = graph.node("AsyncNumber", value=number(n))
        inner = graph.node("ExpandOdd", n=source.out(0))
        return {"result": (inner.out(0),), "expand": graph.finalize()}

    me = {"me": "UNIQUE_ID"}
    return [
        node("Expand", expand, {"n": INT, "link": RAW_INT}),
        node("ExpandPair", expand_pair, {"n": INT}, ("INT", "STRING", "INT"), hidden=me),
        node("Countdown", countdown, {"n": INT, "so_far": INT}, hidden=me),
        node("ExpandOdd", expand_odd, {"n": INT}, ("INT", "STRING"), hidden=me),
        node("ExpandWithOutput", expand_with_output, {"n": INT}, hidden=me),
        node("AsyncExpand", async_expand, {"n": INT}),
    ]


def made(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
