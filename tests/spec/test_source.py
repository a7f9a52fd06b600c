"""Classes of a pack's files count by their source: what they keep while they run does not."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.spec.loads import CLOCK_NS
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.source import source_digest
from comfy_nb.spec.v1 import spec_from_v1

WRITTEN_NS = 1_700_000_000_000_000_000

Write = Callable[..., None]

NODES = """
from pack_of_this_test import helpers

LOADED = {}

class Load:
    used = {}
    INPUT_TYPES = classmethod(lambda cls: {"required": {"value": ("INT",)}})
    RETURN_TYPES, FUNCTION = ("INT",), "run"

    def run(self, value):
        LOADED[value] = self.used[value] = value
        return (helpers.scaled(value),)

def made(factor):
    class Made(Load):
        def run(self, value):
            return (value * factor,)
    return Made
"""
HELPERS = "GAIN = 2\ndef scaled(value): return value * 2"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a file of the pack `pack_of_this_test`; each has a later time than the one before."""
    folder = tmp_path / "pack_of_this_test"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = iter(range(WRITTEN_NS, WRITTEN_NS + 100))

    def write(name: str, text: str) -> None:
        path = folder / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        at = next(written)
        os.utime(path, ns=(at, at))

    write("__init__", "")
    write("helpers", HELPERS)
    write("nodes", NODES)
    yield write
    for name in [name for name in sys.modules if name.startswith("pack_of_this_test")]:
        del sys.modules[name]


@pytest.fixture
def nodes(write: Write) -> ModuleType:
    """The pack's module."""
    return importlib.import_module("pack_of_this_test.nodes")


def graph_of(cls: type, value: int = 1) -> nb.Graph:
    registry = Registry()
    nb.register({"Load": cls}, registry=registry)
    return nb.load({"1": {"class_type": "Load", "inputs": {"value": value}}}, registry)


def test_what_a_class_and_its_module_keep_does_not_count(nodes: ModuleType) -> None:
    with nb.use_session(nb.Session()):
        graph = graph_of(nodes.Load)
        assert graph.run_sync()["1"] == 2
        assert nodes.LOADED and nodes.Load.used
        run = graph.run_sync()
    assert run.counts == {"memory": 1}
    assert run.why("1") == "from an earlier run"


@pytest.mark.parametrize("name", ["nodes", "helpers"])
def test_an_edit_of_its_file_or_of_one_it_takes_from_counts(nodes: ModuleType, write: Write, name: str) -> None:
    before = source_digest(nodes.Load)
    write(name, {"nodes": NODES, "helpers": HELPERS}[name] + "\n# edited")
    assert source_digest(nodes.Load) != before


def test_a_file_that_was_edited_and_then_loaded_again_counts_once_more(nodes: ModuleType, write: Write) -> None:
    """Between the edit and the reload the old code runs, so its results are not those of the new one."""
    write("nodes", NODES + "\n# edited")
    old = nodes.Load
    source_digest(old)
    write("nodes", NODES + "\n# edited again")
    between = source_digest(old)
    importlib.reload(nodes)
    assert len({between, source_digest(nodes.Load), source_digest(old)}) == 3


TAKES_A_FUNCTION = "from pack_of_this_test import helpers\ndef result(value): return helpers.scaled(value)"
TAKES_A_CONSTANT = "from pack_of_this_test.helpers import GAIN\ndef result(value): return value * GAIN"
TAKES_IT_WHEN_IT_RUNS = "def result(value):\n    from .helpers import GAIN\n    return value * GAIN"
PASSES_ON = "from . import middle\ndef result(value): return middle.result(value)"
RETURNS = """
class Load:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"value": ("INT",)}})
    RETURN_TYPES, FUNCTION = ("INT",), "run"
    def run(self, value):
        return (result(value),)
"""


def helpers_of(gain: int) -> str:
    return f"GAIN = {gain}\ndef scaled(value): return value * {gain}"


