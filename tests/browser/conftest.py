"""`lab`: a JupyterLab and a Chromium for the tests of one module.

Not for the whole session: playwright keeps a running loop in the thread, and tests that have a loop follow.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.harness import Lab, open_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started
