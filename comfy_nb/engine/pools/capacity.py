"""How many places a pool has left: in this process, among all of a machine, and a minute."""

from __future__ import annotations

import getpass
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from comfy_nb.engine.pools.bucket import TokenBucket
from comfy_nb.errors import ComfyNBWarning, GraphError
from comfy_nb.wording import describe_error

if TYPE_CHECKING:
    from filelock import BaseFileLock


class Capacity:
    """The places of one pool: `size` at a time (None: any number), `per_minute` that begin, `shared` with others."""

    def __init__(self, size: int | None, bucket: TokenBucket | None, shared: SharedPlaces | None) -> None:
        self.size = size
        self.bucket = bucket
        self.shared = shared
        self.in_use = 0

    def free_at(self, count: int, now: float) -> float | None:
        """Return when so many places may be had, not after `now` if at once; None: when some are given back.

        More than there are, since the pool was made smaller, are all that there are.
        """
        if self.size is not None and self.in_use and self.in_use + count > self.size:
            return None
        return now if self.bucket is None else self.bucket.next_at(count, now)

    def take(self, count: int, now: float) -> bool:
        """Take places that may be had; False where another process has them."""
        if self.shared is not None and self.size is not None and not self.shared.take(count, self.size):
            return False
        self.in_use += count
        if self.bucket is not None:
            self.bucket.take(count)
        return True

    def give_back(self, count: int) -> None:
        """Give places back."""
        self.in_use -= count
        if self.shared is not None:
            self.shared.keep(self.in_use)


class SharedPlaces:
    """Places of a pool that all kernels of this person on a machine share: a locked file each.

    The system unlocks those of a process that has died.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._folder = folder if folder is not None else Path(tempfile.gettempdir()) / f"comfy_nb-{_user()}"
        self._name = name
        self._held: list[BaseFileLock] = []
        self._problem = ""

    def take(self, count: int, size: int) -> bool:
        """Lock so many of the first `size` files, or none; all of them if there are fewer."""
        before = len(self._held)
        missing = min(count, size)
        held = {lock.lock_file for lock in self._held}
        for number in range(size):
            if not missing:
                break
            if self._path(number) not in held and (lock := self._lock_now(number)) is not None:
                self._held.append(lock)
                missing -= 1
        if missing:
            self.keep(before)
        return not missing

    def keep(self, count: int) -> None:
        """Unlock all files but so many."""
        while len(self._held) > count:
            self._held.pop().release()

    def check(self) -> None:
        """Raise GraphError where no file of it can be locked at all."""
        try:
            lock = self._lock(0)
        except (OSError, NotImplementedError) as error:
            raise GraphError(
                f"The pool {self._name!r} cannot be shared, since no file can be locked in {self._folder}: "
                f"{describe_error(error)}. Make that folder one of your own (TMPDIR says where), or leave shared out."
            ) from error
        if lock is not None:
            lock.release()

    def _lock_now(self, number: int) -> BaseFileLock | None:
        """Lock one file, or say that this cannot be done now: it could when the pool was made, and may again."""
        try:
            return self._lock(number)
        except OSError as error:
            problem = f"Places of the pool {self._name!r} are waited for: {describe_error(error)}"
            if problem != self._problem:
                self._problem = problem
                warnings.warn(problem, ComfyNBWarning, stacklevel=2)
            return None

    def _lock(self, number: int) -> BaseFileLock | None:
        """Lock one file; None where another process has it. Raises OSError where no file can be locked."""
        from filelock import FileLock, Timeout

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock: BaseFileLock = FileLock(self._path(number), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _path(self, number: int) -> str:
        return str(self._folder / f"pool-{self._name}-{number}.lock")


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
