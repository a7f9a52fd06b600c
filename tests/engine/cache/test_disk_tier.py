"""What survives a restart of the kernel, and what does not (docs/semantics.md, "Tiers and policies")."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.engine.cache.classes import INT, NAN, choosing, marked, one
from tests.engine.cache.making import on_disk
from tests.engine.support import Pack, made, ran

pytestmark = pytest.mark.usefixtures("arithmetic")


@pytest.mark.usefixtures("all_worth_disk")
async def test_the_disk_tier_survives_a_restart(pack: Pack, tmp_path: Path) -> None:
    pack.node("Zeros", lambda self, n: (torch.full((n,), 2.0), {"n": n}), {"n": INT}, ("TENSOR", "DICT"))
    await on_disk(tmp_path, pack.graph(one("Zeros", n=3)))
    run = await on_disk(tmp_path, pack.graph({"other id": made("Zeros", n=3)}))
    assert ran(run) == []
    assert run.why("other id") == "from an earlier run, on disk"
    tensor, value = run["other id"]
    assert tensor.tolist() == [2.0, 2.0, 2.0]
    assert value == {"n": 3}


@pytest.mark.usefixtures("all_worth_disk")
async def test_output_nodes_are_never_taken_from_disk(pack: Pack, tmp_path: Path) -> None:
    prompt = {"1": made("Number", n=1), "2": made("Show", n=["1", 0])}
    await on_disk(tmp_path, pack.graph(prompt))
    assert ran(await on_disk(tmp_path, pack.graph(prompt))) == ["2"]


async def test_what_is_computed_faster_than_it_is_read_is_not_written_to_disk(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfy_nb.engine.cache.store.WORTH_DISK_S", 60.0)
    await on_disk(tmp_path, pack.graph(one()))
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.usefixtures("all_worth_disk")
async def test_nodes_bound_to_their_id_are_not_written_to_disk(pack: Pack, tmp_path: Path) -> None:
    pack.node("Bound", lambda self, n: (n,), {"n": INT}, NOT_IDEMPOTENT=True)
    await on_disk(tmp_path, pack.graph(one("Bound")))
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.usefixtures("all_worth_disk")
async def test_always_run_nodes_and_what_is_below_them_are_not_written_to_disk(pack: Pack, tmp_path: Path) -> None:
    marked(pack, lambda cls, n: NAN)
    await on_disk(tmp_path, pack.graph({**one("Marked"), "2": made("Number", n=["1", 0])}))
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.usefixtures("all_worth_disk")
async def test_a_lazy_node_survives_a_restart_though_it_is_asked_again(pack: Pack, tmp_path: Path) -> None:
    choosing(pack)
    prompt = {"1": made("Number", n=1), "2": made("Choose", which=0, even=["1", 0], odd=["1", 0])}
    await on_disk(tmp_path, pack.graph(prompt))
    run = await on_disk(tmp_path, pack.graph(prompt))
    assert run["2"] == 1
    assert "1" not in ran(run)
