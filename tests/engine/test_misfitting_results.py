"""Results that do not fit what a class declares, and answers that ask for nothing, are named in a warning."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.support import Pack, listed, made, run_of
from tests.reference.classes import INT, LAZY_INT

pytestmark = pytest.mark.usefixtures("zoo")


async def warned(pack: Pack, prompt: dict[str, Any], *outputs: str) -> list[str]:
    """The warnings of a run."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        await run_of(pack, prompt, *outputs)
    return [str(each.message) for each in caught if issubclass(each.category, nb.ComfyNBWarning)]


async def test_too_few_results_name_the_node_and_the_outputs_that_are_missing(pack: Pack) -> None:
    pack.node("Short", lambda self: ("a",), None, ("STRING", "INT", "FLOAT"), RETURN_NAMES=("text", "size", "share"))
    prompt = {"7": {**made("Short"), "_meta": {"title": "Read it"}}}
    (message,) = await warned(pack, prompt)
    assert message == (
        '"Read it" (node 7, Short): it returned 1 value for 3 outputs: '
        "'size', 'share' are missing, and None for the nodes below."
    )


async def test_too_many_results_warn_once_a_run_and_not_once_an_item(pack: Pack) -> None:
    pack.node("Long", lambda self, n: (n, n), {"n": INT})
    prompt = {"1": listed(1, 2, 3), "2": made("Long", n=["1", 0])}
    (message,) = await warned(pack, prompt)
    assert message == ("Long (node 2): it returned 2 values for 1 output (INT); nothing can be linked to the rest.")


async def test_the_warning_comes_again_when_the_node_runs_again(pack: Pack) -> None:
    pack.node("Short", lambda self, n: (n,), {"n": INT}, ("INT", "INT"))
    assert len(await warned(pack, {"1": made("Short", n=1)})) == 1
    assert len(await warned(pack, {"1": made("Short", n=2)})) == 1


@pytest.mark.parametrize("returned", [{"ui": {"a": [1]}}, {"result": (1,)}, {"result": (1,), "ui": {}}, [1], ()])
async def test_every_form_of_a_result_is_counted(pack: Pack, returned: Any) -> None:
    pack.node("Short", lambda self: returned, None, ("INT", "INT"))
    (message,) = await warned(pack, {"1": made("Short")})
    assert "missing" in message


async def test_the_result_of_an_expansion_is_counted(pack: Pack) -> None:
    pack.node("Make", lambda self: {"result": (1,), "expand": {}}, None, ("INT", "INT"))
    (message,) = await warned(pack, {"1": made("Make")})
    assert "it returned 1 value for 2 outputs: 'INT' is missing" in message


async def test_outputs_that_output_is_list_leaves_out_are_named(pack: Pack) -> None:
    pack.node("Cut", lambda self: ([1], 2), None, ("INT", "INT"), RETURN_NAMES=("a", "b"), OUTPUT_IS_LIST=(True,))
    (message,) = await warned(pack, {"1": made("Cut")})
    assert message == (
        "Cut (node 1): its OUTPUT_IS_LIST has 1 entries for 2 outputs: 'b' is missing, and None for the nodes below."
    )


class AnyOutputs(tuple[str, ...]):
    """Types of as many outputs as a class returns."""

    def __getitem__(self, index: Any) -> Any:
        return "INT"


async def test_what_fits_or_may_be_anything_is_not_warned_of(pack: Pack) -> None:
    pack.node("Open", lambda self: (1, 2, 3), None, AnyOutputs(["INT"]))
    pack.node("Shown", lambda self: {"ui": {"a": [1]}}, None, ("INT",), OUTPUT_NODE=True)
    pack.node("Blocked", lambda self: nb.ExecutionBlocker(None), None, ("INT", "INT"))
    pack.node("Bare", lambda self: 3)
    prompt = {str(number): made(name) for number, name in enumerate(("Open", "Shown", "Blocked", "Bare"))}
    assert await warned(pack, prompt, *prompt) == []


@pytest.mark.parametrize(
    ("answer", "advice"), [("n", "['n']"), (("n",), "a list of names"), ({"n"}, "a list of names")]
)
async def test_an_answer_of_check_lazy_status_that_is_no_list_is_named(pack: Pack, answer: Any, advice: str) -> None:
    pack.node("Pick", lambda self, n=None: (n,), {"n": LAZY_INT}, check_lazy_status=lambda self, n=None: answer)
    (message,) = await warned(pack, {"1": listed(1), "2": made("Pick", n=["1", 0])})
    assert message.startswith("Pick (node 2): its check_lazy_status returned ")
    assert message.endswith(f"which asks for nothing. Return {advice}.")


