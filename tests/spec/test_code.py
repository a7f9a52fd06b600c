# ruff: noqa: E501
"""Digests of code: which edits of a notebook must change them, and which must not."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import types
from importlib import metadata

import matplotlib
import numpy
import pytest

from comfy_nb.spec.code import code_digest, is_local
from comfy_nb.spec.fingerprint import digest_of
from comfy_nb.spec.ledger import unreadable_in_code
from comfy_nb.spec.locality import version_of


class Notebook:
    """Cells that run in one namespace, as a kernel runs them."""

    def __init__(self, *cells: str) -> None:
        self.names: dict = {"__name__": "__main__"}
        for cell in cells:
            self.run(cell)

    def run(self, cell: str) -> None:
        exec(compile(textwrap.dedent(cell), "<cell>", "exec"), self.names)

    def digest(self, name: str = "f") -> bytes:
        return code_digest(self.names[name]).value


def digest(cell: str) -> bytes:
    return Notebook(cell).digest()


SAME = {
    "run again": ("def f(x): return x + 1", "def f(x): return x + 1"),
    "comments and spaces": ("def f(x): return x + 1", "# more\n\ndef f(x):\n    # add\n    return (x +   1)"),
    "annotations": ("def f(x): return x", "def f(x: int) -> int: return x"),
    "a helper that is not used": ("def f(x): return x", "def g(): pass\nUNUSED = 3\ndef f(x): return x"),
    "an attribute of the same name as a global": (
        "mean = 1\ndef f(x): return x.mean()",
        "mean = 2\ndef f(x): return x.mean()",
    ),
    "order of helpers": ("def g(): return 1\ndef h(): return 2\ndef f(): return g() + h()",) * 2,
    "equal objects": ("A = 'ab' * 2\ndef f(): return A", "A = 'abab'\ndef f(): return A"),
    "a class run again": ("class A:\n    n = 1\n    def go(self): return self.n\ndef f(): return A()",) * 2,
}

DIFFERENT = {
    "body": ("def f(x): return x + 1", "def f(x): return x - 1"),
    "constant": ("def f(x): return x + 1", "def f(x): return x + 2"),
    "type of a constant": ("def f(): return 1", "def f(): return 1.0"),
    "default": ("def f(x=1): return x", "def f(x=2): return x"),
    "keyword default": ("def f(*, x=1): return x", "def f(*, x=2): return x"),
    "which keyword has the default": ("def f(*, x=1, y): return x", "def f(*, x, y=1): return x"),
    "kind of parameter": ("def f(x, y): return x", "def f(x, *, y): return x"),
    "async": ("def f(x): return x", "async def f(x): return x"),
    "called method": ("def f(x): return x.a()", "def f(x): return x.b()"),
    "global": ("K = 1\ndef f(): return K", "K = 2\ndef f(): return K"),
    "type of a global": ("K = 1\ndef f(): return K", "K = True\ndef f(): return K"),
    "global list": ("K = [1]\ndef f(): return K", "K = [2]\ndef f(): return K"),
    "list and tuple": ("K = [1]\ndef f(): return K", "K = (1,)\ndef f(): return K"),
    "dict and list": ("K = {1: 2}\ndef f(): return K", "K = [1, 2]\ndef f(): return K"),
    "which container is empty": ("K = {}\ndef f(): return K", "K = []\ndef f(): return K"),
    "container in a container": ("K = {'a': ['w', 1]}\ndef f(): return K", "K = {'a': {'w': 1}}\ndef f(): return K"),
    "container in a default": ("def f(x=[1]): return x", "def f(x=(1,)): return x"),
    "container in a closure": (
        "def m(k): return lambda: k\nf = m([1])",
        "def m(k): return lambda: k\nf = m((1,))",
    ),
    "container in a class": ("class A: n = [1]\ndef f(): return A.n", "class A: n = (1,)\ndef f(): return A.n"),
    "container in an attribute of a function": (
        "def g(): pass\ng.k = [1]\ndef f(): return g.k",
        "def g(): pass\ng.k = (1,)\ndef f(): return g.k",
    ),
    "container in a partial": (
        "from functools import partial\ng = partial(print, [1])\ndef f(): return g()",
        "from functools import partial\ng = partial(print, (1,))\ndef f(): return g()",
    ),
    "container that holds a function": (
        "def g(): pass\nK = [g]\ndef f(): return K",
        "def g(): pass\nK = (g,)\ndef f(): return K",
    ),
    "view of a dict": (
        "import types\nK = types.MappingProxyType({1: 2})\ndef f(): return K",
        "K = {1: 2}\ndef f(): return K",
    ),
    "which parts of a global are shared": ("a = []\nK = [a, a]\ndef f(): return K", "K = [[], []]\ndef f(): return K"),
    "whether two globals are one": ("A = B = []\ndef f(): return A is B", "A, B = [], []\ndef f(): return A is B"),
    "whether closures share a variable": (
        "def m():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    return up, lambda: n\nup, get = m()\ndef f():\n    up()\n    return get()",
        "def m():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    return up, lambda: n\nup, get = m()[0], m()[1]\ndef f():\n    up()\n    return get()",
    ),
    "an attribute of a partial": (
        "from functools import partial\ng = partial(len)\ng.k = 1\ndef f(): return g.k",
        "from functools import partial\ng = partial(len)\ng.k = 2\ndef f(): return g.k",
    ),
    "annotations of a helper": (
        "import inspect\ndef g(x: int): pass\ndef f(): return inspect.signature(g)",
        "import inspect\ndef g(x: float): pass\ndef f(): return inspect.signature(g)",
    ),
    "annotations of a method": (
        "import inspect\nclass A:\n    def go(self, x: int): pass\ndef f(): return inspect.signature(A.go)",
        "import inspect\nclass A:\n    def go(self, x: float): pass\ndef f(): return inspect.signature(A.go)",
    ),
    "name of a helper": (
        "def weather(city): return 1\nTOOLS = [weather]\ndef f(): return [g.__name__ for g in TOOLS]",
        "def forecast(city): return 1\nTOOLS = [forecast]\ndef f(): return [g.__name__ for g in TOOLS]",
    ),
    "docstring of a helper": (
        "def g(): 'one'\ndef f(): return g.__doc__",
        "def g(): 'two'\ndef f(): return g.__doc__",
    ),
    "helper": ("def g(): return 1\ndef f(): return g()", "def g(): return 2\ndef f(): return g()"),
    "helper of a helper": (
        "def h(): return 1\ndef g(): return h()\ndef f(): return g()",
        "def h(): return 2\ndef g(): return h()\ndef f(): return g()",
    ),
    "which helper": (
        "def g(): return 1\ndef h(): return 2\na, b, c = g, h, g\ndef f(): return a() + b() + c()",
        "def g(): return 1\ndef h(): return 2\na, b, c = g, h, h\ndef f(): return a() + b() + c()",
    ),
    "default of a helper": ("def g(n=1): return n\ndef f(): return g()", "def g(n=2): return n\ndef f(): return g()"),
    "recursion": (
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\nf = even",
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 1 and even(n - 1)\nf = even",
    ),
    "nested function": ("def f():\n    def g(): return 1\n    return g()", "def f():\n    def g(): return 2\n    return g()"),
    "global in a nested function": (
        "K = 1\ndef f():\n    def g(): return K\n    return g()",
        "K = 2\ndef f():\n    def g(): return K\n    return g()",
    ),
    "lambda": ("f = lambda x: x + 1", "f = lambda x: x + 2"),
    "global in a lambda": ("K = 1\ndef f(xs): return sorted(xs, key=lambda x: x * K)",
                           "K = 2\ndef f(xs): return sorted(xs, key=lambda x: x * K)"),
    "comprehension": ("def f(xs): return [x + 1 for x in xs]", "def f(xs): return [x + 2 for x in xs]"),
    "global in a comprehension": ("K = 1\ndef f(xs): return [x + K for x in xs]", "K = 2\ndef f(xs): return [x + K for x in xs]"),
    "closure": ("def m(k):\n    def f(): return k\n    return f\nf = m(1)", "def m(k):\n    def f(): return k\n    return f\nf = m(2)"),
    "function in a closure": (
        "def m(k):\n    def f(): return k()\n    return f\nf = m(lambda: 1)",
        "def m(k):\n    def f(): return k()\n    return f\nf = m(lambda: 2)",
    ),
    "partial": (
        "from functools import partial\ndef g(a, b): return a\nh = partial(g, 1)\ndef f(): return h()",
        "from functools import partial\ndef g(a, b): return a\nh = partial(g, 2)\ndef f(): return h()",
    ),
    "keyword of a partial": (
        "from functools import partial\ndef g(a, b): return a\nh = partial(g, a=1)\ndef f(): return h()",
        "from functools import partial\ndef g(a, b): return a\nh = partial(g, b=1)\ndef f(): return h()",
    ),
    "decorator": (
        "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(x): return g(x) + 1\n    return w\n@d\ndef f(x): return x",
        "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(x): return g(x) + 2\n    return w\n@d\ndef f(x): return x",
    ),
    "global behind functools.cache": (
        "import functools\nK = 1\n@functools.cache\ndef g(): return K\ndef f(): return g()",
        "import functools\nK = 2\n@functools.cache\ndef g(): return K\ndef f(): return g()",
    ),
    "body under no_grad": (
        "import torch\n@torch.no_grad()\ndef f(x): return x + 1",
        "import torch\n@torch.no_grad()\ndef f(x): return x + 2",
    ),
    "function in a table": ("def g(): return 1\nT = {'g': g}\ndef f(): return T", "def g(): return 2\nT = {'g': g}\ndef f(): return T"),
    "method": ("class A:\n    def go(self): return 1\ndef f(): return A()", "class A:\n    def go(self): return 2\ndef f(): return A()"),
    "class attribute": ("class A:\n    n = 1\ndef f(): return A.n", "class A:\n    n = 2\ndef f(): return A.n"),
    "class attribute named like those of abstract classes": (
        "class A:\n    _abc_n = 1\ndef f(): return A._abc_n",
        "class A:\n    _abc_n = 2\ndef f(): return A._abc_n",
    ),
    "base class": (
        "class B:\n    n = 1\nclass A(B): pass\ndef f(): return A.n",
        "class B:\n    n = 2\nclass A(B): pass\ndef f(): return A.n",
    ),
    "property": (
        "class A:\n    @property\n    def n(self): return 1\ndef f(): return A().n",
        "class A:\n    @property\n    def n(self): return 2\ndef f(): return A().n",
    ),
    "cached property": (
        "import functools\nclass A:\n    @functools.cached_property\n    def n(self): return 1\ndef f(): return A().n",
        "import functools\nclass A:\n    @functools.cached_property\n    def n(self): return 2\ndef f(): return A().n",
    ),
    "static method": (
        "class A:\n    @staticmethod\n    def n(): return 1\ndef f(): return A.n()",
        "class A:\n    @staticmethod\n    def n(): return 2\ndef f(): return A.n()",
    ),
    "dataclass default": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\ndef f(): return A()",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 2\ndef f(): return A()",
    ),
    "enum value": (
        "import enum\nclass A(enum.Enum):\n    x = 1\ndef f(): return A.x.value",
        "import enum\nclass A(enum.Enum):\n    x = 2\ndef f(): return A.x.value",
    ),
    "property of an enum": (
        "import enum\nclass A(enum.Enum):\n    x = 1\n    @enum.property\n    def n(self): return 1\ndef f(): return A.x.n",
        "import enum\nclass A(enum.Enum):\n    x = 1\n    @enum.property\n    def n(self): return 2\ndef f(): return A.x.n",
    ),
    "descriptor of an installed class": (
        "import types\nclass A:\n    @types.DynamicClassAttribute\n    def n(self): return 1\ndef f(): return A().n",
        "import types\nclass A:\n    @types.DynamicClassAttribute\n    def n(self): return 2\ndef f(): return A().n",
    ),
    "state of a bound method": (
        "class A:\n    def __init__(self, n): self.n = n\n    def go(self): return self.n\ngo = A(1).go\ndef f(): return go()",
        "class A:\n    def __init__(self, n): self.n = n\n    def go(self): return self.n\ngo = A(2).go\ndef f(): return go()",
    ),
    "state of a plain object": (
        "import types\nc = types.SimpleNamespace(k=1)\ndef f(): return c.k",
        "import types\nc = types.SimpleNamespace(k=2)\ndef f(): return c.k",
    ),
    "an attribute of a function": (
        "def g(): pass\ng.k = 1\ndef f(): return g.k",
        "def g(): pass\ng.k = 2\ndef f(): return g.k",
    ),
    "a weight of a module": (
        "import torch\nm = torch.nn.Linear(1, 1)\nm.weight.data.fill_(1)\nm.bias.data.fill_(0)\ndef f(x): return m(x)",
        "import torch\nm = torch.nn.Linear(1, 1)\nm.weight.data.fill_(2)\nm.bias.data.fill_(0)\ndef f(x): return m(x)",
    ),
    "what a decorator of an installed package was given": (
        "import contextlib\ndef g(n):\n    def h(): yield n\n    return contextlib.contextmanager(h)\nh = g(1)\ndef f(): return h()",
        "import contextlib\ndef g(n):\n    def h(): yield n\n    return contextlib.contextmanager(h)\nh = g(2)\ndef f(): return h()",
    ),
    "which decorator of an installed package": (
        "import torch\ndef g(x): return x.sum()\nh = torch.func.grad(g)\ndef f(x): return h(x)",
        "import torch\ndef g(x): return x.sum()\nh = torch.func.grad_and_value(g)\ndef f(x): return h(x)",
    ),
    "what a bound builtin belongs to": ("join = '-'.join\ndef f(x): return join(x)", "join = '+'.join\ndef f(x): return join(x)"),
    "an installed function": ("from math import sin as g\ndef f(x): return g(x)", "from math import cos as g\ndef f(x): return g(x)"),
    "a function of numpy": ("from numpy import sin as g\ndef f(x): return g(x)", "from numpy import cos as g\ndef f(x): return g(x)"),
    "an installed Python function": (
        "from textwrap import dedent as g\ndef f(x): return g(x)",
        "from textwrap import indent as g\ndef f(x): return g(x)",
    ),
    "a module": ("import math as m\ndef f(x): return m.sqrt(x)", "import cmath as m\ndef f(x): return m.sqrt(x)"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_what_does_not_matter_leaves_the_digest(case):
    before, after = SAME[case]
    assert digest(before) == digest(after)


@pytest.mark.parametrize("case", DIFFERENT)
def test_an_edit_that_can_matter_changes_the_digest(case):
    before, after = DIFFERENT[case]
    assert digest(before) != digest(after)


def test_a_name_that_is_defined_later_changes_the_digest():
    notebook = Notebook("def f(): return later()")
    before = notebook.digest()
    notebook.run("def later(): return 1")
    assert notebook.digest() != before


def test_a_global_edited_and_put_back_gives_the_first_digest():
    notebook = Notebook("K = 1", "def f(): return K")
    before = notebook.digest()
    notebook.run("K = 2")
    assert notebook.digest() != before
    notebook.run("K = 1")
    assert notebook.digest() == before


@pytest.mark.parametrize("kind", ["Flag", "IntFlag"])
def test_what_is_computed_of_flags_is_no_change(kind):
    notebook = Notebook(f"import enum\nclass A(enum.{kind}):\n    x = 1\n    y = 2", "def f(): return A.x | A.y")
    before, member = notebook.digest(), digest_of(notebook.names["A"].x)
    notebook.run("f(), ~A.x")
    assert notebook.digest() == before
    assert digest_of(notebook.names["A"].x) == member
    notebook.run(f"class A(enum.{kind}):\n    x = 1\n    y = 2\n    z = 4")
    assert notebook.digest() != before


def test_a_global_in_which_everything_is_shared_is_read_in_one_pass():
    notebook = Notebook("K = [1]\nfor _ in range(60): K = [K, K]", "def f(): return K")
    before = notebook.digest()
    notebook.run("K[0][0][1] = [2]")
    assert notebook.digest() != before


def test_code_that_reads_more_objects_than_can_be_read_at_each_run_is_not_reusable():
    notebook = Notebook("K = [[] for _ in range(200_001)]", "def f(): return K")
    found = code_digest(notebook.names["f"])
    assert not found.reusable
    assert unreadable_in_code(found.value) == "global `K` is a value too deep or too large to be read at each run"


def test_a_compiled_function_of_an_installed_package_is_known_by_its_name():
    found = code_digest(Notebook("from numpy.random import rand as g\ndef f(): return g()").names["f"])
    assert found.reusable and found.durable


def test_helpers_and_a_table_that_know_each_other_have_one_digest_each_time():
    cells = "T = {}\ndef g(): return T\ndef h(): return g() or T\nT['g'], T['h'] = g, h\ndef f(): return T"
    assert digest(cells) == digest(cells) != digest(cells.replace("g() or T", "g() and T"))


def test_a_node_that_calls_another_nodes_code_changes_with_it():
    cells = "import comfy_nb as nb\n@nb.node(class_type='inner of a test')\ndef g(x: int) -> int: return x + {}\ndef f(x): return g.function(x)"
    assert digest(cells.format(1)) == digest(cells.format(1)) != digest(cells.format(2))


def test_several_things_are_digested_together():
    names = Notebook("def f(): return 1\ndef g(): return 2").names
    assert code_digest(names["f"], names["g"]) != code_digest(names["f"])


def test_a_closure_that_is_not_filled_yet_can_be_digested():
    names = Notebook("def make():\n    def f(): return later\n    yield f\n    later = 1\nf = next(make())").names
    assert len(code_digest(names["f"]).value) == 16


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(name, source):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        importlib.invalidate_caches()
        module = path.relative_to(tmp_path).with_suffix("").as_posix().replace("/", ".")
        if module in sys.modules:
            importlib.reload(sys.modules[module])

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("file", "cell"),
    [
        ("own_tools.py", "import own_tools\ndef f(): return own_tools.scale()"),
        ("own_tools.py", "import own_tools as t\ndef f(): return t.scale()"),
        ("own_space/own_tools.py", "import own_space.own_tools\ndef f(): return own_space.own_tools.scale()"),
        ("own_tools.py", "import own_tools\ndef f():\n    import own_tools\n    return own_tools.scale()"),
        ("own_tools.py", "import own_tools\ndef f():\n    from own_tools import scale\n    return scale()"),
    ],
)
def test_a_module_of_the_project_counts_when_edited_and_reloaded(project, file, cell):
    project(file, "K = 1\ndef scale(): return K\ndef other(): return 1\n")
    notebook = Notebook(cell)
    before = notebook.digest()
    project(file, "K = 1\ndef scale(): return K\ndef other(): return 2\n")
    assert notebook.digest() == before
    project(file, "K = 2\ndef scale(): return K\ndef other(): return 2\n")
    assert notebook.digest() != before


LAZY = "T = {'n': 1}\ndef __getattr__(name): return T[name] + 0\n"


@pytest.mark.parametrize("edit", [("'n': 1", "'n': 2"), ("+ 0", "+ 1")])
def test_what_a_module_computes_for_a_missing_name_counts(project, edit):
    project("own_lazy.py", LAZY)
    notebook = Notebook("import own_lazy\ndef f(): return own_lazy.n")
    before = notebook.digest()
    project("own_lazy.py", LAZY.replace(*edit))
    assert notebook.digest() != before


@pytest.mark.parametrize(
    "reading", ["own_tools.__dict__['K']", "vars(own_tools)['K']", "getattr(own_tools, 'K')", "own_tools.__version__"]
)
def test_a_module_that_is_handed_on_counts_with_all_that_it_holds(project, reading):
    project("own_tools.py", "K = 1\n__version__ = '1'\n")
    notebook = Notebook(f"import own_tools\ndef f(): return {reading}")
    before = notebook.digest()
    notebook.run("own_tools.K, own_tools.__version__ = 2, '2'")
    assert notebook.digest() != before


@pytest.mark.parametrize(
    "statement",
    ["import own_box.own_tools as it", "from own_box import own_tools as it", "import own_box.own_tools as it, math"],
)
def test_a_module_that_a_function_imports_and_hands_on_counts_with_all_that_it_holds(project, statement):
    project("own_box/__init__.py", "")
    project("own_box/own_tools.py", "K = 1\n")
    notebook = Notebook(f"import own_box.own_tools\ndef f():\n    {statement}\n    return vars(it)['K']")
    before = notebook.digest()
    notebook.run("own_box.own_tools.K = 2")
    assert notebook.digest() != before


def test_a_package_counts_where_a_function_imports_a_module_of_it(project):
    project("own_box/__init__.py", "K = 1\n")
    project("own_box/own_tools.py", "")
    notebook = Notebook("import own_box.own_tools\ndef f():\n    import own_box.own_tools\n    return own_box.K")
    before = notebook.digest()
    notebook.run("own_box.K = 2")
    assert notebook.digest() != before


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("own_later.py", "import own_later"),
        ("own_later.py", "from own_later import K"),
        ("own_box/own_later.py", "from own_box import own_later"),
        ("own_box/own_later.py", "import own_box.own_later as it"),
    ],
)
def test_a_module_that_is_there_only_later_counts(project, file, statement):
    project("own_box/__init__.py", "")
    notebook = Notebook(f"import own_box\ndef f():\n    try: {statement}\n    except Exception: return 0\n    return 1")
    before = notebook.digest()
    project(file, "raise ValueError\n")
    broken = notebook.digest()
    project(file, "K = 1\n")
    assert len({before, broken, notebook.digest()}) == 3


def test_an_installed_module_counts_the_same_before_it_is_imported():
    notebook = Notebook("def f():\n    import this\n    return this.c")
    assert "this" not in sys.modules
    before = notebook.digest()
    notebook.names["f"]()
    assert notebook.digest() == before


def test_code_that_uses_an_installed_package_counts_its_version(monkeypatch):
    notebook = Notebook("import numpy as np\ndef f(): return np.zeros(1)")
    before = notebook.digest()
    monkeypatch.setattr(numpy, "__version__", "0.1")
    assert notebook.digest() != before


def test_a_package_that_tells_no_version_counts_by_the_one_that_was_installed(monkeypatch):
    monkeypatch.delitem(vars(matplotlib), "__version__", raising=False)  # it tells it only when it is asked
    assert version_of("matplotlib.figure") == metadata.version("matplotlib")
    assert version_of("importlib.util") == version_of("nothing_of_this_name") == ""


def test_a_module_as_a_value_counts_by_its_name_and_all_that_its_code_sets():
    first, second = types.ModuleType("a"), types.ModuleType("a")
    assert digest_of(first) == digest_of(second) != digest_of(types.ModuleType("b"))
    second.__version__ = "2"
    assert digest_of(first) != digest_of(second)


@pytest.mark.parametrize(
    ("reading", "what"),
    [
        ("eval('K')", "eval"),
        ("g.__globals__['K']", "__globals__"),
        ("sys._getframe().f_globals['K']", "f_globals"),
        ("sys.modules['x']", "sys.modules"),
        ("builtins.eval('K')", "builtins.eval"),
        ("getattr(g, '__globals__')['K']", "__globals__"),
        ("inspect.getmodule(g).K", "inspect.getmodule"),
        ("pydoc.locate('__main__.K')", "pydoc.locate"),
        ("IPython.get_ipython().ev('K')", "IPython.get_ipython"),
        ("timeit.timeit('print(__main__.K)', 'import __main__')", "timeit"),
        ("gc.get_objects()[-1].K", "gc.get_objects"),
        ("runpy.run_module('own')['K']", "runpy.run_module"),
    ],
)
def test_code_that_can_read_any_global_by_name_is_not_reusable(reading, what):
    imports = "import IPython, builtins, gc, inspect, pydoc, runpy, sys, timeit"
    notebook = Notebook(f"{imports}\ndef g(): pass\ndef f(): return {reading}")
    found = code_digest(notebook.names["f"])
    assert not found.reusable
    assert unreadable_in_code(found.value) == f"its code reads whatever `{what}` is asked for"


def test_modules_that_import_each_other_end(project):
    project("own_a.py", "import own_b\nn = 1\n")
    project("own_b.py", "import own_a\n")
    assert len(Notebook("import own_a\ndef f(): return own_a.own_b.own_a.n").digest()) == 16


EVERYTHING = """
import dataclasses, enum, functools, logging, re
from typing import NamedTuple
import numpy as np, torch
from numpy import sin
log = logging.getLogger("x")
WORD = re.compile("a+")
KIND = torch.float16
TABLE = {"b": 1, "a": {3, 1, 2}}

@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = 3
    names: list = dataclasses.field(default_factory=list)

class Mood(enum.Enum):
    CALM = 1

class Pair(NamedTuple):
    a: int
    b: int = 2

class Thing:
    __slots__ = ("x",)
    @functools.cached_property
    def wide(self): return 1

@functools.lru_cache(maxsize=None)
def helper(): return Config(), Mood.CALM, Pair(1)

@torch.no_grad()
def f(x):
    log.info("go")
    if x in {"p", "q", "r"}:
        return x[..., 0]
    return helper(), KIND, TABLE, Thing, WORD, sin(x), np.cos(x), len(x)
"""


@pytest.mark.process
def test_the_digest_is_the_same_in_another_process():
    program = (
        "import sys; from tests.spec.test_code import EVERYTHING, Notebook; print(Notebook(EVERYTHING).digest().hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {Notebook(EVERYTHING).digest().hex() + "\n"}


def test_installed_and_own_code_are_distinguished():
    assert is_local("__main__") and is_local(None) and is_local("no.such.module") and is_local(__name__)
    assert not any(is_local(name) for name in ("os", "sys", "torch", "numpy", "comfy_nb.spec.code"))
