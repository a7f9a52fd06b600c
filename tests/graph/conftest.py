"""A registry of a few classes, and an empty graph of them."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from comfy_nb.spec.registry import Registry
from tests.graph.classes import CLASSES


@pytest.fixture
def registry():
    registry = Registry()
    nb.register(CLASSES, registry=registry)
    return registry


@pytest.fixture
def nodes(registry):
    return type(nb.nodes)(lambda: registry)


@pytest.fixture
def graph(registry):
    return nb.Graph(registry=registry)