async def test_a_check_that_returns_nothing_asks_for_nothing(pack: Pack) -> None:
    pack.node("Pick", lambda self, n=None: (n,), {"n": LAZY_INT}, check_lazy_status=lambda self, n=None: None)
    assert await warned(pack, {"1": listed(1), "2": made("Pick", n=["1", 0])}) == []


MISSING = "Short (node 1): it returned 1 value for 2 outputs: 'INT' is missing, and None for the nodes below."


async def test_a_run_from_the_cache_says_it_again_also_where_only_a_node_below_is_looked_up(pack: Pack) -> None:
    pack.node("Short", lambda self, n: (n,), {"n": INT}, ("INT", "INT"))
    prompt = {"1": made("Short", n=1), "2": made("Add", a=["1", 0]), "3": made("Keep", n=["2", 0])}
    for _ in range(3):
        assert await warned(pack, prompt) == [MISSING]
    assert await warned(pack, prompt, "1") == [MISSING]
    assert pack.calls["Short"] == 1


async def test_it_is_said_of_the_nodes_of_this_run_and_not_of_others(pack: Pack) -> None:
    pack.node("Short", lambda self, n: (n,), {"n": INT}, ("INT", "INT"))
    await warned(pack, {"7": made("Short", n=1)})
    prompt = {"1": made("Short", n=1), "2": made("Keep", n=["1", 0]), "3": made("Keep", n=5)}
    assert await warned(pack, prompt, "3") == []
    assert await warned(pack, prompt) == [MISSING]
    assert await warned(pack, prompt, "3") == []
    assert pack.calls["Short"] == 1


async def test_a_bad_answer_of_check_lazy_status_is_said_again_too(pack: Pack) -> None:
    pack.node("Pick", lambda self, n=None: (7,), {"n": LAZY_INT}, check_lazy_status=lambda self, n=None: "n")
    prompt = {"1": listed(1), "2": made("Pick", n=["1", 0]), "3": made("Keep", n=["2", 0])}
    first, second = await warned(pack, prompt), await warned(pack, prompt)
    assert len(first) == 1
    assert first == second
    assert pack.calls["Pick"] == 1


async def test_what_is_said_of_a_node_of_an_expansion_is_said_again(pack: Pack) -> None:
    def expands(self: Any, n: int) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Short", id="short", n=4).out(0),), "expand": graph.finalize()}

    pack.node("Short", lambda self, n: (n,), {"n": INT}, ("INT", "INT"))
    pack.node("Make", expands, {"n": INT})
    graphs = [{"1": made("Make", n=n), "2": made("Keep", n=["1", 0])} for n in (1, 1, 2, 2)]
    for prompt in graphs:  # computed, cached, expanded anew into a cached node, cached
        assert await warned(pack, prompt) == [MISSING.replace("node 1", "node 1.0.0.short")]
    assert pack.calls["Short"] == 1


async def test_it_is_said_when_another_node_fails_too(pack: Pack) -> None:
    pack.node("Short", lambda self, n: (n,), {"n": INT}, ("INT", "INT"))
    await warned(pack, {"1": made("Short", n=1)})
    prompt = {"1": made("Short", n=1), "2": made("Refuse", n=4), "3": made("Add", a=["1", 0], b=["2", 0])}
    with pytest.warns(nb.ComfyNBWarning, match="it returned 1 value"), pytest.raises(nb.NodeError):
        await run_of(pack, prompt)


async def test_an_input_changed_in_place_is_warned_of_each_time(pack: Pack) -> None:
    pack.node("List", lambda self, n: ([n],), {"n": INT}, ("LIST",))
    pack.node("Append", lambda self, values: (values.append(1),), {"values": ("LIST", {})})
    for number in (1, 2):
        prompt = {"1": made("List", n=number), "2": made("Append", values=["1", 0])}
        assert len(await warned(pack, prompt)) == 1


async def test_a_handle_that_a_node_returns_is_named_as_one() -> None:
    @nb.node
    def three_by_handle() -> int:
        return 3

    @nb.node
    def forgets_to_await():
        return three_by_handle()

    for _ in range(2):  # from the cache too
        with pytest.warns(nb.ComfyNBWarning, match=r"node 1.*returned a handle, which has no value"):
            await forgets_to_await()


async def test_a_handle_that_a_node_of_a_pack_returns_is_named_too(pack: Pack) -> None:
    @nb.node
    def three_by_handle() -> int:
        return 3

    handle = three_by_handle()
    pack.node("Forgets", lambda self: (handle,), None, ("MODEL",))
    with pytest.warns(nb.ComfyNBWarning, match=r"node 1.*returned a handle, which has no value"):
        await run_of(pack, {"1": made("Forgets")})
