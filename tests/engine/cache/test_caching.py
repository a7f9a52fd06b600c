"""Caching: what is used again and what runs anew, line by line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.image_files import PreviewImage
from tests.engine.support import Outside, Pack, made, ran

INT = ("INT", {})
NAN = float("nan")


@pytest.fixture(autouse=True)
def arithmetic(pack: Pack) -> None:
    """Number(n), Add(a, b) and Show(n), an output node that reports what it shows."""
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Add", lambda self, a, b: (a + b,), {"a": INT, "b": INT})
    pack.node("Show", lambda self, n: {"ui": {"shown": [n]}, "result": (n,)}, {"n": INT}, OUTPUT_NODE=True)


def choosing(pack: Pack) -> None:
    """Register Choose(which, even, odd), which asks for one of its two lazy inputs."""

    def choose(self: Any, which: int, even: Any = None, odd: Any = None) -> tuple[Any]:
        return (odd if which % 2 else even,)

    def ask(self: Any, which: int, even: Any = None, odd: Any = None) -> list[str]:
        return ["odd" if which % 2 else "even"]

    lazy = {"which": INT, "even": ("INT", {"lazy": True}), "odd": ("INT", {"lazy": True})}
    pack.node("Choose", choose, lazy, check_lazy_status=ask)


def marked(pack: Pack, fingerprint: Callable[..., Any], **declared: Any) -> None:
    """Register Marked(n), with this IS_CHANGED."""
    traits = {"IS_CHANGED": classmethod(fingerprint), **declared}
    pack.node("Marked", lambda self, n: (n,), {"n": INT}, **traits)


def one(class_type: str = "Number", **inputs: Any) -> dict[str, Any]:
    return {"1": made(class_type, **(inputs or {"n": 1}))}


# By structure


async def test_a_node_is_used_again_by_what_it_is_and_not_by_its_id(pack: Pack) -> None:
    first = {"1": made("Number", n=1), "2": made("Add", a=["1", 0], b=2)}
    renamed = {"sum": made("Add", b=2, a=["x", 0]), "x": made("Number", n=1)}
    await pack.graph(first).run()
    run = await pack.graph(renamed).run()
    assert ran(run) == []
    assert run["sum"] == 3


async def test_another_constant_class_slot_or_input_name_is_another_node(pack: Pack) -> None:
    pack.node("Pair", lambda self: (1, 2), {}, ("INT", "INT"))
    pack.node("Twin", lambda self, n: (n,), {"n": INT})
    prompt = {"1": made("Pair"), "2": made("Number", n=["1", 0])}
    await pack.graph(prompt).run()
    assert ran(await pack.graph({**prompt, "2": made("Number", n=["1", 1])}).run()) == ["2"]
    assert ran(await pack.graph({**prompt, "2": made("Twin", n=["1", 0])}).run()) == ["2"]
    assert ran(await pack.graph({**prompt, "2": made("Number", n=7)}).run()) == ["2"]


async def test_one_and_true_and_one_point_zero_are_different_constants(pack: Pack) -> None:
    pack.node("Any", lambda self, v: (repr(v),), {"v": ("*",)}, ("STRING",))
    values = [(await pack.graph(one("Any", v=value)).run())["1"] for value in (1, True, 1.0, "1")]
    assert values == ["1", "True", "1.0", "'1'"]


async def test_a_changed_ancestor_changes_all_below_it_and_nothing_beside(pack: Pack) -> None:
    graph = pack.graph(
        {
            "1": made("Number", n=1),
            "2": made("Number", n=2),
            "3": made("Add", a=["1", 0], b=1),
            "4": made("Add", a=["2", 0], b=1),
            "5": made("Add", a=["3", 0], b=["4", 0]),
        }
    )
    await graph.run()
    graph["1"].inputs["n"] = 10
    assert ran(await graph.run()) == ["1", "3", "5"]


async def test_entries_are_shared_between_graphs_and_handles(pack: Pack) -> None:
    await pack.graph({"9": made("Number", n=1), "8": made("Add", a=["9", 0], b=2)}).run()
    nodes = nb.graph.namespace.Nodes(lambda: pack.registry)
    assert await nodes.Add(nodes.Number(1), 2) == 3
    assert pack.calls == {"Number": 1, "Add": 1}


# IS_CHANGED


async def test_is_changed_is_taken_once_for_each_needed_node_with_constants_only(pack: Pack) -> None:
    seen: list[Any] = []

    def fingerprint(cls: Any, n: Any) -> int:
        seen.append(n)
        return 0

    marked(pack, fingerprint)
    graph = pack.graph(
        {
            "1": made("Number", n=1),
            "2": made("Marked", n=["1", 0]),
            "3": made("Show", n=["2", 0]),
            "4": made("Show", n=["2", 0]),
            "5": made("Marked", n=5),
        }
    )
    await graph.run()
    assert seen == [None]


async def test_the_same_fingerprint_is_used_again_and_another_one_runs(pack: Pack) -> None:
    file = Outside(digest="a")
    marked(pack, lambda cls, n: file.digest)
    graph = pack.graph(one("Marked"))
    await graph.run()
    assert ran(await graph.run()) == []
    file.digest = "b"
    run = await graph.run()
    assert ran(run) == ["1"]
    assert run.why("1") == "its fingerprint changed"
    assert ran(await pack.graph(one("Marked")).run()) == []


@pytest.mark.parametrize("mark", [NAN, [NAN], (1, NAN)])
async def test_a_fingerprint_not_equal_to_itself_means_always(pack: Pack, mark: Any) -> None:
    marked(pack, lambda cls, n: mark)
    graph = pack.graph({**one("Marked"), "2": made("Show", n=["1", 0])})
    for _ in range(3):
        run = await graph.run()
        assert ran(run) == ["1", "2"]
        assert run.why("1") == "fingerprint said always"


async def test_an_exception_in_is_changed_means_always_and_a_warning(pack: Pack) -> None:
    def fingerprint(cls: Any, n: Any) -> int:
        raise OSError("no such file")

    marked(pack, fingerprint)
    graph = pack.graph(one("Marked"))
    for _ in range(2):
        with pytest.warns(nb.ComfyNBWarning, match=r"Marked \(node 1\).*OSError: no such file.*every time"):
            assert ran(await graph.run()) == ["1"]


async def test_is_changed_may_be_async(pack: Pack) -> None:
    async def fingerprint(cls: Any, n: Any) -> int:
        await asyncio.sleep(0)
        return n

    marked(pack, fingerprint)
    graph = pack.graph(one("Marked"))
    await graph.run()
    assert ran(await graph.run()) == []


async def test_is_changed_that_is_no_classmethod_is_called_on_the_class(pack: Pack) -> None:
    pack.node("Plain", lambda self, n: (n,), {"n": INT}, IS_CHANGED=lambda n: n)
    graph = pack.graph(one("Plain"))
    await graph.run()
    assert ran(await graph.run()) == []


async def test_the_fingerprint_is_written_into_the_runs_prompt(pack: Pack) -> None:
    marked(pack, lambda cls, n: "sha")
    run = await pack.graph(one("Marked")).run()
    assert run.prompt["1"]["is_changed"] == ["sha"]


async def test_a_submitted_is_changed_is_believed(pack: Pack) -> None:
    def fingerprint(cls: Any, n: Any) -> int:
        raise AssertionError("it was asked all the same")

    marked(pack, fingerprint)
    prompt = {"1": {**made("Marked", n=1), "is_changed": ["sha"]}}
    await pack.graph(prompt).run()
    run = await pack.graph(prompt).run()
    assert ran(run) == []
    assert run.prompt["1"]["is_changed"] == ["sha"]
    other = {"1": {**made("Marked", n=1), "is_changed": ["another"]}}
    assert ran(await pack.graph(other).run()) == ["1"]


async def test_a_submitted_is_changed_that_is_nan_means_always(pack: Pack) -> None:
    graph = pack.graph({"1": {**made("Number", n=1), "is_changed": NAN}})
    await graph.run()
    assert ran(await graph.run()) == ["1"]


# Bound to a node


@pytest.mark.parametrize(
    ("hidden", "traits"),
    [(None, {"NOT_IDEMPOTENT": True}), ({"me": "UNIQUE_ID"}, {})],
    ids=["not idempotent", "unique id"],
)
async def test_an_entry_is_bound_to_the_node_and_its_graph(pack: Pack, hidden: Any, traits: dict[str, Any]) -> None:
    pack.node("Bound", lambda self, n, me=None: (n,), {"n": INT}, hidden=hidden, **traits)
    graph = pack.graph({"1": made("Bound", n=1), "2": made("Bound", n=1)})
    assert sorted(ran(await graph.run())) == ["1", "2"]
    assert ran(await graph.run()) == []
    assert ran(await pack.graph(one("Bound")).run()) == ["1"]


# Lazy inputs


async def test_an_upstream_change_behind_an_unused_lazy_input_does_not_invalidate(pack: Pack) -> None:
    choosing(pack)
    graph = pack.graph(
        {
            "1": made("Number", n=1),
            "2": made("Number", n=2),
            "3": made("Choose", which=0, even=["1", 0], odd=["2", 0]),
            "4": made("Show", n=["3", 0]),
        }
    )
    assert ran(await graph.run()) == ["1", "3", "4"]
    graph["2"].inputs["n"] = 20
    assert ran(await graph.run()) == []
    graph["1"].inputs["n"] = 10
    run = await graph.run()
    assert ran(run) == ["1", "3", "4"]
    assert run["4"] == 10


async def test_a_lazy_choice_of_an_earlier_run_is_found_again(pack: Pack) -> None:
    choosing(pack)
    prompt = {
        "1": made("Number", n=1),
        "2": made("Number", n=2),
        "3": made("Choose", which=0, even=["1", 0], odd=["2", 0]),
    }
    graph = pack.graph(prompt)
    await graph.run()
    graph["3"].inputs["which"] = 1
    run = await graph.run()
    assert ran(run) == ["2", "3"]
    assert run["3"] == 2
    graph["3"].inputs["which"] = 0
    run = await graph.run()
    assert ran(run) == []
    assert run["3"] == 1


# Output nodes


async def test_a_cached_output_node_does_not_run_again_and_reports_its_ui_again(pack: Pack) -> None:
    graph = pack.graph(one("Show"))
    first = await graph.run()
    again = await graph.run()
    assert ran(again) == []
    assert first.ui == again.ui == {"1": {"shown": [1]}}


async def test_a_preview_whose_file_has_gone_runs_again(pack: Pack, tmp_path: Path) -> None:
    nb.register(PreviewImage, registry=pack.registry)
    graph = pack.graph({"1": made("PreviewImage", images=torch.zeros(1, 4, 4, 3))})
    with use_folders(Folders(tmp_path)) as folders:
        await graph.run()
        assert ran(await graph.run()) == []
        (written,) = folders.of("temp").rglob("*.png")
        written.unlink()
        run = await graph.run()
        assert ran(run) == ["1"]
        assert "gone" in run.why("1")
        assert len(list(folders.of("temp").rglob("*.png"))) == 1


# Failures and blockers


async def test_a_node_that_raised_is_not_cached_but_what_had_finished_is(pack: Pack) -> None:
    server = Outside(is_up=False)

    def fetch(self: Any, n: int) -> tuple[int]:
        if not server.is_up:
            raise ConnectionError("not now")
        return (n,)

    pack.node("Fetch", fetch, {"n": INT})
    graph = pack.graph({"1": made("Number", n=1), "2": made("Fetch", n=["1", 0])})
    with pytest.raises(nb.NodeError):
        await graph.run()
    server.is_up = True
    run = await graph.run()
    assert ran(run) == ["2"]
    assert pack.calls["Number"] == 1


async def test_two_nodes_that_fail_at_once_both_can_be_tried_again(pack: Pack) -> None:
    server = Outside(is_up=False, both=threading.Barrier(2))

    def fetch(self: Any, n: int) -> tuple[int]:
        if not server.is_up:
            server.both.wait()
            raise ConnectionError("not now")
        return (n,)

    pack.node("Fetch", fetch, {"n": INT}, THREAD_SAFE=True)
    graph = pack.graph({"1": made("Fetch", n=1), "2": made("Fetch", n=2)})
    with pytest.raises(nb.NodeError):
        await graph.run()
    server.is_up = True
    async with asyncio.timeout(30):
        assert sorted(ran(await graph.run())) == ["1", "2"]


async def test_a_node_that_was_blocked_is_cached(pack: Pack) -> None:
    pack.node("Block", lambda self: (nb.ExecutionBlocker(None),))
    graph = pack.graph({"1": made("Block"), "2": made("Add", a=["1", 0], b=1)})
    first = await graph.run()
    assert ran(first) == ["1", "2"]
    assert ran(await graph.run()) == []
    assert pack.calls == {"Block": 1}


# Expansions


async def test_unchanged_children_are_used_again_when_the_parent_runs_again(pack: Pack) -> None:
    def expand(self: Any, base: int, more: int) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        inner = builder.node("Number", n=base)
        total = builder.node("Add", a=inner.out(0), b=more)
        return {"expand": builder.finalize(), "result": (total.out(0),)}

    pack.node("Expand", expand, {"base": INT, "more": INT})
    graph = pack.graph(one("Expand", base=1, more=2))
    assert ran(await graph.run()) == ["1.0.0.1", "1.0.0.2", "1"]
    graph["1"].inputs["more"] = 3
    run = await graph.run()
    assert ran(run) == ["1.0.0.2", "1"]
    assert run["1"] == 4


async def test_children_bound_to_their_node_are_used_again_too(pack: Pack) -> None:
    def expand(self: Any, more: int) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        total = builder.node("Add", a=builder.node("Bound", n=1).out(0), b=more)
        return {"expand": builder.finalize(), "result": (total.out(0),)}

    pack.node("Bound", lambda self, n: (n,), {"n": INT}, NOT_IDEMPOTENT=True)
    pack.node("Expand", expand, {"more": INT})
    graph = pack.graph(one("Expand", more=2))
    await graph.run()
    graph["1"].inputs["more"] = 3
    assert "1.0.0.1" not in ran(await graph.run())


# Constants by content


def picture(colour: int) -> Image.Image:
    return Image.new("RGB", (4, 3), (colour, 0, 0))


CONSTANTS: dict[str, Callable[[int], Any]] = {
    "tensor": lambda n: torch.full((2, 3), float(n)),
    "array": lambda n: np.full((2, 3), n),
    "picture": picture,
    "dataframe": lambda n: pd.DataFrame({"a": [n, 2], "b": ["x", "y"]}),
    "series": lambda n: pd.Series([n, 2], name="a"),
    "dict": lambda n: {"samples": torch.full((1, 4), float(n)), "also": [n, (n, "x")]},
    "set": lambda n: {n, "x", 3.5},
    "bytes": lambda n: bytes([n]),
    "array of objects": lambda n: np.array([n, "x", None], dtype=object),
    "complex": lambda n: complex(n, 1),
}


@pytest.mark.parametrize("make", CONSTANTS.values(), ids=CONSTANTS)
async def test_a_live_constant_is_keyed_by_its_content(pack: Pack, make: Callable[[int], Any]) -> None:
    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    await pack.graph(one("Keep", v=make(1))).run()
    assert ran(await pack.graph(one("Keep", v=make(1))).run()) == []
    assert ran(await pack.graph(one("Keep", v=make(2))).run()) == ["1"]


async def test_tensors_of_other_shape_or_dtype_with_the_same_bytes_are_different(pack: Pack) -> None:
    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    zeros = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), np.zeros(4, np.float32)]
    for value in zeros:
        assert ran(await pack.graph(one("Keep", v=value)).run()) == ["1"]


async def test_an_object_without_readable_content_is_equal_only_to_itself(pack: Pack) -> None:
    class Model:
        pass

    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    model = Model()
    await pack.graph(one("Keep", v=model)).run()
    assert ran(await pack.graph(one("Keep", v=model)).run()) == []
    assert ran(await pack.graph(one("Keep", v=Model())).run()) == ["1"]


async def test_an_object_that_refuses_hashing_and_comparison_can_be_a_constant(pack: Pack) -> None:
    class Stubborn:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise TypeError("compare me with nothing")

        __ne__ = __eq__

    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    graph = pack.graph(one("Keep", v=Stubborn()))
    await graph.run()
    assert ran(await graph.run()) == []


# The disk tier


async def on_disk(folder: Path, graph: nb.Graph) -> nb.Run:
    """Run in a session that has just started, with this folder as its disk tier."""
    disk = DiskCache(folder)
    with nb.use_session(nb.Session(disk=disk)):
        run = await graph.run()
    disk.close()
    return run


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


# Room


async def test_what_was_evicted_is_computed_again_and_says_so(pack: Pack, session: nb.Session) -> None:
    graph = pack.graph({"1": made("Number", n=1), "2": made("Add", a=["1", 0], b=1)})
    await graph.run()
    budget, session.cache.budget = session.cache.budget, 0
    session.cache.budget = budget
    run = await graph.run()
    assert ran(run) == ["1", "2"]
    assert run.why("2") == "evicted to make room"
    assert run["2"] == 2


async def test_a_value_larger_than_the_cache_is_handed_on_all_the_same(pack: Pack, session: nb.Session) -> None:
    pack.node("Zeros", lambda self: (torch.ones(1000),), {}, ("TENSOR",))
    pack.node("Total", lambda self, v: (int(v.sum()),), {"v": ("TENSOR",)})
    session.cache.budget = 2000
    graph = pack.graph({"1": made("Zeros"), "2": made("Total", v=["1", 0])})
    assert (await graph.run())["2"] == 1000
    assert ran(await graph.run()) == []


async def test_an_ancestor_that_was_evicted_is_not_computed_when_what_is_below_it_is_held(
    pack: Pack, session: nb.Session
) -> None:
    graph = pack.graph({"1": made("Number", n=1), "2": made("Add", a=["1", 0], b=1)})
    run = await graph.run()
    session.cache.drop(run.ticket("1").key)
    again = await graph.run()
    assert ran(again) == []
    assert again.why("1").startswith("not needed")


# Equal nodes


async def test_two_equal_sync_nodes_run_once_and_both_report(pack: Pack) -> None:
    run = await pack.graph({"1": made("Number", n=1), "2": made("Number", n=1)}).run()
    assert pack.calls["Number"] == 1
    assert (run["1"], run["2"]) == (1, 1)
    assert sorted(run.why(each) for each in ("1", "2"))[1] == "first run"
    assert (run.counts["ran"], run.counts["shared"]) == (1, 1)


def waiting(pack: Pack) -> tuple[asyncio.Event, asyncio.Event]:
    """Register Wait(n), an async node that says that it has begun and waits for a sign."""
    begun, sign = asyncio.Event(), asyncio.Event()
    outside = Outside(begun=begun, sign=sign)

    async def wait(self: Any, n: int) -> tuple[int]:
        outside.begun.set()
        await outside.sign.wait()
        return (n,)

    pack.node("Wait", wait, {"n": INT})
    return begun, sign


async def someone_waits(session: nb.Session) -> None:
    """Until a node waits for an equal one that is in flight."""
    while not any(session.store.claims._waiters.values()):
        await asyncio.sleep(0)


async def test_two_equal_async_nodes_in_flight_run_once(pack: Pack) -> None:
    begun, sign = waiting(pack)
    job = pack.graph({"1": made("Wait", n=1), "2": made("Wait", n=1)}).start()
    await begun.wait()
    sign.set()
    run = await job
    assert pack.calls["Wait"] == 1
    assert (run["1"], run["2"]) == (1, 1)
    assert run.counts["shared"] == 1
    (shared,) = [each for each in ("1", "2") if each not in ran(run)]
    assert run.why(shared) == "an equal node was running already; its result is shared"


async def test_two_concurrent_runs_compute_an_equal_node_once(pack: Pack, session: nb.Session) -> None:
    begun, sign = waiting(pack)
    first = pack.graph({"1": made("Wait", n=1)}).start()
    await begun.wait()
    second = pack.graph({"x": made("Wait", n=1), "y": made("Add", a=["x", 0], b=1)}).start()
    await someone_waits(session)
    sign.set()
    assert (await first)["1"] == 1
    assert (await second)["y"] == 2
    assert pack.calls["Wait"] == 1


async def test_a_waiter_computes_if_the_computing_run_is_cancelled(pack: Pack, session: nb.Session) -> None:
    begun, sign = waiting(pack)
    first = pack.graph({"1": made("Wait", n=1)}).start()
    await begun.wait()
    second = pack.graph({"x": made("Wait", n=1)}).start()
    await someone_waits(session)
    begun.clear()
    first.cancel()
    assert (await first).state == "cancelled"
    await begun.wait()
    sign.set()
    assert (await second)["x"] == 1
    assert pack.calls["Wait"] == 2


@pytest.mark.parametrize("traits", [{"OUTPUT_NODE": True}, {"NOT_IDEMPOTENT": True}], ids=["output", "not idempotent"])
async def test_some_nodes_are_never_shared_in_flight(pack: Pack, traits: dict[str, Any]) -> None:
    async def own(self: Any, n: int) -> tuple[int]:
        await asyncio.sleep(0)
        return (n,)

    pack.node("Own", own, {"n": INT}, **traits)
    await pack.graph({"1": made("Own", n=1), "2": made("Own", n=1)}).run()
    assert pack.calls["Own"] == 2


# Switched off


def in_notebook(pack: Pack, function: Callable[..., Any], **options: Any) -> Any:
    """Make a function a node of this pack, as `@nb.node` does."""
    spec = nb.graph.namespace.spec_from_function(function, **options)
    return nb.graph.handle.NodeFactory(pack.registry.register(spec), pack.registry)


async def test_cache_off_runs_each_time_and_what_is_below_is_used_again_by_structure(pack: Pack) -> None:
    def roll(n: int) -> int:
        return n

    in_notebook(pack, roll, cache="off")
    graph = pack.graph(one("roll"))
    await graph.run()
    run = await graph.run()
    assert ran(run) == ["1"]
    assert run.why("1") == "its cache is off"


async def test_cache_node_binds_to_the_node_of_the_graph(pack: Pack) -> None:
    def roll(n: int) -> int:
        return n

    in_notebook(pack, roll, cache="node")
    graph = pack.graph({"1": made("roll", n=1), "2": made("roll", n=1)})
    assert sorted(ran(await graph.run())) == ["1", "2"]
    assert ran(await graph.run()) == []


async def test_no_cache_in_the_prompt_is_never_kept_beyond_the_run(pack: Pack, session: nb.Session) -> None:
    graph = pack.graph({"1": {**made("Number", n=1), "no_cache": True}, "2": made("Show", n=["1", 0])})
    await graph.run()
    assert "Number" not in {entry.class_type for entry in session.cache.entries()}
    assert ran(await graph.run(outputs=["1"])) == ["1"]


async def test_using_a_cached_tensor_once_counts_as_one_hit(pack: Pack, session: nb.Session) -> None:
    pack.node("Zeros", lambda self, n: (torch.zeros(n),), {"n": INT}, ("IMAGE",))
    graph = pack.graph({"1": made("Zeros", n=3)})
    await graph.run()
    await graph.run()
    assert [entry.hits for entry in session.cache.entries()] == [1]


async def test_a_result_depends_on_what_a_lazy_link_that_was_passed_as_such_links_to(pack: Pack) -> None:
    def expands(self: Any, n: Any) -> Any:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Number", n=n).out(0),), "expand": graph.finalize()}

    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Expand", expands, {"n": ("INT", {"rawLink": True, "lazy": True})})
    graph = pack.graph({"1": made("Number", n=1), "2": made("Expand", n=["1", 0])})
    assert (await graph.run(outputs=["2"]))["2"] == 1
    graph["1"].inputs["n"] = 5
    assert (await graph.run(outputs=["2"]))["2"] == 5
    assert (await graph.run(outputs=["2"])).counts["ran"] == 0
