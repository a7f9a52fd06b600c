"""A cell that defines a node, or what a node uses, is edited."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import comfy_nb as nb
from tests.engine.cell_edits.notebook import BRIGHTEN, Notebook


async def test_changing_a_global_that_the_node_reads(studio: Notebook) -> None:
    studio.cell("GAIN = 3")
    shown = await studio.show("bright")
    assert shown.ran == ["brighten"]
    assert shown.why("brighten") == "global `GAIN` changed 2 -> 3"
    assert shown.value[0] == 4.0


async def test_redefining_the_node(studio: Notebook) -> None:
    studio.cell(BRIGHTEN.replace("+ by", "- by"))
    shown = await studio.show("bright")
    assert shown.ran == ["brighten"]
    assert shown.why("brighten") == "code changed"
    assert shown.value[0] == 1.0


async def test_redefining_the_node_and_going_back(studio: Notebook) -> None:
    studio.cell(BRIGHTEN.replace("+ by", "- by"))
    await studio.show("bright")
    studio.cell(BRIGHTEN)
    shown = await studio.show("bright")
    assert shown.ran == []
    assert shown.why("brighten") == "from an earlier run"
    assert shown.value[0] == 3.0


async def test_changing_a_default(studio: Notebook) -> None:
    studio.cell("bright = brighten(picture)")
    assert (await studio.show("bright")).ran == []
    studio.cell(BRIGHTEN.replace("by: float = 1.0", "by: float = 2.0") + "bright = brighten(picture)")
    shown = await studio.show("bright")
    assert shown.ran == ["brighten"]
    assert shown.why("brighten") == "default of brighten's `by` changed 1.0 -> 2.0; input `by` changed 1.0 -> 2.0"
    assert shown.value[0] == 4.0


PAIR = """
both = brighter(softened(loaded(1)), softened(loaded(2)))
"""


async def test_equal_classes_on_two_branches_are_each_compared_with_their_own_branch(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node
        def softened(n: int) -> int:
            return n * 2
        @nb.node
        def brighter(n: int, m: int) -> int:
            return n + m
    """)
    for added in (1, 2):
        notebook.cell(f"@nb.node\ndef loaded(n: int) -> int:\n    return n + {added}\n{PAIR}")
        shown = await notebook.show("both")
    reasons = [shown.run.why(node_id) for node_id in ("2", "4")]
    assert reasons == [f"input `n` changed: node {above} above has a different result" for above in (1, 3)]


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
    shown = await softened.show("result")
    assert shown.ran == ["soft"]
    assert shown.why("soft") == "function `soften` changed"
    assert shown.value[0] == 7.0


async def test_editing_a_helper_of_a_helper(softened: Notebook) -> None:
    softened.cell("def twice(x):\n    return x * 3")
    shown = await softened.show("result")
    assert shown.ran == ["soft"]
    assert shown.why("soft") == "function `twice` changed"
    assert shown.value[0] == 4.0


async def test_editing_a_helper_that_is_reached_in_two_ways(softened: Notebook) -> None:
    softened.cell("""
        @nb.node
        def soft(image: torch.Tensor) -> torch.Tensor:
            return soften(image) + twice(image)
    """)
    assert (await softened.show("result")).why("soft") == "code changed"
    softened.cell("def twice(x):\n    return x * 3")
    shown = await softened.show("result")
    assert shown.ran == ["soft"]
    assert shown.why("soft") == "function `twice` changed"
    assert shown.value[0] == 7.0


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
    shown = await notebook.show("result")
    assert shown.ran == ["soft"]
    assert shown.why("soft") == "function `soften` is new"


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
    shown = await notebook.show("result")
    assert shown.ran == ["filtered"]
    assert shown.why("filtered") == "attribute `Kernel.weight` changed 2 -> 4"
    assert shown.value == 12


