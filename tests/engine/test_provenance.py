"""A session remembers where the values that its runs returned came from."""

from __future__ import annotations

import gc
from functools import partial

import torch

from comfy_nb.engine.provenance import ProvenanceIndex
from comfy_nb.engine.session import Session
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.hints import Image, Latent
from comfy_nb.spec.registry import Registry


def paper() -> Image:
    return torch.zeros(1, 4, 4, 3)


def noise() -> Latent:
    return {"samples": torch.zeros(1, 4, 2, 2)}


async def run_of(session: Session, function):
    registry = Registry()
    registry.register(spec_from_function(function))
    return await session.run(Graph.from_prompt({"7": {"class_type": function.__name__, "inputs": {}}}, registry), ["7"])


async def test_a_value_is_recognised_with_the_node_that_made_it():
    session = Session()
    value = (await run_of(session, paper))["7"]
    provenance = session.provenance.of(value)
    assert (provenance.node_id, provenance.slot, provenance.socket, provenance.source) == ("7", 0, "IMAGE", "ran")
    assert "(node 7" in provenance.describe() and "computed in" in provenance.describe()
    assert session.provenance.of(value.clone()) is None


async def test_a_dict_is_known_by_its_tensor():
    session = Session()
    value = (await run_of(session, noise))["7"]
    assert session.provenance.of(dict(value)).socket == "LATENT"
    assert session.provenance.of({"samples": torch.zeros(1)}) is None


async def test_a_second_run_names_the_cache():
    session = Session()
    first = (await run_of(session, paper))["7"]
    assert (await run_of(session, paper))["7"] is first
    assert "from the cache in memory" in session.provenance.of(first).describe()


async def test_nothing_is_remembered_of_what_is_gone():
    session = Session()
    run = await run_of(session, paper)
    index = ProvenanceIndex()
    value = torch.zeros(2)
    index.record(value, partial(run.provenance, "7", 0))
    assert len(index._known) == 1
    del value
    gc.collect()
    assert not index._known
