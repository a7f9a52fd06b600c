"""The rooms of the house: a room may import the rooms before it in the list, never one after it."""

from __future__ import annotations

import json
import subprocess
import sys

import grimp
import pytest

ROOMS = (
    "wording",
    "errors",
    "spec",
    "graph",
    "engine",
    "tasks",
    "flow",
    "library",
    "compat",
    "packs",
    "parameters",
    "remote",
    "server",
    "ui",
    "api",
)
OPENS_INTO_ALL = {"", "__main__", "api", "cli", "magics"}
CORE = ("wording", "errors", "spec", "graph", "engine")
KEPT_OUT_OF_CORE = {"IPython", "aiohttp", "anywidget", "dask", "ipywidgets"}


def room_of(module: str) -> str:
    name = [*module.split("."), ""][1]
    return "api" if name in OPENS_INTO_ALL else name


def wrong_imports(graph: grimp.ImportGraph) -> list[str]:
    """Every import that goes from a room to one after it, as "importer -> imported"."""
    ours = [name for name in graph.modules if name.split(".")[0] == "comfy_nb"]
    return sorted(
        f"{importer} -> {imported}"
        for importer in ours
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported in ours and ROOMS.index(room_of(importer)) < ROOMS.index(room_of(imported))
    )


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(
        "comfy_nb", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def test_every_module_belongs_to_a_room(imports):
    strangers = {name for name in imports.modules if name.split(".")[0] == "comfy_nb" and room_of(name) not in ROOMS}
    assert not strangers, "give these modules a room in ROOMS"


def test_no_room_imports_a_room_after_it(imports):
    assert wrong_imports(imports) == []


def test_an_import_against_the_order_is_named():
    graph = grimp.ImportGraph()
    graph.add_import(importer="comfy_nb.graph.prompt", imported="comfy_nb.engine.run")
    graph.add_import(importer="comfy_nb.engine.run", imported="comfy_nb.graph.prompt")
    graph.add_import(importer="comfy_nb.ui.run.panel", imported="comfy_nb")
    assert wrong_imports(graph) == [
        "comfy_nb.graph.prompt -> comfy_nb.engine.run",
        "comfy_nb.ui.run.panel -> comfy_nb",
    ]


@pytest.mark.parametrize("room", CORE)
def test_the_core_knows_no_notebook_http_or_cluster(imports, room):
    modules = [name for name in imports.modules if room_of(name) == room and name.startswith("comfy_nb.")]
    assert modules, f"comfy_nb.{room} was not found"
    used = {
        imported
        for module in modules
        for imported in imports.find_modules_directly_imported_by(module)
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


@pytest.mark.parametrize(
    "heavy", ["IPython", "aiohttp", "anywidget", "ipywidgets", "nest_asyncio2", "rich", "safetensors"]
)
def test_importing_the_package_leaves_heavy_packages_for_later(fresh_import, heavy):
    assert heavy not in fresh_import["loaded"]


def test_importing_the_package_changes_nothing_in_the_process(fresh_import):
    assert fresh_import["threads"] == ["MainThread"]
    assert fresh_import["loop_untouched"]
    assert fresh_import["hooks_untouched"]
