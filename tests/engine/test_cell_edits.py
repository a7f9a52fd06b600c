"""Stories of a person who edits cells: what must run again after each edit, and what `why` says of it.

After every run of every story, each node must have a reason.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.graph import default_registry, namespace
from comfy_nb.library import Folders, use_folders
from comfy_nb.spec.registry import Registry
from tests.engine.support import names_of, ran

STUCK_S = 30.0


class Told:
    """A run of a story: its value, the classes of the nodes that ran, and why."""

    def __init__(self, run: nb.Run, value: Any = None) -> None:
        self.run = run
        self.value = value
        self.ran = names_of(run, ran(run))
        for node_id in {*run.plan.steps, *run.task.executor.scheduler.node_runs}:
            assert run.why(node_id), f"nothing is said of node {node_id}"

    def why(self, class_type: str) -> str:
        """Why the only node of a class ran or did not."""
        (node_id,) = [step.id for step in self.run.plan.steps.values() if step.class_type == class_type]
        return self.run.why(node_id)


class Notebook:
    """A kernel's namespace, in which cells are executed one after the other."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self._count = 0
        self.cell("import comfy_nb as nb\nimport numpy as np\nimport torch")

    def cell(self, source: str) -> None:
        """Execute a cell."""
        self._count += 1
        exec(compile(textwrap.dedent(source), f"<cell {self._count}>", "exec"), self.names)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    async def show(self, name: str) -> Told:
        """Execute `await <name>` for a variable that holds a handle."""
        job = self.names[name].start()
        async with asyncio.timeout(STUCK_S):
            value = await job
        return Told(job.run, value)

    async def run(self, name: str, **options: Any) -> Told:
        """Execute `await <name>.run()` for a variable that holds a graph."""
        async with asyncio.timeout(STUCK_S):
            return Told(await self.names[name].run(**options))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose nodes are registered in a registry of its own, beside the library's."""
    registry = Registry(default_registry._fill)
    token = default_registry._chosen.set(registry)
    monkeypatch.setattr(nb, "nodes", namespace.Nodes(lambda: registry))
    yield Notebook()
    default_registry._chosen.reset(token)


PHOTO = """
@nb.node
def photo(size: int = 4) -> torch.Tensor:
    return torch.ones(size)
"""
BRIGHTEN = """
GAIN = 2
@nb.node
def brighten(image: torch.Tensor, by: float = 1.0) -> torch.Tensor:
    return image * GAIN + by
"""
BRIGHT = "picture = photo(4)\nbright = brighten(picture, by=1.0)"


@pytest.fixture
async def studio(notebook: Notebook) -> Notebook:
    """A notebook in which a photo was made brighter."""
    for source in (PHOTO, BRIGHTEN, BRIGHT):
        notebook.cell(source)
    told = await notebook.show("bright")
    assert told.ran == ["photo", "brighten"]
    assert told.why("photo") == told.why("brighten") == "first run"
    assert told.value[0] == 3.0
    return notebook


# Nothing that matters changed


async def test_awaiting_again_runs_nothing(studio: Notebook) -> None:
    told = await studio.show("bright")
    assert told.ran == []
    assert told.why("brighten") == "from an earlier run"
    assert told.why("photo") == "not needed: what needs it was there already, or nothing wanted needs it"


async def test_running_all_cells_again_runs_nothing(studio: Notebook) -> None:
    for source in (PHOTO, BRIGHTEN, BRIGHT):
        studio.cell(source)
    told = await studio.show("bright")
    assert told.ran == []
    assert told.why("brighten") == "from an earlier run"


async def test_the_same_node_under_another_variable_runs_nothing(studio: Notebook) -> None:
    studio.cell("another = brighten(photo(4), by=1.0)")
    assert (await studio.show("another")).ran == []


async def test_editing_a_comment_and_moving_the_cell_runs_nothing(studio: Notebook) -> None:
    studio.cell("# brighter\n\n\n" + BRIGHTEN.replace("return", "# and so\n    return"))
    studio.cell(BRIGHT)
    assert (await studio.show("bright")).ran == []


async def test_editing_a_docstring_runs_the_node_since_code_may_read_it(studio: Notebook) -> None:
    studio.cell(BRIGHTEN.replace("    return", '    "Make it brighter."\n    return'))
    told = await studio.show("bright")
    assert told.ran == ["brighten"]
    assert told.why("brighten") == "code changed"