async def test_changing_what_a_closure_holds(notebook: Notebook) -> None:
    notebook.cell("""
        factor = [2]
        def make():
            held = factor
            @nb.node
            def scaled(x: int) -> int:
                return x * held[0]
            return scaled
        result = make()(5)
    """)
    assert (await notebook.show("result")).value == 10
    notebook.cell("factor[0] = 3")
    shown = await notebook.show("result")
    assert shown.ran == ["scaled"]
    assert shown.why("scaled") == "closure variable `held` changed"
    assert shown.value == 15


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
    shown = await notebook.show("result")
    assert shown.ran == ["pair"]
    assert shown.why("pair") == "signature changed"
    assert len(shown.run.outputs("1")) == 1


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
    shown = await notebook.show("result")
    assert shown.ran == ["strength"]
    assert shown.value == 7


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
    shown = await notebook.show("result")
    assert (shown.value, shown.ran) == (3, ["maybe"])
    notebook.cell(source.replace("x > 5", "x > 2"))
    shown = await notebook.show("result")
    assert (shown.value, shown.ran) == (103, ["costly", "maybe"])


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
    shown = await notebook.show("result")
    assert shown.ran == ["Invert"]
    assert shown.why("Invert") == "attribute `Invert.invert` changed"
    assert shown.value == -4


async def test_what_an_object_keeps_of_a_global_is_made_anew_when_that_changes(notebook: Notebook) -> None:
    notebook.cell("""
        WEIGHT = 2
        class Weigh:
            INPUT_TYPES = classmethod(lambda cls: {"required": {"x": ("INT", {"default": 1})}})
            RETURN_TYPES, FUNCTION = ("INT",), "weigh"
            def __init__(self):
                self.weight = WEIGHT
            def weigh(self, x):
                return (self.weight * x,)
        nb.register(Weigh)
        result = nb.nodes.Weigh(5)
    """)
    assert (await notebook.show("result")).value == 10
    notebook.cell("WEIGHT = 3")
    assert (await notebook.show("result")).value == 15
    notebook.cell("another = nb.nodes.Weigh(5)")
    shown = await notebook.show("another")
    assert (shown.value, shown.ran) == (15, [])


async def test_a_global_that_changes_while_an_expansion_runs_leaves_nothing_cached(notebook: Notebook) -> None:
    notebook.cell("""
        scale = 2
        @nb.node
        def reads(n: int, after: int) -> int:
            return n * scale
        @nb.node
        def changes(n: int) -> int:
            globals()["scale"] = 10
            return n
        class Expands:
            INPUT_TYPES = classmethod(lambda cls: {"required": {"n": ("INT", {"default": 3})}})
            RETURN_TYPES, FUNCTION = ("INT",), "expand"
            def expand(self, n):
                graph = nb.GraphBuilder()
                out = graph.node("reads", n=n, after=graph.node("changes", n=n).out(0)).out(0)
                return {"result": (out,), "expand": graph.finalize()}
        nb.register(Expands)
        result = nb.nodes.Expands(3)
    """)
    assert (await notebook.show("result")).value == 30
    notebook.cell("scale = 2")
    again = await notebook.show("result")
    assert {"reads", "Expands"} <= set(again.ran)


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
    shown = await notebook.show("result")
    assert shown.ran == ["soft"]
    assert shown.why("soft") == "global `FACTOR` changed 2 -> 30"
    assert shown.value == 150


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
    shown = await notebook.show("result")
    assert shown.ran == ["soft"]
    assert shown.why("soft") == "function `my_filters.soften` changed"


async def test_a_module_of_the_project_that_computes_what_it_gives(notebook: Notebook, module: Path) -> None:
    module.write_text("""
import sys, types
_factor = 2
class Filters(types.ModuleType):
    step = property(lambda self: self._factor)
sys.modules[__name__].__class__ = Filters
""")
    notebook.cell("""
        import my_filters
        @nb.node
        def step() -> int:
            return my_filters.step
        result = step()
    """)
    assert (await notebook.show("result")).value == 2
    assert (await notebook.show("result")).ran == []
    notebook.cell("my_filters._factor = 3")
    assert (await notebook.show("result")).value == 3
    notebook.cell("my_filters.Filters.step = 4")
    assert (await notebook.show("result")).value == 4


@pytest.mark.parametrize("change", ["del nameless.__name__", "nameless.__name__ = 5"])
async def test_a_node_may_read_a_module_without_a_name(notebook: Notebook, change: str) -> None:
    notebook.cell("import types\nnameless = types.ModuleType('nameless')\nnameless.step = 2\n" + change)
    notebook.cell("""
        @nb.node
        def step() -> int:
            return nameless.step
        result = step()
    """)
    assert (await notebook.show("result")).value == 2


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
    shown = await notebook.show("result")
    assert shown.value == 2
    assert shown.why("noted") == "global `log` changed"
