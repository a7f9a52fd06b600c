"""What a library makes of the person's classes and functions: only an edit of these is a change."""

from __future__ import annotations

import pytest

from tests.engine.cell_edits.notebook import Notebook

# A cell, what the node computes with it, and an edit of the cell.
CELLS = {
    "a model of pydantic": (
        """
        import pydantic
        class Part(pydantic.BaseModel):
            size: int = 1
        class Whole(pydantic.BaseModel):
            parts: list["Part"] = []
            inner: "Whole | None" = None
        """,
        "len(Whole(parts=[Part(size=n)]).parts)",
        ("size: int = 1", "size: int = 2"),
    ),
    "a type adapter": (
        """
        import dataclasses, pydantic
        @dataclasses.dataclass
        class Part:
            size: int = 1
        adapter = pydantic.TypeAdapter(list[Part])
        """,
        "adapter.validate_python([{}])[0].size",
        ("size: int = 1", "size: int = 2"),
    ),
    "a function whose arguments pydantic checks": (
        """
        import pydantic
        @pydantic.validate_call(validate_return=True)
        def helper(x: int) -> int:
            return x + 1
        """,
        "helper(n)",
        ("x: int", "x: float"),
    ),
    "a function that is dispatched": (
        """
        import functools
        @functools.singledispatch
        def helper(x):
            return 0
        @helper.register
        def _(x: int):
            return 1
        """,
        "helper(n)",
        ("return 1", "return 2"),
    ),
    "a method that is dispatched": (
        """
        import functools
        class Helper:
            @functools.singledispatchmethod
            def go(self, x):
                return 0
            @go.register
            def _(self, x: int):
                return 1
        """,
        "Helper().go(n)",
        ("return 1", "return 2"),
    ),
    "a protocol": (
        """
        import typing
        @typing.runtime_checkable
        class Goes(typing.Protocol):
            def go(self): ...
        class Other:
            def go(self): return 1
        class Own(Goes): pass
        """,
        "isinstance(Other(), Goes) + isinstance(Own(), Goes)",
        ("return 1", "return 2"),
    ),
    "a class whose objects are copied": (
        """
        import copy
        class Part:
            size = 1
        part = Part()
        """,
        "copy.copy(part).size",
        ("size = 1", "size = 2"),
    ),
    "a reference to a class in a hint": (
        """
        import typing
        class Part:
            size = 1
        class Whole:
            parts: typing.List["int"]
        """,
        "len(typing.get_type_hints(Whole)) + Part.size",
        ("size = 1", "size = 2"),
    ),
}


@pytest.mark.parametrize("kind", CELLS)
async def test_a_node_that_uses_it_is_used_again_until_an_edit(notebook: Notebook, kind: str) -> None:
    cell, expression, edit = CELLS[kind]
    notebook.cell(cell)
    notebook.cell(f"@nb.node\ndef uses(n: int) -> int:\n    return {expression}\nresult = uses(3)")
    first = await notebook.show("result")
    assert (await notebook.show("result")).ran == []
    notebook.cell(cell)
    assert (await notebook.show("result")).ran == []
    notebook.cell(cell.replace(*edit))
    assert (await notebook.show("result")).ran == ["uses"]
    notebook.cell(cell)
    again = await notebook.show("result")
    assert (again.ran, again.value) == ([], first.value)


async def test_why_says_that_what_a_node_reads_changed_while_it_ran(notebook: Notebook) -> None:
    notebook.cell("""
        seen = []
        @nb.node
        def notes(n: int) -> int:
            if not seen:
                seen.append(n)
            return n
        result = notes(3)
    """)
    assert (await notebook.show("result")).ran == ["notes"]
    assert (await notebook.show("result")).ran == ["notes"]
    assert (await notebook.show("result")).ran == []
    notebook.cell("del seen[:]\nresult = notes(3)")
    shown = await notebook.show("result")
    assert shown.ran == ["notes"]
    assert shown.why("notes") == "the code that computed it, or what it reads, changed while it ran"
