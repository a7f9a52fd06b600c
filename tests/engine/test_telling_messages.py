"""Messages say what a person would otherwise have to know, and warnings say it in each run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.node_api.context import warn_in_call
from tests.engine.support import Pack, failure_of, made
from tests.reference.classes import INT, STRING

pytestmark = pytest.mark.usefixtures("zoo")


@pytest.mark.parametrize(
    "step",
    [
        lambda weight: (weight * 2).sum().backward(),
        lambda weight: torch.autograd.grad((weight * 2).sum(), weight),
        lambda weight: (weight * 2).register_hook(print),
        lambda weight: (weight * 2).retain_grad(),
    ],
    ids=["backward", "grad", "hook", "retain"],
)
async def test_a_missing_gradient_names_the_option_that_switches_gradients_on(step: Any) -> None:
    @nb.node
    def train() -> float:
        weight = torch.ones(2, requires_grad=True)
        step(weight)
        return 1.0

    with pytest.raises(nb.NodeError, match=r"nodes run without gradients; write @nb.node\(grad=True\)"):
        await train()


async def test_with_gradients_on_torch_speaks_for_itself() -> None:
    @nb.node(grad=True)
    def train() -> None:
        torch.ones(2).sum().backward()

    with pytest.raises(nb.NodeError, match="does not require grad") as caught:
        await train()
    assert "nodes run without" not in str(caught.value)


async def test_other_errors_say_nothing_of_gradients() -> None:
    @nb.node
    def broken() -> None:
        torch.ones(2) @ torch.ones(3)

    with pytest.raises(nb.NodeError) as caught:
        await broken()
    assert "gradients" not in str(caught.value)


async def test_a_class_is_told_to_switch_them_on_in_its_code(pack: Pack) -> None:
    def train(self: Any) -> None:
        torch.ones(2, requires_grad=True).sum().backward()

    pack.node("Train", train)
    assert "with torch.enable_grad()" in str(await failure_of(pack, {"1": made("Train")}))


def validating(pack: Pack, required: list[str], **traits: Any) -> None:
    def validate(**inputs: Any) -> bool:
        return all(value.split(":") for value in inputs.values())

    def named(aspect: Any = "1:1", size: Any = "2:2") -> bool:
        return validate(aspect=aspect, size=size)

    declared = dict.fromkeys(required, STRING)
    pack.node(
        "Frame", lambda self, **_: (1,), declared, VALIDATE_INPUTS=staticmethod(named), OUTPUT_NODE=True, **traits
    )
    pack.node("Text", lambda self: ("1:1",), None, ("STRING",))


async def test_a_linked_input_is_named_when_validate_inputs_raises(pack: Pack) -> None:
    validating(pack, ["aspect", "size"])
    prompt = {"1": made("Text"), "2": made("Frame", aspect=["1", 0], size="2:2")}
    with pytest.raises(nb.ValidationError, match="aspect is linked, so it is None while validating") as caught:
        await pack.graph(prompt).run()
    assert caught.value.problems[0].details == "AttributeError: 'NoneType' object has no attribute 'split'"


async def test_several_linked_inputs_are_named_together(pack: Pack) -> None:
    validating(pack, ["aspect", "size"])
    prompt = {"1": made("Text"), "2": made("Frame", aspect=["1", 0], size=["1", 0])}
    with pytest.raises(nb.ValidationError, match="aspect and size are linked, so they are None while validating"):
        await pack.graph(prompt).run()


async def test_without_a_linked_input_nothing_is_said_of_links(pack: Pack) -> None:
    validating(pack, ["aspect", "size"], INPUT_IS_LIST=True)  # lists have no split()
    with pytest.raises(nb.ValidationError) as caught:
        await pack.graph({"2": made("Frame", aspect="1:1", size="2:2")}).run()
    assert "linked" not in str(caught.value)


async def test_a_linked_input_is_named_when_a_fingerprint_raises(pack: Pack) -> None:
    pack.node("Text", lambda self: ("a",), None, ("STRING",))
    changed = {"IS_CHANGED": classmethod(lambda cls, path: path.upper())}
    pack.node("Read", lambda self, path: (path,), {"path": STRING}, ("STRING",), **changed)
    with pytest.warns(nb.ComfyNBWarning, match="path is linked, so it is None while its fingerprint is taken"):
        await pack.graph({"1": made("Text"), "2": made("Read", path=["1", 0])}).run()


# Warnings -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The warnings so far, as a person sees them who has switched no filter: by default, Python tells each once."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: found.append(str(message))
        yield found


async def test_a_result_that_was_changed_in_place_is_warned_of_in_each_run(pack: Pack, told: list[str]) -> None:
    pack.node("Bag", lambda self: ([1],), None, ("LIST",))
    graph = pack.graph({"1": made("Bag")})
    for _ in range(3):
        (await graph.run())["1"].append(2)
    assert len(told) == 2
    assert "Bag (node 1) was changed in place after it was computed" in told[0]


async def test_what_a_node_warns_of_itself_is_said_in_each_run(pack: Pack, told: list[str]) -> None:
    pack.node("Careful", lambda self, n: (warn_in_call("it is late") or n,), {"n": INT})
    for number in (1, 2):
        await pack.graph({"1": made("Careful", n=number)}).run()
    assert told == ["Careful (node 1): it is late"] * 2


async def test_an_id_that_an_expansion_takes_again_is_warned_of_in_each_run(pack: Pack, told: list[str]) -> None:
    expands = {"result": (["1", 0],), "expand": {"1": made("Number", value=5)}}
    pack.node("Make", lambda self: expands, NOT_IDEMPOTENT=True)
    for _ in range(2):
        await pack.graph({"1": made("Number", value=1), "2": made("Make")}).run()
    assert len(told) == 2
    assert "expands into a node '1', which exists already" in told[0]
