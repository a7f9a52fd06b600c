"""`kernel`: a fresh kernel for a test, once with the installed ipykernel and once with each other version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.harness import INSTALLED, OTHER_KERNELS, Kernel


@pytest.fixture(params=[INSTALLED, *OTHER_KERNELS])
def kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(request.param, cwd=tmp_path) as started:
        yield started
