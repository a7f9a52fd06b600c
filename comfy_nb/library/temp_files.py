"""The files that this process wrote into a temp folder: at most so many, and none are left when it is dead.

Kernels share a temp folder. Each holds a lock there as long as it lives, with a list beside it of what it wrote; the
next process that writes there removes what is on the lists whose locks nobody holds.

    .previews-3f2a9c01.lock     held by its process (flock, or LockFile on Windows)
    .previews-3f2a9c01.jsonl    the name of a file a line
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

FILES_MAX = 256
BYTES_MAX = 2**30
MARK = ".previews-"
LOCK, LIST = ".lock", ".jsonl"


class TempFiles:
    """What this process wrote into one temp folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sizes: dict[Path, int] = {}  # in the order in which they were written
        self._lock: BaseFileLock | None = None
        self._own: Path | None = None
        self._guard = threading.Lock()

    def make_room(self) -> None:
        """Before new files: remove the oldest of this process beyond the bounds, and what dead processes left."""
        with self._guard:
            if self._own is None or not self._own.exists():  # the first time, or somebody emptied the folder
                self._begin()
            while self._sizes and (len(self._sizes) >= FILES_MAX or sum(self._sizes.values()) >= BYTES_MAX):
                oldest = next(iter(self._sizes))
                del self._sizes[oldest]
                _remove(oldest)

    def note(self, path: Path, size: int) -> None:
        """Note a file that was written."""
        with self._guard:
            self._sizes[path] = size
            if self._own is not None:
                with suppress(OSError), open(self._own.with_suffix(LIST), "a", encoding="utf-8") as file:
                    file.write(json.dumps(path.relative_to(self.folder).as_posix()) + "\n")

    def _begin(self) -> None:
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        self._own = self.folder / f"{MARK}{secrets.token_hex(4)}{LOCK}"
        self._lock = FileLock(self._own)
        with suppress(Timeout, OSError, NotImplementedError):  # a file system without locks: no other process clears up
            self._lock.acquire(timeout=0)
        for path in self.folder.glob(f"{MARK}*{LOCK}"):
            if path != self._own:
                self._clear_if_dead(path)

    def _clear_if_dead(self, path: Path) -> None:
        from filelock import FileLock, Timeout

        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError, NotImplementedError):
            return  # its process lives
        try:
            for name in _listed(path.with_suffix(LIST)):
                file = (self.folder / name).resolve()
                if file.is_relative_to(self.folder):
                    _remove(file)
            _remove(path.with_suffix(LIST))
            _remove(path)  # while it is held, so that nobody else can hold it
        finally:
            lock.release()
        if sys.platform == "win32":  # where a file that is held cannot be removed
            _remove(path)


def _listed(path: Path) -> list[str]:
    """Return the names on a list; a line that a dying process left unfinished is passed over."""
    names = []
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                name = json.loads(line)
                if isinstance(name, str) and "\0" not in name:
                    names.append(name)
    return names


def _remove(path: Path) -> None:
    with suppress(OSError):  # gone already, or open in another program
        path.unlink()


_of_folders: dict[Path, TempFiles] = {}
_of_folders_guard = threading.Lock()


def temp_files(folder: Path) -> TempFiles:
    """Return what this process wrote into a folder, given with links resolved."""
    with _of_folders_guard:
        return _of_folders.setdefault(folder, TempFiles(folder))
