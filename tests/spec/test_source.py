"""Classes of a pack's files count by their source: what they keep while they run does not."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import comfy_nb as nb
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
HELPERS = "def scaled(value): return value * 2"


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
    assert source_digest(nodes.Load) != between
    assert source_digest(old) == between


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
