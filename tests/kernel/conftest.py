"""`kernel`: a fresh kernel for each test; `lesson`: one for each module. Both run with each version of ipykernel.

Those of modules with `INTERRUPTED = True` are not measured (see `unmeasured`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.harness import INSTALLED, OTHER_KERNELS, Kernel


def _is_measured(request: pytest.FixtureRequest) -> bool:
    return not getattr(request.module, "INTERRUPTED", False)


@pytest.fixture(params=[INSTALLED, *OTHER_KERNELS])
def kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(request.param, cwd=tmp_path, measured=_is_measured(request)) as started:
        yield started


@pytest.fixture(scope="module", params=[INSTALLED, *OTHER_KERNELS])
def lesson(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel that has run the module's `PREPARE`, shared by all tests of the module."""
    cwd = tmp_path_factory.mktemp("lesson")
    with Kernel(request.param, cwd=cwd, measured=_is_measured(request)) as kernel:
        reply = kernel.run(request.module.PREPARE)
        assert reply.error is None, reply.error
        yield kernel