async def test_a_global_that_the_node_does_not_read_runs_nothing(studio: Notebook) -> None:
    studio.cell("LOSS = 3\ndef unused():\n    return GAIN")
    assert (await studio.show("bright")).ran == []


async def test_an_attribute_of_the_same_name_as_a_global_is_not_that_global(notebook: Notebook) -> None:
    notebook.cell("""
        mean = 1
        @nb.node
        def average(image: torch.Tensor) -> float:
            return float(image.mean())
        level = average(torch.ones(3))
    """)
    await notebook.show("level")
    notebook.cell("mean = 2")
    assert (await notebook.show("level")).ran == []


# Inputs


async def test_changing_a_constant(studio: Notebook) -> None:
    studio.cell("bright = brighten(picture, by=5.0)")
    told = await studio.show("bright")
    assert told.ran == ["brighten"]
    assert told.why("brighten") == "input `by` changed 1.0 -> 5.0"
    assert told.value[0] == 7.0


async def test_changing_a_constant_and_going_back(studio: Notebook) -> None:
    studio.cell("bright = brighten(picture, by=5.0)")
    await studio.show("bright")
    studio.cell(BRIGHT)
    told = await studio.show("bright")
    assert told.ran == []
    assert told.value[0] == 3.0


async def test_changing_a_constant_above_runs_all_below(studio: Notebook) -> None:
    studio.cell("picture = photo(5)\nbright = brighten(picture, by=1.0)")
    told = await studio.show("bright")
    assert told.ran == ["photo", "brighten"]
    assert told.why("photo") == "input `size` changed 4 -> 5"
    assert told.why("brighten") == "input `image` changed: node 1 above gives something else"


async def test_swapping_an_input(studio: Notebook) -> None:
    studio.cell("""
        @nb.node
        def painting() -> torch.Tensor:
            return torch.zeros(4)
        graph = nb.Graph(bright)
    """)
    await studio.run("graph")
    studio.cell("graph['2'].inputs['image'] = painting()")
    told = await studio.run("graph")
    assert told.ran == ["painting", "brighten"]
    assert told.why("painting") == "first run"
    assert told.why("brighten") == "input `image` changed: it comes from node 3[0] now"


async def test_an_array_of_other_content_as_a_constant(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def total(values: object) -> float:
            return float(values.sum())
        data = np.arange(4)
        result = total(data)
    """)
    await notebook.show("result")
    notebook.cell("data = np.arange(4)\nresult = total(data)")
    assert (await notebook.show("result")).ran == []
    notebook.cell("data = np.arange(4) + 1\nresult = total(data)")
    told = await notebook.show("result")
    assert told.ran == ["total"]
    assert told.why("total") == "input `values` changed (ndarray[4] with other content)"


# Code


async def test_changing_a_global_that_the_node_reads(studio: Notebook) -> None:
    studio.cell("GAIN = 3")
    told = await studio.show("bright")
    assert told.ran == ["brighten"]
    assert told.why("brighten") == "global `GAIN` changed 2 -> 3"
    assert told.value[0] == 4.0


async def test_redefining_the_node(studio: Notebook) -> None:
    studio.cell(BRIGHTEN.replace("+ by", "- by"))
    told = await studio.show("bright")
    assert told.ran == ["brighten"]
    assert told.why("brighten") == "code changed"
    assert told.value[0] == 1.0


async def test_redefining_the_node_and_going_back(studio: Notebook) -> None:
    studio.cell(BRIGHTEN.replace("+ by", "- by"))
    await studio.show("bright")
    studio.cell(BRIGHTEN)
    told = await studio.show("bright")
    assert told.ran == []
    assert told.why("brighten") == "from an earlier run"
    assert told.value[0] == 3.0


async def test_changing_a_default(studio: Notebook) -> None:
    studio.cell("bright = brighten(picture)")
    assert (await studio.show("bright")).ran == []
    studio.cell(BRIGHTEN.replace("by: float = 1.0", "by: float = 2.0") + "bright = brighten(picture)")
    told = await studio.show("bright")
    assert told.ran == ["brighten"]
    assert told.why("brighten") == "default of brighten's `by` changed 1.0 -> 2.0; input `by` changed 1.0 -> 2.0"
    assert told.value[0] == 4.0


HELPERS = """
def twice(x):
    return x * 2
def soften(x):
    return twice(x) + 1
@nb.node
def soft(image: torch.Tensor) -> torch.Tensor:
    return soften(image)
"""


@pytest.fixture
async def softened(notebook: Notebook) -> Notebook:
    """A notebook with a node that has a helper that has a helper."""
    notebook.cell(HELPERS + "result = soft(torch.ones(2))")
    await notebook.show("result")
    return notebook


async def test_editing_a_helper(softened: Notebook) -> None:
    softened.cell("def soften(x):\n    return twice(x) + 5")
    told = await softened.show("result")
    assert told.ran == ["soft"]
    assert told.why("soft") == "function `soften` changed"
    assert told.value[0] == 7.0


async def test_editing_a_helper_of_a_helper(softened: Notebook) -> None:
    softened.cell("def twice(x):\n    return x * 3")
    told = await softened.show("result")
    assert told.ran == ["soft"]
    assert told.why("soft") == "function `twice` changed"
    assert told.value[0] == 4.0


async def test_editing_a_helper_that_is_reached_in_two_ways(softened: Notebook) -> None:
    softened.cell("""
        @nb.node
        def soft(image: torch.Tensor) -> torch.Tensor:
            return soften(image) + twice(image)
    """)
    assert (await softened.show("result")).why("soft") == "code changed"
    softened.cell("def twice(x):\n    return x * 3")
    told = await softened.show("result")
    assert told.ran == ["soft"]
    assert told.why("soft") == "function `twice` changed"
    assert told.value[0] == 7.0


async def test_running_the_cell_of_a_helper_again_unchanged_runs_nothing(softened: Notebook) -> None:
    softened.cell("def twice(x):\n    return x * 2")
    assert (await softened.show("result")).ran == []


async def test_a_helper_that_is_defined_only_later(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def soft(image: torch.Tensor) -> torch.Tensor:
            return soften(image)
        result = soft(torch.ones(2))
    """)
    with pytest.raises(nb.NodeError, match="name 'soften' is not defined"):
        await notebook.show("result")
    notebook.cell("def soften(x):\n    return x + 1")
    told = await notebook.show("result")
    assert told.ran == ["soft"]
    assert told.why("soft") == "function `soften` is new"


