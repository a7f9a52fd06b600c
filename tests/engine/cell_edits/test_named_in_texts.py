"""Globals that a node's code names in texts or asks for by any name: an edit of one counts, or the node runs again."""

from __future__ import annotations

import pytest

from tests.engine.cell_edits.notebook import Notebook

SETUP = """
import builtins, dataclasses, importlib, json, operator, pickle, pkgutil, sys, typing
import numpy as np, pandas as pd, pydantic
frame = pd.DataFrame({"a": [1, 2, 3]})
class Part:
    size = 1
"""
GROW = "class Part:\n    size = 2"

# What the node needs besides, its expression, an edit, and what it gives before and after.
FOLLOWED = {
    "the hint of a helper": (
        "def helper(x: 'Part'): ...",
        "typing.get_type_hints(helper)['x'].size",
        GROW,
        (1, 2),
    ),
    "the hints of a cell with annotations from the future": (
        "from __future__ import annotations\ndef helper(x: list[Part] | None): ...",
        "typing.get_args(typing.get_args(typing.get_type_hints(helper)['x'])[0])[0].size",
        GROW,
        (1, 2),
    ),
    "the field of a dataclass": (
        "@dataclasses.dataclass\nclass Whole:\n    part: 'Part'",
        "typing.get_type_hints(Whole)['part'].size",
        GROW,
        (1, 2),
    ),
    "the field of a base class": (
        "class Base:\n    part: 'Part'\nclass Whole(Base): pass",
        "typing.get_type_hints(Whole)['part'].size",
        GROW,
        (1, 2),
    ),
    "a constant of a query": ("limit = 1", "len(frame.query('a > @limit'))", "limit = 2", (2, 1)),
    "a constant of an evaluation": ("k = 1", "int(frame.eval('a * @k').sum())", "k = 2", (6, 12)),
    "a constant of an evaluation without a table": ("k = 1", "int(pd.eval('k + 1'))", "k = 2", (2, 3)),
    "a constant of a query that is a global": (
        "limit = 1\nQUERY = 'a > @limit'",
        "len(frame.query(QUERY))",
        "limit = 2",
        (2, 1),
    ),
    "a constant of a query in a table of queries": (
        "limit = 1\nQUERIES = {'large': 'a > @limit'}",
        "len(frame.query(QUERIES['large']))",
        "limit = 2",
        (2, 1),
    ),
    "a constant of a query of an object": (
        "limit = 1\nclass Queries:\n    large = 'a > @limit'",
        "len(frame.query(Queries.large))",
        "limit = 2",
        (2, 1),
    ),
    "a constant of a query that is given to a helper": (
        "limit = 1\ndef keep(table, query): return table.query(query)",
        "len(keep(frame, 'a > @limit'))",
        "limit = 2",
        (2, 1),
    ),
    "a constant of a query that gets its arguments from a list": (
        "limit = 1\narguments = ['a > @limit']",
        "len(frame.query(*arguments))",
        "limit = 2",
        (2, 1),
    ),
    "an accessor of tables": (
        """
        @pd.api.extensions.register_dataframe_accessor("own")
        class Own:
            step = 1
            def __init__(self, table): self.table = table
            def size(self): return int(self.table.a.max()) * self.step
        """,
        "frame.own.size()",
        "Own.step = 2",
        (3, 6),
    ),
    "the classes registered with an abstract one": (
        "import abc\nclass Base(abc.ABC): pass",
        "int(issubclass(Part, Base))",
        "Base.register(Part)",
        (0, 1),
    ),
    "the classes derived from a class": (
        "class Own(Part): size = 1",
        "sum(each.size for each in Part.__subclasses__())",
        "class Other(Part): size = 4",
        (1, 5),
    ),
}


async def story(notebook: Notebook, cell: str, expression: str, head: str = "n: int") -> None:
    notebook.cell(SETUP)
    notebook.cell(cell)
    notebook.cell(f"@nb.node\ndef uses({head}) -> int:\n    return {expression}")
    notebook.cell("result = uses(3)")


@pytest.mark.parametrize("kind", FOLLOWED)
async def test_what_a_text_names_counts(notebook: Notebook, kind: str) -> None:
    cell, expression, edit, (before, after) = FOLLOWED[kind]
    await story(notebook, cell, expression)
    assert (await notebook.show("result")).value == before
    assert (await notebook.show("result")).ran == []
    notebook.cell(edit)
    shown = await notebook.show("result")
    assert (shown.value, shown.ran) == (after, ["uses"])


async def test_what_a_text_names_counts_in_the_cell_that_imports_what_reads_it(notebook: Notebook) -> None:
    notebook.cell("k = 1")
    notebook.cell("""
        import pandas as pd
        @nb.node
        def uses() -> int:
            return int(pd.eval("k + 1"))
        result = uses()
    """)
    assert (await notebook.show("result")).value == 2
    assert (await notebook.show("result")).ran == []
    notebook.cell("k = 2")
    assert (await notebook.show("result")).value == 3


