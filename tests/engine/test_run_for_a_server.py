"""What a server that answers ComfyUI's clients asks of a run."""

from __future__ import annotations

import uuid

import pytest

import comfy_nb as nb
from comfy_nb.engine.node_api.graph_builder import GraphBuilder
from tests.engine.support import Pack, made
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")


async def test_the_verdict_says_which_outputs_run_and_what_is_wrong_with_the_others(pack: Pack) -> None:
    graph = pack.graph({"1": made("Number", value=1), "2": made("Show", n=["1", 0]), "3": made("Show", n=["9", 0])})
    job = graph.start()
    assert job.run.validity is None
    with pytest.raises(nb.ValidationError):
        await job
    assert job.run.validity is not None
    assert job.run.validity.runnable_outputs == ["2"]
    assert list(job.run.validity.node_errors) == ["3"]


async def test_the_ids_of_cached_nodes_are_those_of_the_whole_graph(pack: Pack) -> None:
    graph = pack.graph({"1": made("Number", value=1), "2": made("Add", a=["1", 0], b=1), "3": made("Add", a=5, b=1)})
    await graph.run(["2"])
    run = await graph.run(["2"])
    assert run.node_run("1") is None  # the second run did not need it
    assert run.cached_ids() == ["1", "2"]


async def test_the_nodes_of_an_expansion_have_parents_and_real_ids(pack: Pack) -> None:
    def grow(self: object, n: int) -> dict[str, object]:
        builder = GraphBuilder()
        inner = builder.node("Add", a=n, b=1)
        return {"result": (inner.out(0),), "expand": builder.finalize()}

    pack.node("Grow", grow, {"n": INT})
    run = await pack.graph({"4": made("Grow", n=1), "5": made("Show", n=["4", 0])}).run()
    (inner,) = run.dynamic_prompt.all_node_ids() - {"4", "5"}
    assert run.dynamic_prompt.get_parent_node_id(inner) == "4"
    assert run.dynamic_prompt.get_real_node_id(inner) == "4"
    assert run.dynamic_prompt.get_parent_node_id("4") is None


async def test_two_loads_of_one_prompt_that_share_a_scope_share_what_is_bound_to_ids(pack: Pack) -> None:
    def count(self: object, n: int, uid: str) -> tuple[int]:
        self.calls = getattr(self, "calls", 0) + 1  # type: ignore[attr-defined]
        return (self.calls,)  # type: ignore[attr-defined]

    pack.node("Counts", count, {"n": INT}, hidden={"uid": "UNIQUE_ID"})
    prompt = {"1": made("Counts", n=1)}
    first = pack.graph(prompt)
    again = nb.load(prompt, first.registry, first.scope)
    alone = nb.load(prompt, first.registry)
    assert (await first.run(["1"]))["1"] == 1
    run = await again.run(["1"])
    assert run["1"] == 1 and run.counts == {"memory": 1}
    assert (await alone.run(["1"])).counts == {"ran": 1}


async def test_a_run_has_a_canonical_uuid_unless_another_id_is_given(pack: Pack) -> None:
    graph = pack.graph({"1": made("Number", value=1)})
    run = await graph.run()
    assert run.id == str(uuid.UUID(run.id))
    assert (await graph.run(run_id="mine")).id == "mine"
