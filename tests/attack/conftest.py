"""Each attack has a session and a cache of its own."""

from __future__ import annotations

from tests.engine.conftest import pack, session

__all__ = ["pack", "session"]
