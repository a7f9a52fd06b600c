"""A session of its own for each test, with one place in the module's `POOL`, if it has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfy_nb.engine.session import Session, use_session


@pytest.fixture(autouse=True)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    own = Session()
    with use_session(own):
        if pool := getattr(request.module, "POOL", ""):
            own.pools.define(pool, 1, None, False)
        yield own
