"""Cancelling tasks: again while they swallow it, and after some seconds going on without them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any

ASK_AGAIN_S = 0.5
GIVE_UP_S = 5.0


def cancel_until_done(tasks: Callable[[], Collection[asyncio.Task[Any]]], give_up: Callable[[], None]) -> None:
    """Cancel the tasks that are left, all of the running loop; `give_up()` if some are after `GIVE_UP_S` seconds."""
    _cancel(tasks, give_up, time.perf_counter())


def _cancel(tasks: Callable[[], Collection[asyncio.Task[Any]]], give_up: Callable[[], None], since: float) -> None:
    left = list(tasks())
    if not left:
        return
    for task in left:
        task.cancel()
    if time.perf_counter() - since > GIVE_UP_S:
        give_up()
    else:
        asyncio.get_running_loop().call_later(ASK_AGAIN_S, _cancel, tasks, give_up, since)
