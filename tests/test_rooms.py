"""The rooms of the house: a room may import the rooms before it in the list, never one after it, for types either."""

from __future__ import annotations

import graphlib
import json
import subprocess
import sys

import grimp
import pytest

ROOMS = (
    "wording",
    "tracebacks",
    "errors",
    "spec",
    "graph",
    "engine",
    "tasks",
    "flow",
    "library",
    "node_files",
    "compat",
    "packs",
    "parameters",
    "remote",
    "server",
    "ui",
    "api",
)
OPENS_INTO_ALL = {"", "__main__", "api", "cli", "magics"}
CORE = ("wording", "tracebacks", "errors", "spec", "graph", "engine")
KEPT_OUT_OF_CORE = {"IPython", "aiohttp", "anywidget", "dask", "ipywidgets"}


SUB_ROOMS = {
    "engine": ("cache", "node_api", "planning", "execution"),
    "ui": (
        "render",
        "jupyter",
        "inspect",
        "run",
        "timeline",
        "graph",
        "sweep",
        "interact",
        "show_run",
        "run_rows",
        "presenter",
        "notebook",
        "doctor",
    ),
}


def room_of(module: str) -> str:
    name = [*module.split("."), ""][1]
    return "api" if name in OPENS_INTO_ALL else name


def sub_room_of(module: str) -> str:
    """The sub-room of a module; a file that lies directly in a room is a sub-room of its own."""
    return ".".join(module.split(".")[:3])


Imports = dict[str, set[str]]


def modules_of(graph: grimp.ImportGraph) -> Imports:
    """Each of our modules, with those of ours that it imports."""
    ours = {name for name in graph.modules if name.split(".")[0] == "comfy_nb"}
    return {name: set(graph.find_modules_directly_imported_by(name)) & ours - {name} for name in ours}


def wrong_imports(imports: Imports) -> list[str]:
    """Every import that goes from a room to one after it, as "importer -> imported"."""
    return sorted(
        f"{importer} -> {imported}"
        for importer, used in imports.items()
        for imported in used
        if ROOMS.index(room_of(importer)) < ROOMS.index(room_of(imported))
    )


def folded(imports: Imports) -> Imports:
    """The imports between sub-rooms."""
    found: Imports = {}
    for importer, used in imports.items():
        here = sub_room_of(importer)
        found.setdefault(here, set()).update(sub_room_of(each) for each in used)
        found[here].discard(here)
    return found


def circle_in(imports: Imports) -> list[str]:
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def everything() -> grimp.ImportGraph:
    """All imports, those that only type checkers see too."""
    return grimp.build_graph("comfy_nb", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def imports(everything) -> Imports:
    return modules_of(everything)


def test_every_module_belongs_to_a_room(imports):
    strangers = {name for name in imports if room_of(name) not in ROOMS}
    assert not strangers, "give these modules a room in ROOMS"


def test_no_room_imports_a_room_after_it(imports):
    assert wrong_imports(imports) == []


def test_no_files_import_each_other_in_a_circle(imports):
    assert circle_in(imports) == []


def test_no_sub_rooms_import_each_other_in_a_circle(imports):
    assert circle_in(folded(imports)) == []


@pytest.mark.parametrize("room", SUB_ROOMS)
def test_no_sub_room_imports_one_after_it(imports, room):
    order = [f"comfy_nb.{room}.{name}" for name in SUB_ROOMS[room]]
    between = folded(imports)
    assert set(order) <= between.keys(), "a sub-room was renamed: name it in SUB_ROOMS"
    upward = {
        f"{importer} -> {imported}"
        for importer in order
        for imported in between[importer] & set(order)
        if order.index(importer) < order.index(imported)
    }
    assert upward == set()


def test_an_import_against_the_order_is_named():
    graph = grimp.ImportGraph()
    graph.add_import(importer="comfy_nb.graph.prompt", imported="comfy_nb.engine.run")
    graph.add_import(importer="comfy_nb.engine.run", imported="comfy_nb.graph.prompt")
    graph.add_import(importer="comfy_nb.ui.panel", imported="comfy_nb")
    assert wrong_imports(modules_of(graph)) == [
        "comfy_nb.graph.prompt -> comfy_nb.engine.run",
        "comfy_nb.ui.panel -> comfy_nb",
    ]


def test_a_circle_is_named():
    circle = {"comfy_nb.ui.run.a": {"comfy_nb.ui.graph.b"}, "comfy_nb.ui.graph.b": {"comfy_nb.ui.run.c"}}
    assert circle_in(circle) == []
    assert circle_in(folded(circle)) == ["comfy_nb.ui.run", "comfy_nb.ui.graph", "comfy_nb.ui.run"]


@pytest.mark.parametrize("room", CORE)
def test_the_core_knows_no_notebook_http_or_cluster(everything, room):
    modules = [name for name in everything.modules if room_of(name) == room and name.startswith("comfy_nb.")]
    assert modules, f"comfy_nb.{room} was not found"
    used = {
        imported
        for module in modules
        for imported in everything.find_modules_directly_imported_by(module)
        if imported in KEPT_OUT_OF_CORE
    }
    assert not used


IMPORT_PROBE = """
import asyncio, json, sys, threading
import torch
def loop_parts():
    return [asyncio.run, asyncio.Task, asyncio.Future, asyncio.get_event_loop, asyncio.new_event_loop,
            *vars(asyncio.BaseEventLoop).values(), *vars(asyncio.SelectorEventLoop).values()]
parts, policy, modules = loop_parts(), asyncio.get_event_loop_policy(), set(sys.modules)
hooks = sys.excepthook, sys.displayhook, threading.excepthook
import comfy_nb
print(json.dumps({
    "loaded": sorted(set(sys.modules) - modules),
    "threads": [thread.name for thread in threading.enumerate()],
    "loop_untouched": all(a is b for a, b in zip(parts, loop_parts(), strict=True))
        and policy is asyncio.get_event_loop_policy(),
    "hooks_untouched": hooks == (sys.excepthook, sys.displayhook, threading.excepthook),
}))
"""


@pytest.fixture(scope="module")
def fresh_import() -> dict:
    done = subprocess.run([sys.executable, "-c", IMPORT_PROBE], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


@pytest.mark.process
@pytest.mark.parametrize(
    "heavy", ["IPython", "aiohttp", "anywidget", "ipywidgets", "nest_asyncio2", "rich", "safetensors"]
)
def test_importing_the_package_leaves_heavy_packages_for_later(fresh_import, heavy):
    assert heavy not in fresh_import["loaded"]


@pytest.mark.process
def test_importing_the_package_changes_nothing_in_the_process(fresh_import):
    assert fresh_import["threads"] == ["MainThread"]
    assert fresh_import["loop_untouched"]
    assert fresh_import["hooks_untouched"]
