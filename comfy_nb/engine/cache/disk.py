"""The disk tier: entries as files in a folder that kernels share and that outlives them.

A file is written under a temporary name and then renamed, so that no reader meets half of one, whatever crashes; a file
that is damaged all the same counts as a miss and is removed.
"""

from __future__ import annotations

import atexit
import errno
import os
import threading
import time
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.cache.entry_file import Damaged, Unstorable, pack, read, read_class_type, write
from comfy_nb.engine.cache.memory_use import measure
from comfy_nb.engine.cache.seal import seal, watch_everything
from comfy_nb.engine.cache.tree import NotATree, why_no_tree
from comfy_nb.engine.cache.writer import Writer
from comfy_nb.errors import ComfyNBWarning
from comfy_nb.wording import format_size

DEFAULT_BUDGET = 20 * 10**9
KEPT_WHEN_FULL = 0.9
SUFFIX = ".safetensors"
UNFINISHED = ".part"
# A file that is still unfinished after this long belongs to a kernel that died.
UNFINISHED_SECONDS = 3600.0
EXIT_SECONDS = 30.0
NOTES_KEPT = 4096


class DiskCache:
    """Entries in `folder`, at most `budget` bytes of them; the least recently used ones go first.

    `put` hands an entry to a background thread; `flush` waits for it. After a failed write nothing is written for
    `rest_seconds`, and one warning advises what to do.
    """

    def __init__(
        self, folder: str | os.PathLike[str], budget: int = DEFAULT_BUDGET, rest_seconds: float = 60.0
    ) -> None:
        self.folder = Path(folder).absolute()
        self._budget = budget
        self._rest_seconds = rest_seconds
        self._rests_until = 0.0
        self._used: int | None = None
        self._failure: str | None = None
        self._warned = False
        self._notes: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()
        self._writer = Writer(self._store)
        self._closed = False
        self._close_at_exit = False

    @property
    def budget(self) -> int:
        """The bytes that the folder may hold; a change takes effect with the next write."""
        return self._budget

    @budget.setter
    def budget(self, budget: int) -> None:
        self._budget = budget

    @property
    def total(self) -> int:
        """The bytes in the folder; what other kernels have written lately may be missing."""
        with self._lock:
            return self._count()

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, checked and sealed, or None."""
        self.warn()
        path = self._path(key)
        try:
            entry = read(path, key)
        except OSError:
            return None
        except Damaged:
            self._remove(path)
            return None
        with suppress(OSError):
            os.utime(path)
        entry.seal = seal(entry.outputs, watch_everything)
        return entry

    def put(self, entry: Entry) -> bool:
        """Have an entry written soon; False where it cannot be stored (see `why_missing`).

        An entry that is changed in place before it is written is not stored.
        """
        self.warn()
        if self._closed or time.monotonic() < self._rests_until or self.refusal(entry) is not None:
            return False
        if entry.key in self:
            return True
        if not entry.size:
            own, blocks = measure(entry.outputs, entry.ui)
            entry.size = own + sum(size for _, size in blocks)
        if entry.seal is None:
            entry.seal = seal(entry.outputs, watch_everything)
        if not self._close_at_exit:
            self._close_at_exit = True
            atexit.register(self.close, EXIT_SECONDS)
        if self._writer.put(entry):
            return True
        self._note(entry.key, "too much was waiting to be written")
        return False

    def why_not(self, outputs: Outputs) -> str | None:
        """Return what keeps outputs from being stored ("it holds a value of class PIL.Image.Image"), or None."""
        return why_no_tree(list(outputs))

    def refusal(self, entry: Entry) -> str | None:
        """Return what keeps an entry from being stored, or None."""
        if not entry.reusable:
            return "it is computed again each time"
        if not entry.durable:
            return "its key means nothing to another kernel"
        return self.why_not(entry.outputs) or why_no_tree(entry.ui if entry.ui is None else dict(entry.ui))

    def why_missing(self, entry: Entry) -> str | None:
        """Return why an entry is not in the folder, or None where it is."""
        if self._path(entry.key).exists():
            return None
        if entry.key in self._writer:
            return "being written"
        return self.refusal(entry) or self._notes.get(entry.key) or self._failure or "not written"

    def drop(self, key: bytes) -> bool:
        """Remove an entry, written or about to be; False where there was none."""
        waiting = key in self._writer
        self._writer.forget(key)
        return self._remove(self._path(key)) or waiting

    def drop_class(self, class_type: str) -> int:
        """Remove all entries of a node class and return how many; reads the header of every file."""
        self._writer.flush()
        return sum(self._remove(path) for path in list(self._files()) if read_class_type(path) == class_type)

    def clear(self) -> int:
        """Remove all entries; return how many."""
        self._writer.forget()
        return sum(self._remove(path) for path in list(self._files()))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything queued is written; False where that takes more than `timeout` seconds."""
        done = self._writer.flush(timeout)
        self.warn()
        return done

    def close(self, timeout: float | None = None) -> None:
        """Write what is queued and take no more entries; those in the folder can still be read."""
        self._closed = True
        atexit.unregister(self.close)
        self._writer.close(timeout)
        self.warn()

    def warn(self) -> None:
        """Warn, once, of a write that failed in the background."""
        if self._failure is not None and not self._warned:
            self._warned = True
            warnings.warn(self._failure, ComfyNBWarning, stacklevel=3)

    def __contains__(self, key: bytes) -> bool:
        return key in self._writer or self._path(key).exists()

    def __len__(self) -> int:
        return sum(1 for _ in self._files())

    def _path(self, key: bytes) -> Path:
        name = key.hex()
        return self.folder / name[:2] / f"{name}{SUFFIX}"

    def _files(self, suffix: str = SUFFIX) -> Iterator[Path]:
        return self.folder.glob(f"??/*{suffix}")

    def _store(self, entry: Entry) -> None:
        """Write an entry; runs on the writer's thread."""
        path = self._path(entry.key)
        unfinished = path.with_name(f"{path.stem}.{uuid.uuid4().hex}{UNFINISHED}")
        try:
            header, tensors = pack(entry)
            path.parent.mkdir(parents=True, exist_ok=True)
            size = len(header) + sum(tensor.nbytes for tensor in tensors)
            if size > self._budget:
                self._note(entry.key, f"larger than the folder's {format_size(self._budget)}")
                return
            write(unfinished, header, tensors)
            if entry.seal is not None and entry.seal.broken():
                self._note(entry.key, "changed in place before it was written")
                return
            os.replace(unfinished, path)
            self._make_room(size)
        except OSError as error:
            self._fail(error)
        except (NotATree, Unstorable, RuntimeError) as error:
            # RuntimeError: a dict or list was changed while it was being read.
            self._note(entry.key, str(error))
        finally:
            with suppress(OSError):
                unfinished.unlink()

    def _fail(self, error: OSError) -> None:
        self._rests_until = time.monotonic() + self._rest_seconds
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            trouble = "the disk is full, or a quota or limit on file sizes is reached"
            advice = "Free some space, for example with nb.cache.clear(disk=True)"
        else:
            trouble = error.strerror or str(error)
            advice = "Check that the folder exists and is writable, or choose another: nb.configure(cache_dir=...)"
        self._failure = (
            f"Results cannot be kept on disk in {self.folder}: {trouble}. "
            f"The run goes on and keeps them in memory. {advice}."
        )

    def _note(self, key: bytes, reason: str) -> None:
        self._notes[key] = reason
        while len(self._notes) > NOTES_KEPT:
            self._notes.popitem(last=False)

    def _count(self) -> int:
        if self._used is None:
            self._used = sum(size for _, size, _ in self._listing())
        return self._used

    def _listing(self) -> list[tuple[float, int, Path]]:
        """Return (last use, bytes, path) of every file, the least recently used first."""
        found: list[tuple[float, int, Path]] = []
        for path in self._files():
            with suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        return sorted(found)

    def _make_room(self, added: int) -> None:
        """Remove the least recently used files when the folder holds too much."""
        with self._lock:
            self._used = self._count() + added if self._used is not None else self._count()
            if self._used <= self._budget:
                return
            self._remove_unfinished()
            listing = self._listing()
            self._used = sum(size for _, size, _ in listing)
            for _, size, path in listing[:-1]:
                if self._used <= self._budget * KEPT_WHEN_FULL:
                    return
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                    self._used -= size

    def _remove_unfinished(self) -> None:
        for path in self._files(UNFINISHED):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > UNFINISHED_SECONDS:
                    path.unlink()

    def _remove(self, path: Path) -> bool:
        with self._lock:
            try:
                size = path.stat().st_size
                path.unlink()
            except OSError:
                return False
            if self._used is not None:
                self._used -= size
        return True
