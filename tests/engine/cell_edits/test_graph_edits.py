"""A graph is edited between its runs, or a run of it ended early."""

from __future__ import annotations

from pathlib import Path

import pytest

import comfy_nb as nb
from tests.engine.cell_edits.notebook import Notebook

# Graphs


PROMPT = """
graph = nb.Graph()
graph.node("photo", id=1, size=4)
graph.node("brighten", id=2, image=["1", 0], by=1.0)
"""


async def test_two_graphs_with_the_same_ids_and_other_values(studio: Notebook) -> None:
    studio.cell(PROMPT + PROMPT.replace("graph", "other").replace("size=4", "size=8"))
    assert (await studio.run("graph")).ran == []
    shown = await studio.run("other")
    assert shown.ran == ["photo", "brighten"]
    assert shown.why("photo") == "input `size` changed 4 -> 8"
    assert (await studio.run("graph")).ran == []
    assert (await studio.run("other")).ran == []


async def test_editing_a_graph_and_undoing_it(studio: Notebook) -> None:
    studio.cell(PROMPT)
    await studio.run("graph")
    studio.cell("graph['2'].inputs['by'] = 9.0")
    shown = await studio.run("graph")
    assert shown.why("brighten") == "input `by` changed 1.0 -> 9.0"
    studio.cell("graph['2'].inputs['by'] = 1.0")
    assert (await studio.run("graph")).ran == []


async def test_bypassing_a_node_and_back(studio: Notebook) -> None:
    studio.cell(PROMPT + "graph.node('brighten', id=3, image=['2', 0], by=2.0)")
    assert (await studio.run("graph")).ran == ["brighten"]
    studio.cell("graph['2'].bypass()")
    shown = await studio.run("graph")
    assert shown.ran == ["brighten"]
    assert shown.run.why("3") == "input `image` changed: it is linked to node 1[0] now"
    assert shown.run["3"][0] == 4.0
    studio.cell("graph['2'].activate()")
    shown = await studio.run("graph")
    assert shown.ran == []
    assert shown.run["3"][0] == 8.0


async def test_muting_a_node(studio: Notebook) -> None:
    studio.cell(PROMPT + "graph.node('photo', id=3, size=9)\ngraph['3'].mute()")
    assert (await studio.run("graph")).ran == []
    with pytest.raises(nb.UnknownName, match="There is no node '3'"):
        (await studio.run("graph")).run.why("3")
    studio.cell("graph['3'].activate()\ngraph['2'].mute()")
    assert (await studio.run("graph")).ran == ["photo"]


async def test_wanting_a_muted_node_says_what_to_do(studio: Notebook) -> None:
    studio.cell(PROMPT + "graph['2'].mute()")
    with pytest.raises(nb.GraphError, match=r"brighten #2 \(mute\).*activate"):
        await studio.run("graph", outputs=["2"])


async def test_a_seed_that_goes_up_after_each_run(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def noise(seed: int) -> int:
            return seed
        graph = nb.Graph()
        graph.node("noise", id=1, seed=5).seed("increment")
    """)
    first, second = await notebook.run("graph"), await notebook.run("graph")
    assert (first.run["1"], second.run["1"]) == (5, 6)
    assert second.why("noise") == "input `seed` changed 5 -> 6"
    assert notebook["graph"]["1"].inputs["seed"] == 7


async def test_a_change_behind_an_unused_lazy_input(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def number(n: int) -> int:
            return n
        @nb.node(lazy={"yes": lambda which: which, "no": lambda which: not which})
        def choose(which: bool, yes: int = 0, no: int = 0) -> int:
            return yes if which else no
        result = choose(True, number(1), number(2))
    """)
    shown = await notebook.show("result")
    assert shown.ran == ["number", "choose"]
    notebook.cell("result = choose(True, number(1), number(3))")
    assert (await notebook.show("result")).ran == []
    notebook.cell("result = choose(True, number(4), number(3))")
    shown = await notebook.show("result")
    assert shown.ran == ["number", "choose"]
    assert shown.value == 4


# Runs that ended early


async def test_stopping_a_run_and_running_again(studio: Notebook) -> None:
    studio.cell("""
        import asyncio
        begun, go_on = asyncio.Event(), asyncio.Event()
        class Signs:
            def __comfy_nb_key__(self):
                return b"signs"
        signs = Signs()
        signs.begun, signs.go_on = begun, go_on
        @nb.node
        async def upload(image: torch.Tensor) -> str:
            signs.begun.set()
            await signs.go_on.wait()
            return "done"
        picture = photo(6)
        result = upload(picture)
    """)
    job = studio["result"].graph.start()
    await studio["begun"].wait()
    job.cancel()
    run = await job
    assert run.state == "cancelled"
    assert run.why("2") == "did not finish: the run was cancelled"
    studio["go_on"].set()
    shown = await studio.show("result")
    assert shown.ran == ["upload"]
    assert shown.why("photo") == "from an earlier run"
    assert shown.why("upload") == "it did not finish when it ran last"


async def test_a_failure_that_was_put_right(studio: Notebook) -> None:
    studio.cell("""
        @nb.node
        def crop(image: torch.Tensor, size: int) -> torch.Tensor:
            return image[:size].reshape(size, size)
        result = crop(photo(7), 3)
    """)
    with pytest.raises(nb.NodeError, match=r"crop \(node 2\)"):
        await studio.show("result")
    studio.cell("""
        @nb.node
        def crop(image: torch.Tensor, size: int) -> torch.Tensor:
            return image[:size]
    """)
    shown = await studio.show("result")
    assert shown.ran == ["crop"]
    assert shown.why("photo") == "from an earlier run"
    assert shown.why("crop") == "code changed"


async def test_a_failure_for_a_reason_outside_is_tried_again(studio: Notebook, tmp_path: Path) -> None:
    studio.names["path"] = str(tmp_path / "weights.txt")
    studio.cell("""
        @nb.node
        def weights() -> str:
            with open(path) as file:
                return file.read()
        result = weights()
    """)
    with pytest.raises(nb.NodeError, match="FileNotFoundError"):
        await studio.show("result")
    (tmp_path / "weights.txt").write_text("1 2 3")
    shown = await studio.show("result")
    assert shown.value == "1 2 3"
    assert shown.why("weights") == "it did not finish when it ran last"