# What the node needs besides, its expression, and what `why` names.
UNKNOWN = {
    "a pickle of a class": ("data = pickle.dumps(Part)", "pickle.loads(data).size", "pickle.loads"),
    "a pickle read in a closure": (
        """
        def make():
            import pickle
            return lambda data: pickle.loads(data)
        load, data = make(), pickle.dumps(Part)
        """,
        "load(data).size",
        "pickle.loads",
    ),
    "the modules in a closure": (
        """
        def make():
            import sys
            return lambda: sys.modules["__main__"].Part.size
        size = make()
        """,
        "size()",
        "sys.modules",
    ),
    "what is no pickle": ("data = b'no'", "pickle.loads(data) if n > 5 else n", "pickle.loads"),
    "a pickle from elsewhere": ("data = {1: pickle.dumps(1)}", "pickle.loads(data[1])", "pickle.loads"),
    "a pickle read by an imported function": (
        "from pickle import loads\ndata = pickle.dumps(1)",
        "loads(data)",
        "_pickle.loads",
    ),
    "an import in the code": (
        "",
        "__import__('types') and [m.loads for m in [__import__('pickle')]] and n",
        "__import__",
    ),
    "an imported import": (
        "from importlib import import_module",
        "import_module('__main__').Part.size",
        "import_module",
    ),
    "a name that is resolved": ("", "pkgutil.resolve_name('__main__:Part').size", "resolve_name"),
    "an imported function that resolves names": (
        "from pkgutil import resolve_name",
        "resolve_name('__main__:Part').size",
        "resolve_name",
    ),
    "the shell of the notebook": ("from IPython import get_ipython", "(get_ipython(), Part.size)[1]", "get_ipython"),
    "an evaluation under another name": ("calculate = eval", "calculate('Part.size')", "builtins.eval"),
    "the built-in functions of a function": (
        "def helper(): ...",
        "helper.__builtins__['eval']('Part.size')",
        "__builtins__",
    ),
    "a module handed on": ("", "getattr(sys, 'modules')['__main__'].Part.size", "sys"),
    "the modules": ("", "operator.attrgetter('Part.size')(sys.modules['__main__'])", "sys.modules"),
    "the globals": ("", "globals()['Part'].size", "globals"),
    "what pydantic imports": (
        "class Model(pydantic.BaseModel):\n    x: pydantic.ImportString",
        "Model(x='__main__.Part').x.size",
        "ImportString",
    ),
    "what an adapter imports": (
        "adapter = pydantic.TypeAdapter(pydantic.ImportString)",
        "adapter.validate_python('__main__.Part').size",
        "ImportString",
    ),
    "the classes derived from one that is handed over": (
        "def derived(kind): return kind.__subclasses__()",
        "len(derived(Part)) + n",
        "__subclasses__",
    ),
}


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_what_can_be_asked_for_any_name_is_not_used_again(notebook: Notebook, kind: str) -> None:
    cell, expression, what = UNKNOWN[kind]
    await story(notebook, cell, expression)
    await notebook.show("result")
    shown = await notebook.show("result")
    assert shown.ran == ["uses"]
    assert what in shown.why("uses")


async def test_a_query_that_is_given_is_not_known(notebook: Notebook) -> None:
    await story(notebook, "limit = 1", "len(frame.query(query))", "query: str")
    notebook.cell("result = uses('a > @limit')")
    assert (await notebook.show("result")).value == 2
    notebook.cell("limit = 2")
    shown = await notebook.show("result")
    assert shown.value == 1
    assert "its code reads whatever `.query()` is asked for" in shown.why("uses")


async def test_code_that_imports_in_a_function_what_can_read_any_global_is_not_used_again(notebook: Notebook) -> None:
    await story(notebook, "", "0")
    notebook.cell("""
        @nb.node
        def uses(n: int) -> int:
            import sys
            return sys.modules["__main__"].Part.size
        result = uses(3)
    """)
    await notebook.show("result")
    notebook.cell(GROW)
    assert (await notebook.show("result")).value == 2


async def test_a_function_that_reads_pickles_can_be_declared_constant(notebook: Notebook) -> None:
    await story(notebook, "load = nb.constant(pickle.loads)\ndata = {1: pickle.dumps(7)}", "load(data[1])")
    assert (await notebook.show("result")).value == 7
    assert (await notebook.show("result")).ran == []


ORDINARY = {
    "a model": ("model = torch.nn.Linear(1, 1).eval()", "int(model.eval().training) + n"),
    "a table with a number": ("", "len(frame.query(f'a > {n}'))"),
    "a tree": (
        "class Tree:\n    def query(self, points): return len(points)",
        "Tree().query([n])",
    ),
    "a pickle of numbers": ("data = pickle.dumps({'a': np.arange(3)})", "int(pickle.loads(data)['a'][1])"),
    "a copy by pickle": ("part = [1, 2]", "len(pickle.loads(pickle.dumps(part)))"),
    "json": ("", "json.loads('[1, 2]')[0]"),
    "a helper with hints": ("def helper(x: 'np.ndarray', y: 'Missing') -> 'Part': return 1", "helper(1, 2)"),
    "functions of torch": ("", "int(torch.load is not None) + sys.maxsize * 0"),
    "a text with an address": ("host = [1]", "len('me@host.org')"),
}


@pytest.mark.parametrize("kind", ORDINARY)
async def test_ordinary_code_is_used_again(notebook: Notebook, kind: str) -> None:
    cell, expression = ORDINARY[kind]
    await story(notebook, cell, expression)
    first = await notebook.show("result")
    assert first.ran == ["uses"]
    shown = await notebook.show("result")
    assert shown.ran == [], shown.why("uses")


async def test_why_names_the_class_that_has_other_subclasses(notebook: Notebook) -> None:
    await story(notebook, "", "len(Part.__subclasses__())")
    await notebook.show("result")
    notebook.cell("class Other(Part): pass")
    shown = await notebook.show("result")
    assert "subclasses of `Part` changed" in shown.why("uses")