@pytest.mark.parametrize("takes", [TAKES_A_FUNCTION, TAKES_A_CONSTANT, TAKES_IT_WHEN_IT_RUNS, PASSES_ON])
def test_what_ran_between_an_edit_and_a_reload_is_not_taken_for_what_runs_then(write: Write, takes: str) -> None:
    """Whatever is reloaded, no result of the old helper is found under its new text."""
    write("helpers", helpers_of(2))
    write("middle", TAKES_A_FUNCTION)
    write("nodes", takes + RETURNS)
    nodes = importlib.import_module("pack_of_this_test.nodes")
    helpers = importlib.import_module("pack_of_this_test.helpers")
    with nb.use_session(nb.Session()):
        write("helpers", helpers_of(3))
        assert graph_of(nodes.Load).run_sync()["1"] == 2
        importlib.reload(helpers)
        assert graph_of(nodes.Load).run_sync()["1"] == nodes.Load().run(1)[0]
        importlib.reload(nodes)
        assert graph_of(nodes.Load).run_sync()["1"] == 3
        write("helpers", helpers_of(4))
        assert graph_of(nodes.Load).run_sync()["1"] == 3
        importlib.reload(helpers)
        importlib.reload(nodes)
        run = graph_of(nodes.Load).run_sync()
        assert (run["1"], run.counts) == (4, {"ran": 1})
        assert graph_of(nodes.Load).run_sync().counts == {"memory": 1}


def test_code_that_was_patched_in_place_after_an_edit_counts(nodes: ModuleType, write: Write) -> None:
    """As IPython's autoreload does it, without a reload of the module."""
    with nb.use_session(nb.Session()):
        assert graph_of(nodes.Load).run_sync()["1"] == 2
        write("helpers", helpers_of(3))
        assert graph_of(nodes.Load).run_sync()["1"] == 2
        nodes.helpers.scaled.__code__ = (lambda value: value * 3).__code__
        assert graph_of(nodes.Load).run_sync()["1"] == 3
        write("helpers", HELPERS)
        assert graph_of(nodes.Load).run_sync()["1"] == 3


def test_a_helper_that_is_not_loaded_yet_counts_by_its_file(write: Write) -> None:
    write("nodes", TAKES_IT_WHEN_IT_RUNS + RETURNS)
    nodes = importlib.import_module("pack_of_this_test.nodes")
    write("helpers", helpers_of(3))
    before = source_digest(nodes.Load)
    write("helpers", helpers_of(4))
    assert source_digest(nodes.Load) != before
    assert "pack_of_this_test.helpers" not in sys.modules


SLOW = """
import time
from pack_of_this_test import helpers
def result(value):
    time.sleep(0.2)  # else it would not be worth keeping
    return helpers.scaled(value)
"""
IN_A_PROCESS = """
import sys, pathlib
import comfy_nb as nb
from pack_of_this_test import helpers, nodes
folder, gain = sys.argv[1:]
if gain:
    pathlib.Path(helpers.__file__).write_text(f"GAIN = {gain}\\ndef scaled(value): return value * {gain}")
nb.configure(cache_dir=folder)
nb.register({"Load": nodes.Load})
run = nb.load({"1": {"class_type": "Load", "inputs": {"value": 1}}}).run_sync()
print(run["1"], dict(run.counts))
nb.default_session().disk.close()
"""


@pytest.mark.process
def test_the_disk_has_no_results_of_code_that_its_file_did_not_hold(write: Write, tmp_path: Path) -> None:
    write("nodes", SLOW + RETURNS)
    time.sleep(CLOCK_NS / 1e9)  # only then the files are sure to be older than the processes

    def run(gain: str = "") -> str:
        command = [sys.executable, "-c", IN_A_PROCESS, str(tmp_path / "cache"), gain]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert run() == "2 {'ran': 1}"
    assert run() == "2 {'disk': 1}"
    assert run(gain="3").startswith("2 ")
    assert run() == "3 {'ran': 1}"


def test_classes_that_a_function_made_count_by_their_code(nodes: ModuleType) -> None:
    twice, again, thrice = nodes.made(2), nodes.made(2), nodes.made(3)
    assert source_digest(twice) == source_digest(again) != source_digest(thrice)
    before = source_digest(twice)
    twice.used[5] = 5
    assert source_digest(twice) == before


def test_a_class_whose_file_is_gone_is_known_by_its_name(nodes: ModuleType, write: Write, tmp_path: Path) -> None:
    (tmp_path / "pack_of_this_test" / "nodes.py").unlink()
    assert source_digest(nodes.Load) == source_digest(nodes.Load) != source_digest(nodes.made(2))


READERS = """
from contextvars import ContextVar
from pack_of_this_test import helpers

size, unread = ContextVar("size", default=1), ContextVar("unread", default=1)
LOADED = {}

class Load:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"value": ("INT",)}})
    RETURN_TYPES, FUNCTION = ("INT",), "run"

    def run(self, value):
        LOADED[value] = value
        return (self.inner(value),)

    @staticmethod
    def inner(value):
        def scaled():
            return value * size.get() * helpers.scale()
        return scaled()
"""
HELPERS_THAT_READ = """
from contextvars import ContextVar
scaling = ContextVar("scaling")
def scale():
    return scaling.get(1)
"""


