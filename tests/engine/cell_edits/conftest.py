"""Notebooks to edit the cells of."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.graph import default_registry, namespace
from comfy_nb.spec.registry import Registry
from tests.engine.cell_edits.notebook import BRIGHT, BRIGHTEN, PHOTO, Notebook


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose nodes are registered in a registry of its own, beside the library's."""
    registry = Registry(default_registry._fill)
    token = default_registry._chosen.set(registry)
    monkeypatch.setattr(nb, "nodes", namespace.Nodes(lambda: registry))
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "__main__", notebook.module)
    yield notebook
    default_registry._chosen.reset(token)


@pytest.fixture
async def studio(notebook: Notebook) -> Notebook:
    """A notebook in which a photo was made brighter."""
    for source in (PHOTO, BRIGHTEN, BRIGHT):
        notebook.cell(source)
    shown = await notebook.show("bright")
    assert shown.ran == ["photo", "brighten"]
    assert shown.why("photo") == shown.why("brighten") == "first run"
    assert shown.value[0] == 3.0
    return notebook
