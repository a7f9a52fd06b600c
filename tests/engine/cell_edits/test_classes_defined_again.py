"""The cell of a class is run again, unchanged: objects of the class from before are not of the new one."""

from __future__ import annotations

import pytest

from tests.engine.cell_edits.notebook import Notebook

CLASSES = """
import enum
class Config:
    steps = 1
class Mode(enum.Enum):
    SOFT = 1
    HARD = 2
"""


@pytest.fixture
def configured(notebook: Notebook) -> Notebook:
    """A notebook with two classes."""
    notebook.cell(CLASSES)
    return notebook


async def test_an_object_that_a_node_reads_is_of_the_class_from_before(configured: Notebook) -> None:
    source = """
        config = Config()
        @nb.node
        def knows() -> bool:
            return isinstance(config, Config)
        result = knows()
    """
    configured.cell(source)
    assert (await configured.show("result")).value is True
    configured.cell(CLASSES)
    shown = await configured.show("result")
    assert (shown.value, shown.ran) == (False, ["knows"])
    configured.cell(source)
    shown = await configured.show("result")
    assert (shown.value, shown.ran) == (True, [])


async def test_an_object_that_a_node_takes_is_of_the_class_from_before(configured: Notebook) -> None:
    configured.cell("""
        config = Config()
        @nb.node
        def knows(config: object) -> bool:
            return isinstance(config, Config)
        result = knows(config)
    """)
    assert (await configured.show("result")).value is True
    configured.cell(CLASSES)
    shown = await configured.show("result")
    assert shown.value is False
    assert shown.why("knows") == "input `config` is of a class Config that was defined again"
    configured.cell("result = knows(config)")
    assert (await configured.show("result")).value is False


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ("Config()", "isinstance(it, Config)"),
        ("Mode.HARD", "it is Mode.HARD"),
        ("[Config()]", "isinstance(it[0], Config)"),
        ("Config", "it is Config"),
    ],
)
async def test_a_result_is_computed_again_to_be_of_the_class_that_is_there(
    configured: Notebook, made: str, asked: str
) -> None:
    configured.cell(f"""
        @nb.node
        def makes() -> object:
            return {made}
        @nb.node
        def knows(it: object, n: int = 0) -> bool:
            return {asked}
        it = makes()
        result, other = knows(it), knows(it, 1)
    """)
    assert (await configured.show("result")).value is True
    configured.cell(CLASSES)
    shown = await configured.show("other")
    assert (shown.value, shown.ran) == (True, ["makes", "knows"])
    assert "was defined again" in shown.why("makes")
    assert (await configured.show("result")).ran == []


async def test_a_node_that_only_uses_the_class_does_not_run_again(configured: Notebook) -> None:
    configured.cell("""
        @nb.node
        def uses() -> int:
            return Config().steps + Mode.HARD.value
        result = uses()
    """)
    await configured.show("result")
    configured.cell(CLASSES)
    assert (await configured.show("result")).ran == []


async def test_classes_with_equal_code_that_a_function_makes_are_told_apart(notebook: Notebook) -> None:
    notebook.cell("""
        def make():
            class Config: pass
            return Config
        First, Second = make(), make()
        config = First()
        @nb.node
        def knows() -> bool:
            return isinstance(config, First) and not isinstance(config, Second)
        result = knows()
    """)
    assert (await notebook.show("result")).value is True
    notebook.cell("First, Second = make(), make()\nconfig = First()")
    assert (await notebook.show("result")).ran == []
    notebook.cell("config = Second()")
    assert (await notebook.show("result")).value is False


async def test_a_function_that_a_table_has_from_before_is_another(notebook: Notebook) -> None:
    notebook.cell("def helper(): return 1")
    notebook.cell("""
        table = [helper]
        @nb.node
        def knows() -> bool:
            return helper in table
        result = knows()
    """)
    assert (await notebook.show("result")).value is True
    notebook.cell("def helper(): return 1")
    assert (await notebook.show("result")).value is False
