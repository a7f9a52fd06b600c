"""How many places a pool has left: in this process, among all of a machine, and a minute."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from comfy_nb.engine.pools.bucket import TokenBucket

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
            self.shared.give_back(count)


class SharedPlaces:
    """Places of a pool that all kernels of this person on a machine share: a locked file each.

    The system unlocks those of a process that has died.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._folder = folder if folder is not None else Path(tempfile.gettempdir()) / f"comfy_nb-{_user()}"
        self._name = name
        self._held: list[BaseFileLock] = []

    def take(self, count: int, size: int) -> bool:
        """Lock so many of the first `size` files, or none; all of them if there are fewer."""
        from filelock import FileLock, Timeout

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = {lock.lock_file for lock in self._held}
        taken: list[BaseFileLock] = []
        count = min(count, size)
        for number in range(size):
            path = str(self._folder / f"pool-{self._name}-{number}.lock")
            if len(taken) == count:
                break
            if path not in held:
                lock: BaseFileLock = FileLock(path, thread_local=False)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                taken.append(lock)
        if len(taken) < count:
            for lock in taken:
                lock.release()
            return False
        self._held += taken
        return True

    def give_back(self, count: int) -> None:
        """Unlock so many files, or all if there are fewer."""
        for _ in range(min(count, len(self._held))):
            self._held.pop().release()


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
