"""Input from careless people and broken packs: it works or is explained, and nothing ever hangs."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import threading
from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.support import Outside, Pack, made


def echo(self: Any, value: Any = None) -> tuple[Any]:
    return (value,)


@pytest.mark.parametrize("links", [{"1": "1"}, {"1": "3", "2": "1", "3": "2"}])
def test_a_graph_that_is_a_cycle_is_refused(pack: Pack, links: dict[str, str]):
    pack.node("Echo", echo, {"value": ("*",)}, ("*",))
    graph = pack.graph({node_id: made("Echo", value=[origin, 0]) for node_id, origin in links.items()})
    with pytest.raises(nb.ValidationError, match="Dependency cycle detected"):
        graph.run_sync()


def test_inputs_that_are_replaced_by_a_dict_are_still_watched(pack: Pack):
    pack.node("Echo", echo, {"value": ("INT",)}, ("INT",))
    graph = pack.graph({"1": made("Echo", value=1)})
    graph.run_sync()
    graph["1"].inputs = {"value": 2}
    assert graph.run_sync()["1"] == 2
    graph["1"].inputs["value"] = 3
    assert graph.run_sync()["1"] == 3


async def test_a_lazy_input_that_the_check_saw_is_passed_to_the_node(pack: Pack):
    """Its value is there by chance, and is released when its other users are done, before the node is called."""
    world = Outside(checking=threading.Event(), released=threading.Event())

    async def use(self: Any, x: int) -> tuple[int]:
        await asyncio.to_thread(world.checking.wait, 5)
        return (x,)

    async def notify(self: Any, x: int) -> tuple[int]:
        world.released.set()
        return (x,)

    def check(self: Any, a: int, b: int | None = None) -> list[str]:
        if b is not None:
            world.checking.set()
            world.released.wait(5)
        return ["b"] if b is None else []

    declared = {"a": ("INT", {}), "b": ("INT", {"lazy": True})}
    pack.node("X", lambda self: (7,), {})
    pack.node("Y", lambda self, x: (x + 1,), {"x": ("INT", {})})
    pack.node("Use", use, {"x": ("INT", {})})
    pack.node("Notify", notify, {"x": ("INT", {})})
    pack.node("Lazy", lambda self, a, b=None: ((a, b),), declared, ("*",), check_lazy_status=check)
    prompt = {"x": made("X"), "y": made("Y", x=["x", 0]), "lazy": made("Lazy", a=["y", 0], b=["x", 0])}
    prompt |= {"use": made("Use", x=["x", 0]), "notify": made("Notify", x=["use", 0])}
    run = await asyncio.wait_for(pack.graph(prompt).run(["lazy", "notify"]), 10)
    assert world.released.is_set()
    assert run["lazy"] == (8, 7)


@pytest.mark.long
def test_a_value_nested_a_hundred_thousand_deep_is_returned_in_little_memory(pack: Pack):
    def nest(self: Any) -> tuple[Any]:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        return (deep,)

    pack.node("Deep", nest, {}, ("*",))
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, limit[1]))
    try:
        value = pack.graph({"1": made("Deep")}).run_sync()["1"]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    depth = 0
    while value:
        value, depth = value[0], depth + 1
    assert depth == 100_000


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("RETURN_TYPES", 5, "Broken.RETURN_TYPES must be a tuple, not 5"),
        ("RETURN_NAMES", 5, "Broken.RETURN_NAMES must be a tuple, not 5"),
        ("OUTPUT_IS_LIST", 5, "Broken.OUTPUT_IS_LIST must be a tuple, not 5"),
    ],
)
def test_a_class_attribute_of_a_wrong_type_is_named(pack: Pack, attribute: str, value: Any, message: str):
    with pytest.raises(nb.SpecError, match=message):
        pack.node("Broken", echo, {}, **({"returns": value} if attribute == "RETURN_TYPES" else {attribute: value}))


def test_a_description_that_is_not_text_is_shown_as_text(pack: Pack):
    pack.node("Odd", echo, {}, ("*",), DESCRIPTION=5)
    assert pack.registry.find("Odd").description == "5"


@pytest.mark.parametrize(
    ("declared", "message"), [({"required": 5}, "expected a dict by name"), ({"required": {"value": (5,)}}, "'value'")]
)
def test_inputs_with_a_wrong_declaration_are_named(pack: Pack, declared: dict[str, Any], message: str):
    cls = pack.node("Broken", echo, {}, ("*",))
    cls.INPUT_TYPES = classmethod(lambda cls: declared)
    with pytest.raises(nb.ValidationError, match=message):
        pack.graph({"1": made("Broken", value=1)}).run_sync()


@pytest.mark.parametrize("graph", [[], 5, {"x": 5}, {"x": {"class_type": "Echo", "inputs": 5}}])
def test_an_expansion_that_is_not_a_graph_is_refused(pack: Pack, graph: Any):
    pack.node("Expands", lambda self: {"result": (["x", 0],), "expand": graph}, {}, ("*",))
    pack.node("Echo", echo, {"value": ("*",)}, ("*",))
    with pytest.raises(nb.NodeError, match="expan.*GraphBuilder"):
        pack.graph({"1": made("Expands")}).run_sync()


def test_an_annotation_that_is_not_python_is_named():
    def broken(x: Any) -> Any:
        return x

    broken.__annotations__["x"] = "list["
    with pytest.raises(nb.SpecError, match="broken: an annotation cannot be read"):
        nb.node(broken)


FORK = """
import os, signal
import comfy_nb as nb

@nb.node
def add(x: int = 0) -> int:
    return x + 1

print(add(1).run_sync(), flush=True)
child = os.fork()
if not child:
    signal.alarm(20)
    print(add(1).run_sync(), add(2).run_sync(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_runs_graphs_too():
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["2", "2", "3"], done.stderr


@pytest.mark.process
def test_a_reader_that_has_enough_ends_the_command_quietly():
    command = subprocess.Popen(
        [sys.executable, "-m", "comfy_nb", "nodes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == ""
    command.wait(60)
    command.stderr.close()
