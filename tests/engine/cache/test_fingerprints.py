"""Nodes that report themselves whether something changed (docs/semantics.md, "Fingerprints")."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

import comfy_nb as nb
from tests.engine.cache.classes import INT, NAN, marked, one
from tests.engine.support import Outside, Pack, made, ran

pytestmark = pytest.mark.usefixtures("arithmetic")


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


@pytest.mark.parametrize(
    "mark",
    [
        NAN,
        [NAN],
        (1, NAN),
        {"time": NAN},
        {NAN: 1},
        [{"files": [1, {NAN}]}],
        np.array([1, NAN]),
        torch.tensor([NAN, 1]),
    ],
    ids=repr,
)
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


async def test_an_is_changed_that_is_not_a_classmethod_is_called_on_the_class(pack: Pack) -> None:
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
    marked(pack, lambda cls, n: "sha")
    graph = pack.graph({"1": {**made("Marked", n=1), "is_changed": NAN}})
    await graph.run()
    assert ran(await graph.run()) == ["1"]


async def test_a_fingerprint_may_hold_itself(pack: Pack) -> None:
    mark: list[Any] = [1]
    mark.append(mark)
    marked(pack, lambda cls, n: mark)
    graph = pack.graph(one("Marked"))
    await graph.run()
    assert ran(await graph.run()) == []


async def test_is_changed_gets_nothing_of_the_run_among_its_hidden_inputs(pack: Pack) -> None:
    outside = Outside(seen=[])

    def fingerprint(cls: Any, **inputs: Any) -> str:
        outside.seen.append(inputs)
        return str(inputs)

    hidden = {"me": "UNIQUE_ID", "prompt": "PROMPT", "dynamic": "DYNPROMPT", "info": "EXTRA_PNGINFO"}
    pack.node("Marked", lambda self, n, **hidden: (n,), {"n": INT}, hidden=hidden, IS_CHANGED=classmethod(fingerprint))
    graph = pack.graph({"1": made("Marked", n=1), "2": made("Number", n=1)})
    await graph.run(extra_data={"extra_pnginfo": {"workflow": {}}})
    assert outside.seen == [{"n": 1, "me": "1", "prompt": {}, "dynamic": None, "info": None}]
    graph["2"].inputs["n"] = 2
    assert ran(await graph.run()) == ["2"]


@pytest.mark.parametrize("submitted", [NAN, [NAN], "sha", [1]])
async def test_a_submitted_is_changed_means_nothing_for_a_class_without_fingerprints(
    pack: Pack, submitted: Any
) -> None:
    await pack.graph({"1": made("Number", n=1)}).run()
    assert ran(await pack.graph({"1": {**made("Number", n=1), "is_changed": submitted}}).run()) == []


@pytest.mark.parametrize("edit", ["set", "pop", "del", "clear", "replace"])
async def test_a_submitted_is_changed_is_forgotten_when_the_node_is_edited(pack: Pack, edit: str) -> None:
    asked = Outside(of=[])
    marked(pack, lambda cls, n: asked.of.append(n) or "sha")
    graph = pack.graph({"1": {**made("Marked", n=1), "is_changed": ["old"]}})
    await graph.run()
    assert asked.of == []
    inputs = graph["1"].inputs
    if edit == "pop":
        inputs.pop("n")
    elif edit == "del":
        del inputs["n"]
    elif edit == "clear":
        inputs.clear()
    if edit == "replace":
        graph["1"].inputs = {"n": 2}
    else:
        assert edit == "set" or "is_changed" not in graph.to_prompt()["1"]
        inputs["n"] = 2
    await graph.run()
    assert asked.of == [2]


@pytest.mark.parametrize("form", [json.dumps, lambda prompt: json.dumps(prompt).encode(), "file", "picture", "info"])
async def test_a_recorded_is_changed_is_no_submitted_one(pack: Pack, tmp_path: Path, form: Any) -> None:
    asked = Outside(of=[])
    marked(pack, lambda cls, n: asked.of.append(n) or "sha")
    prompt = {"1": {**made("Marked", n=1), "is_changed": ["old"]}, "2": {**made("Number", n=5), "is_changed": [NAN]}}
    graph = nb.load(stored(prompt, form, tmp_path), registry=pack.registry)
    await graph.run(["1", "2"])
    assert asked.of == [1]
    assert ran(await graph.run(["1", "2"])) == []


def stored(prompt: Any, form: Any, folder: Path) -> Any:
    """Return what `nb.load` takes, with a prompt in it as an old run left it."""
    text = json.dumps(prompt)
    if form == "info":
        return {"prompt": text}
    if form == "file":
        (folder / "a.json").write_text(text)
        return folder / "a.json"
    if form == "picture":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("prompt", text)
        Image.new("RGB", (1, 1)).save(folder / "a.png", pnginfo=texts)
        return folder / "a.png"
    return form(prompt)


@pytest.mark.parametrize("believed", [True, False])
async def test_an_expansion_may_submit_fingerprints_too(pack: Pack, believed: bool) -> None:
    asked = Outside(of=[])
    marked(pack, lambda cls, n: asked.of.append(n) or "sha")
    entry = {**made("Marked", n=4), **({"is_changed": ["given"]} if believed else {})}
    pack.node("Opening", lambda self: {"result": (["in.1", 0],), "expand": {"in.1": entry}}, {})
    await pack.graph({"1": made("Opening")}).run()
    assert asked.of == ([] if believed else [4])