async def test_editing_a_class_that_the_node_uses(notebook: Notebook) -> None:
    source = """
        class Kernel:
            weight = 2
            def apply(self, x):
                return x * self.weight
        @nb.node
        def filtered(x: int) -> int:
            return Kernel().apply(x)
        result = filtered(3)
    """
    notebook.cell(source)
    await notebook.show("result")
    notebook.cell(source)
    assert (await notebook.show("result")).ran == []
    notebook.cell(source.replace("weight = 2", "weight = 4"))
    told = await notebook.show("result")
    assert told.ran == ["filtered"]
    assert told.why("filtered") == "attribute `Kernel.weight` changed 2 -> 4"
    assert told.value == 12


async def test_changing_what_a_closure_holds(notebook: Notebook) -> None:
    notebook.cell("""
        def make(factor):
            @nb.node
            def scaled(x: int) -> int:
                return x * factor
            return scaled
        result = make(2)(5)
    """)
    assert (await notebook.show("result")).value == 10
    notebook.cell("result = make(3)(5)")
    told = await notebook.show("result")
    assert told.ran == ["scaled"]
    assert told.why("scaled") == "closure variable `factor` changed 2 -> 3"
    assert told.value == 15


async def test_editing_only_what_a_node_returns_by_its_annotation(notebook: Notebook) -> None:
    source = """
        @nb.node
        def pair() -> tuple[int, int]:
            return (1, 2)
        result = pair()
    """
    notebook.cell(source)
    assert (await notebook.show("result")).value == (1, 2)
    notebook.cell(source.replace("tuple[int, int]", "object"))
    told = await notebook.show("result")
    assert told.ran == ["pair"]
    assert told.why("pair") == "signature changed"
    assert len(told.run.outputs("1")) == 1


async def test_editing_an_enum_that_an_input_is_read_by(notebook: Notebook) -> None:
    source = """
        import enum
        class Mode(enum.Enum):
            SOFT = 1
            HARD = 2
        @nb.node
        def strength(mode: Mode) -> int:
            return mode.value
        result = strength("HARD")
    """
    notebook.cell(source)
    assert (await notebook.show("result")).value == 2
    notebook.cell(source)
    assert (await notebook.show("result")).ran == []
    notebook.cell(source.replace("HARD = 2", "HARD = 7"))
    told = await notebook.show("result")
    assert told.ran == ["strength"]
    assert told.value == 7


