"""The order of the rooms within ui: a room may import the rooms before it in the list, also for types alone."""

from __future__ import annotations

import graphlib

import grimp
import pytest

ROOMS = (
    "render",
    "jupyter",
    "inspect",
    "run",
    "timeline",
    "graph",
    "sweep",
    "interact",
    "show_run",
    "views",
    "notebook",
)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The modules of ui, with those of ui that each imports."""
    graph = grimp.build_graph("comfy_nb", cache_dir=None)
    modules = {name for name in graph.modules if name.startswith("comfy_nb.ui.")}
    return {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}


def room_of(module: str) -> int:
    return ROOMS.index(module.split(".")[2])


def test_no_room_imports_a_room_after_it(imports):
    upward = {f"{name} -> {used}" for name in imports for used in imports[name] if room_of(name) < room_of(used)}
    assert upward == set()


def test_no_modules_import_each_other_in_a_circle(imports):
    graphlib.TopologicalSorter(imports).prepare()
