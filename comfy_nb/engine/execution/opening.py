"""What openings of resources have in common, on a loop or for the process: their users, errors and state in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from comfy_nb.errors import ResourceError, warn_each_time
from comfy_nb.spec.resource import Declared
from comfy_nb.wording import describe_error


class Hold:
    """One use of a resource, from when it is asked for until it is given back. `owner` is the task that has it.

    With `is_dropped` it was given back while a thread was still opening the resource for it.
    """

    __slots__ = ("__weakref__", "is_dropped", "opening", "owner", "value")

    def __init__(self, owner: Any = None) -> None:
        self.opening: Any = None
        self.owner = owner
        self.is_dropped = False
        self.value: Any = None


class Opener(Protocol):
    """Opens what resources need, and says how long they stay open."""

    @property
    def declared(self) -> Declared:
        """What is opened."""
        ...

    @property
    def idle(self) -> float | None:
        """How many seconds it stays open without users; None: until it is closed."""
        ...

    @property
    def needs(self) -> Mapping[str, Any]:
        """The resources that it asks for, by parameter."""
        ...


def not_opened(name: str, error: BaseException) -> ResourceError:
    """Make the error of a user whose resource could not be opened."""
    failure = ResourceError(f"the resource {name} could not be opened: {describe_error(error)}")
    failure.__cause__ = error
    return failure


def never_yielded(name: str) -> ResourceError:
    """Make the error of a resource whose function ended before its `yield`."""
    return ResourceError(f"{name} did not yield: its function ended before")


def yielded_twice(name: str) -> ResourceError:
    """Make the error of a resource whose function goes on to a second `yield`."""
    return ResourceError(f"{name} yielded twice: what follows its one `yield` is to close it")


def warn_of_close(declared: Declared, error: BaseException) -> None:
    """Warn, at the line of its function, that a resource failed while it closed: nobody waits for that."""
    warn_each_time(
        f"The resource {declared.name} failed while it was closed: {describe_error(error)}.", declared.function.__code__
    )


def left_of(idle: float | None, since: float) -> float | None:
    """Return how many seconds an opening without users has left, or None where it has no limit."""
    return None if idle is None else max(since + idle - time.monotonic(), 0.0)