async def test_moving_a_line_out_of_a_try_block(notebook: Notebook) -> None:
    source = """
        def risky(x):
            return 10 // x
        @nb.node
        def careful(x: int) -> int:
            y = 0
            try:
                x + 1
                y = risky(x)
            except ZeroDivisionError:
                y = -1
            return y
        result = careful(2)
    """
    notebook.cell(source)
    await notebook.show("result")
    notebook.cell("""
        @nb.node
        def careful(x: int) -> int:
            y = 0
            try:
                x + 1
            except ZeroDivisionError:
                y = -1
            else:
                y = risky(x)
            return y
    """)
    assert (await notebook.show("result")).ran == ["careful"]


async def test_editing_what_asks_for_a_lazy_input(notebook: Notebook) -> None:
    source = """
        @nb.node
        def costly() -> int:
            return 100
        @nb.node(lazy={"more": lambda x: x > 5})
        def maybe(x: int, more: int = 0) -> int:
            return x + (more or 0)
        result = maybe(3, costly())
    """
    notebook.cell(source)
    told = await notebook.show("result")
    assert (told.value, told.ran) == (3, ["maybe"])
    notebook.cell(source.replace("x > 5", "x > 2"))
    told = await notebook.show("result")
    assert (told.value, told.ran) == (103, ["costly", "maybe"])


async def test_editing_a_v1_class_in_its_cell(notebook: Notebook) -> None:
    source = """
        class Invert:
            @classmethod
            def INPUT_TYPES(cls):
                return {"required": {"x": ("INT", {"default": 1})}}
            RETURN_TYPES = ("INT",)
            FUNCTION = "invert"
            def invert(self, x):
                return (-x,)
        nb.register(Invert)
        result = nb.nodes.Invert(5)
    """
    notebook.cell(source)
    assert (await notebook.show("result")).value == -5
    notebook.cell(source)
    assert (await notebook.show("result")).ran == []
    notebook.cell(source.replace("(-x,)", "(1 - x,)"))
    told = await notebook.show("result")
    assert told.ran == ["Invert"]
    assert told.why("Invert") == "attribute `Invert.invert` changed"
    assert told.value == -4


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the project's own, `my_filters.py`."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "my_filters.py"
    file.write_text("FACTOR = 2\n\ndef soften(x):\n    return x * FACTOR\n")
    yield file
    sys.modules.pop("my_filters", None)


async def test_editing_and_reloading_a_module_of_the_project(notebook: Notebook, module: Path) -> None:
    notebook.cell("""
        import my_filters
        @nb.node
        def soft(x: int) -> int:
            return my_filters.soften(x)
        result = soft(5)
    """)
    assert (await notebook.show("result")).value == 10
    importlib.reload(notebook["my_filters"])
    assert (await notebook.show("result")).ran == []
    module.write_text(module.read_text().replace("FACTOR = 2", "FACTOR = 30"))
    assert (await notebook.show("result")).ran == []
    importlib.reload(notebook["my_filters"])
    told = await notebook.show("result")
    assert told.ran == ["soft"]
    assert told.why("soft") == "global `FACTOR` changed 2 -> 30"
    assert told.value == 150


async def test_a_function_of_an_edited_module(notebook: Notebook, module: Path) -> None:
    notebook.cell("""
        import my_filters
        @nb.node
        def soft(x: int) -> int:
            return my_filters.soften(x)
        result = soft(5)
    """)
    await notebook.show("result")
    module.write_text(module.read_text().replace("x * FACTOR", "x * FACTOR + 1"))
    importlib.reload(notebook["my_filters"])
    told = await notebook.show("result")
    assert told.ran == ["soft"]
    assert told.why("soft") == "function `my_filters.soften` changed"


async def test_a_global_list_that_the_node_appends_to_makes_it_run_each_time(notebook: Notebook) -> None:
    notebook.cell("""
        log = []
        @nb.node
        def noted(x: int) -> int:
            log.append(x)
            return len(log)
        result = noted(5)
    """)
    assert (await notebook.show("result")).value == 1
    told = await notebook.show("result")
    assert told.value == 2
    assert told.why("noted") == "global `log` changed"


# Values changed in place


async def test_changing_a_value_in_place_by_torch(studio: Notebook) -> None:
    value = (await studio.show("picture")).value
    value.mul_(100)
    with pytest.warns(nb.ComfyNBWarning, match=r"photo \(node 1\) gave was changed in place"):
        told = await studio.show("picture")
    assert told.ran == ["photo"]
    assert told.why("photo") == "changed in place"
    assert told.value[0] == 1.0


