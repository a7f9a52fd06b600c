"""`console`: what was printed elsewhere than to a node's row."""

from __future__ import annotations

import pytest

from tests.ui.jupyter.captured import Console


@pytest.fixture
def console(capsys) -> Console:
    return Console(capsys)