def test_a_context_variable_that_the_code_of_a_class_reads_counts_by_its_value(write: Write) -> None:
    write("helpers", HELPERS_THAT_READ)
    write("nodes", READERS)
    nodes, helpers = (importlib.import_module(f"pack_of_this_test.{name}") for name in ("nodes", "helpers"))

    def run(**values: int) -> tuple[int, str]:
        variables = {"size": nodes.size, "scaling": helpers.scaling, "unread": nodes.unread}
        for name, value in values.items():
            variables[name].set(value)
        found = graph.run_sync()
        return found["1"], found.why("1")

    with nb.use_session(nb.Session()):
        graph = graph_of(nodes.Load)
        assert run() == (1, "first run")
        assert copy_context().run(run, size=2) == (2, "context variable `size` changed")
        changes = "context variable `scaling` changed; context variable `size` changed"
        assert copy_context().run(run, scaling=3) == (3, changes)
        assert copy_context().run(run, unread=4) == run() == (1, "from an earlier run")


WAYS_TO_READ = {
    "a method of an object": """
class Settings:
    def __init__(self):
        self.variable = scaling
    def current(self):
        return self.variable.get(1)
SETTINGS = Settings()
def scale():
    return SETTINGS.current()
""",
    "a default": """
def scale(variable=scaling):
    return variable.get(1)
""",
    "a dict": """
VARIABLES = {"scaling": [scaling]}
def scale():
    return VARIABLES["scaling"][0].get(1)
""",
}


@pytest.mark.parametrize("way", WAYS_TO_READ)
def test_a_context_variable_counts_in_whatever_way_it_is_reached(write: Write, way: str) -> None:
    variable = 'from contextvars import ContextVar\nscaling = ContextVar("scaling")\n'
    write("helpers", variable + WAYS_TO_READ[way])
    write("nodes", READERS)
    nodes, helpers = (importlib.import_module(f"pack_of_this_test.{name}") for name in ("nodes", "helpers"))

    def run(value: int) -> int:
        helpers.scaling.set(value)
        return graph.run_sync()["1"]

    with nb.use_session(nb.Session()):
        graph = graph_of(nodes.Load)
        assert [copy_context().run(run, value) for value in (2, 3)] == [2, 3]


SAYS = "import types\nclass Of:\n  __class__ = property(lambda self: {})\nLiar = Of()"
LIARS = {
    "a class of module 7": "class Liar: pass\nLiar.__module__ = 7",
    "a class of an unhashable module": "class Liar: pass\nLiar.__module__ = []",
    "a function of an unhashable module": "def Liar(): pass\nLiar.__module__ = []",
    "an object that says to be a module": SAYS.format("types.ModuleType"),
    "an object that says to be a function": SAYS.format("types.FunctionType"),
    "an object that says to be a class": SAYS.format("type"),
    "an object that does not say": SAYS.format("1 / 0"),
}


@pytest.mark.parametrize("liar", LIARS)
def test_what_lies_about_its_class_or_module_does_not_keep_a_class_from_being_known(write: Write, liar: str) -> None:
    write("nodes", f"{LIARS[liar]}\ndef result(value):\n    Liar\n    return value\n{RETURNS}")
    nodes = importlib.import_module("pack_of_this_test.nodes")
    with nb.use_session(nb.Session()):
        assert [graph_of(nodes.Load).run_sync().counts for _ in range(2)] == [{"ran": 1}, {"memory": 1}]


@pytest.mark.parametrize("module", [7, [], None])
def test_a_class_that_is_of_no_module_counts_by_its_code(nodes: ModuleType, module: Any) -> None:
    nodes.Load.__module__ = module
    with nb.use_session(nb.Session()):
        assert [graph_of(nodes.Load).run_sync()["1"] for _ in range(2)] == [2, 2]
        nodes.helpers.scaled = lambda value: value * 3
        assert graph_of(nodes.Load).run_sync()["1"] == 3


def test_a_class_of_a_notebook_counts_by_what_it_reads_now() -> None:
    scope: dict[str, Any] = {"__name__": "__main__", "FACTOR": 2}
    source = """
    class Scale:
        INPUT_TYPES = classmethod(lambda cls: {"required": {}})
        RETURN_TYPES, FUNCTION = ("INT",), "run"
        def run(self):
            return (FACTOR,)
    """
    exec(textwrap.dedent(source), scope)
    spec = spec_from_v1(scope["Scale"])
    before = spec.code()
    scope["FACTOR"] = 3
    assert spec.code() != before