async def test_changing_a_value_in_place_through_numpy(studio: Notebook) -> None:
    value = (await studio.show("picture")).value
    value.numpy()[0] = 100
    with pytest.warns(nb.ComfyNBWarning, match=r"photo \(node 1\) gave was changed in place"):
        told = await studio.show("picture")
    assert told.ran == ["photo"]
    assert told.value[0] == 1.0


async def test_what_was_computed_from_a_value_before_it_was_changed_stays(studio: Notebook) -> None:
    value = (await studio.show("picture")).value
    value.zero_()
    told = await studio.show("bright")
    assert told.ran == []
    assert told.value[0] == 3.0


async def test_a_node_that_changes_its_input_is_named_and_others_get_the_value_as_it_was(studio: Notebook) -> None:
    studio.cell("""
        @nb.node
        def spoil(image: torch.Tensor) -> float:
            image.zero_()
            return 0.0
        @nb.node
        def look(image: torch.Tensor, after: float) -> float:
            return float(image[0])
        seen = look(picture, spoil(picture))
    """)
    with pytest.warns(nb.ComfyNBWarning, match=r"spoil \(node 2\) changed its input 'image' in place"):
        told = await studio.show("seen")
    assert told.value == 1.0
    assert "photo" in told.ran


async def test_changing_a_constant_tensor_in_place(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def total(values: torch.Tensor) -> float:
            return float(values.sum())
        data = torch.ones(3)
        result = total(data)
    """)
    await notebook.show("result")
    notebook.cell("data += 1\nresult = total(data)")
    told = await notebook.show("result")
    assert told.ran == ["total"]
    assert told.value == 6.0


# Graphs


PROMPT = """
graph = nb.Graph()
graph.node("photo", id=1, size=4)
graph.node("brighten", id=2, image=["1", 0], by=1.0)
"""


async def test_two_graphs_with_the_same_ids_and_other_values(studio: Notebook) -> None:
    studio.cell(PROMPT + PROMPT.replace("graph", "other").replace("size=4", "size=8"))
    assert (await studio.run("graph")).ran == []
    told = await studio.run("other")
    assert told.ran == ["photo", "brighten"]
    assert told.why("photo") == "input `size` changed 4 -> 8"
    assert (await studio.run("graph")).ran == []
    assert (await studio.run("other")).ran == []


async def test_editing_a_graph_and_undoing_it(studio: Notebook) -> None:
    studio.cell(PROMPT)
    await studio.run("graph")
    studio.cell("graph['2'].inputs['by'] = 9.0")
    told = await studio.run("graph")
    assert told.why("brighten") == "input `by` changed 1.0 -> 9.0"
    studio.cell("graph['2'].inputs['by'] = 1.0")
    assert (await studio.run("graph")).ran == []


async def test_bypassing_a_node_and_back(studio: Notebook) -> None:
    studio.cell(PROMPT + "graph.node('brighten', id=3, image=['2', 0], by=2.0)")
    assert (await studio.run("graph")).ran == ["brighten"]
    studio.cell("graph['2'].bypass()")
    told = await studio.run("graph")
    assert told.ran == ["brighten"]
    assert told.run.why("3") == "input `image` changed: it comes from node 1[0] now"
    assert told.run["3"][0] == 4.0
    studio.cell("graph['2'].activate()")
    told = await studio.run("graph")
    assert told.ran == []
    assert told.run["3"][0] == 8.0


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
    told = await notebook.show("result")
    assert told.ran == ["number", "choose"]
    notebook.cell("result = choose(True, number(1), number(3))")
    assert (await notebook.show("result")).ran == []
    notebook.cell("result = choose(True, number(4), number(3))")
    told = await notebook.show("result")
    assert told.ran == ["number", "choose"]
    assert told.value == 4


# Runs that ended early


async def test_stopping_a_run_and_running_again(studio: Notebook) -> None:
    studio.cell("""
        import asyncio
        begun, go_on = asyncio.Event(), asyncio.Event()
        class Signs:
            def __comfy_nb_code__(self):
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
    told = await studio.show("result")
    assert told.ran == ["upload"]
    assert told.why("photo") == "from an earlier run"
    assert told.why("upload") == "it did not finish when it ran last"


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
    told = await studio.show("result")
    assert told.ran == ["crop"]
    assert told.why("photo") == "from an earlier run"
    assert told.why("crop") == "code changed"


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
    told = await studio.show("result")
    assert told.value == "1 2 3"
    assert told.why("weights") == "it did not finish when it ran last"


# What is held


async def test_what_was_evicted_runs_again(studio: Notebook, session: nb.Session) -> None:
    budget, session.cache.budget = session.cache.budget, 0
    session.cache.budget = budget
    told = await studio.show("bright")
    assert told.ran == ["photo", "brighten"]
    assert told.why("brighten") == "evicted to make room"


async def test_clearing_the_cache(studio: Notebook) -> None:
    studio.cell("nb.cache.clear()")
    told = await studio.show("bright")
    assert told.ran == ["photo", "brighten"]
    assert told.why("brighten") == "cleared by hand"


async def test_dropping_one_value(studio: Notebook) -> None:
    studio.cell("nb.cache.drop('brighten')")
    told = await studio.show("bright")
    assert told.ran == ["brighten"]
    assert told.why("photo") == "from an earlier run"
    assert told.why("brighten") == "dropped by hand"


async def test_asking_for_a_fresh_one(studio: Notebook) -> None:
    studio.cell("anew = bright.fresh()")
    told = await studio.show("anew")
    assert told.ran == ["brighten"]
    assert told.why("brighten") == "fresh() asked for it anew"
    assert (await studio.show("anew")).ran == []
    assert (await studio.show("bright")).ran == []


async def test_a_random_node_whose_fingerprint_is_nan(notebook: Notebook) -> None:
    notebook.cell("""
        import random
        @nb.node(fingerprint=lambda: float("nan"))
        def dice() -> float:
            return random.random()
        @nb.node
        def doubled(x: float) -> float:
            return 2 * x
        result = doubled(dice())
    """)
    first, second = await notebook.show("result"), await notebook.show("result")
    assert second.ran == ["dice", "doubled"]
    assert second.why("dice") == "fingerprint said always"
    assert second.why("doubled") == "input `x` changed: node 1 above gives something else"
    assert first.value != second.value


async def test_a_file_that_was_edited_behind_load_image(notebook: Notebook, tmp_path: Path) -> None:
    with use_folders(Folders(tmp_path)) as folders:
        folders.input.mkdir(parents=True)
        Image.new("RGB", (4, 4), (255, 0, 0)).save(folders.input / "a.png")
        notebook.cell("shown = nb.nodes.ImageInvert(nb.nodes.LoadImage(image='a.png').IMAGE)")
        assert (await notebook.show("shown")).ran == ["LoadImage", "ImageInvert"]
        assert (await notebook.show("shown")).ran == []
        Image.new("RGB", (4, 4), (0, 255, 0)).save(folders.input / "a.png")
        told = await notebook.show("shown")
        assert told.ran == ["LoadImage", "ImageInvert"]
        assert told.why("LoadImage") == "its fingerprint changed"
        assert told.why("ImageInvert") == "input `image` changed: node 1 above gives something else"
        assert torch.equal(told.value[0, 0, 0], torch.tensor([1.0, 0.0, 1.0]))


async def test_a_node_with_its_cache_off(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node(cache="off")
        def now() -> int:
            return 1
        result = now()
    """)
    await notebook.show("result")
    told = await notebook.show("result")
    assert told.ran == ["now"]
    assert told.why("now") == "its cache is off"


@pytest.mark.usefixtures("all_worth_disk")
async def test_restarting_the_kernel_with_a_disk_tier(notebook: Notebook, tmp_path: Path) -> None:
    async def in_a_new_kernel(by: float) -> Told:
        disk = DiskCache(tmp_path)
        with nb.use_session(nb.Session(disk=disk)):
            fresh = Notebook()
            for source in (PHOTO, BRIGHTEN, f"bright = brighten(photo(4), by={by})"):
                fresh.cell(source)
            told = await fresh.show("bright")
        disk.close()
        gc.collect()
        return told

    assert (await in_a_new_kernel(1.0)).ran == ["photo", "brighten"]
    told = await in_a_new_kernel(1.0)
    assert told.ran == []
    assert told.why("brighten") == "from an earlier run, on disk"
    assert told.value[0] == 3.0
    told = await in_a_new_kernel(2.0)
    assert told.ran == ["brighten"]
    assert told.why("photo") == "from an earlier run, on disk"
