"""One function of a notebook makes several nodes of one name."""

from __future__ import annotations

import gc

from tests.engine.cell_edits.notebook import Notebook

MAKE = """
def make(k):
    @nb.node(title="Scale")
    def scale(x: int) -> int:
        return x * k
    return scale
"""
BOTH = "twice, thrice = make(2), make(3)\ndouble, triple = twice(1), thrice(1)"


async def values(notebook: Notebook, *names: str) -> list[int]:
    return [(await notebook.show(name)).value for name in names]


async def test_each_of_them_computes_with_its_own_function(notebook: Notebook) -> None:
    notebook.cell(MAKE + BOTH)
    assert await values(notebook, "double", "triple") == [2, 3]
    assert [notebook[name].spec.class_type for name in ("twice", "thrice")] == ["scale", "scale_2"]
    assert notebook["thrice"].spec.display_name == "Scale"
    notebook.cell("joined = thrice(twice(1))")
    assert await values(notebook, "joined") == [6]


async def test_a_call_that_outlives_its_node_computes_with_its_own_function(notebook: Notebook) -> None:
    notebook.cell(MAKE + "double = make(2)(1)\ntriple = make(3)(1)\nfresh = double.fresh()\ndel double")
    assert await values(notebook, "fresh", "triple") == [2, 3]


async def test_older_graphs_get_the_newer_definitions_of_all_of_them(notebook: Notebook) -> None:
    notebook.cell(MAKE + BOTH)
    assert await values(notebook, "double", "triple") == [2, 3]
    notebook.cell(MAKE.replace("x * k", "-x * k") + "twice, thrice = make(2), make(3)")
    assert await values(notebook, "double", "triple") == [-2, -3]


async def test_making_the_same_ones_again_gives_no_further_names(notebook: Notebook) -> None:
    notebook.cell(MAKE + BOTH)
    notebook.cell(BOTH)
    assert [notebook[name].spec.class_type for name in ("twice", "thrice")] == ["scale", "scale_2"]
    assert "scale_3" not in notebook["nb"].nodes


async def test_nodes_that_nobody_has_any_more_leave_their_names(notebook: Notebook) -> None:
    notebook.cell(MAKE + BOTH + "\ndel thrice, triple")
    gc.collect()  # a call and its graph hold each other
    notebook.cell("fourfold = make(4)")
    assert notebook["fourfold"].spec.class_type == "scale_2"


async def test_a_decorated_node_that_is_edited_is_no_other_one(notebook: Notebook) -> None:
    notebook.cell("""
        import functools
        def logged(function):
            @functools.wraps(function)
            def call(**inputs):
                return function(**inputs)
            return call
    """)
    node = "@nb.node\n@logged\ndef scale(x: int) -> int:\n    return x * 2\n"
    notebook.cell(node + "double = scale(1)")
    notebook.cell(node.replace("2", "4"))
    assert await values(notebook, "double") == [4]


async def test_a_node_that_happens_to_have_the_numbered_name_stays(notebook: Notebook) -> None:
    notebook.cell("@nb.node\ndef scale_2(x: int) -> int:\n    return x * 100\nhundred = scale_2(1)")
    notebook.cell(MAKE + BOTH)
    assert await values(notebook, "double", "triple", "hundred") == [2, 3, 100]
