"""How many bytes values take, how many this process may use, and the share of them that the cache takes by default."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from comfy_nb.engine.cache.skip import Skip
from comfy_nb.spec.attributes import attributes_of, container_of, slots_of
from comfy_nb.spec.contents.tensors import accelerator_of
from comfy_nb.spec.digest import is_of

Address = tuple[int, str]
"""The address of a memory block, and the device that it is on: "" in main memory."""
Blocks = tuple[tuple[Address, int], ...]

# An entry with its key, its place in the cache and one list per slot.
ENTRY_BYTES = 480
SLOT_BYTES = 72
MOST_OBJECTS = 10_000
# They belong to no value alone.
_SHARED = (type, types.FunctionType, types.MethodType, types.ModuleType, str, bytes, Skip)
_SMALL: frozenset[type] = frozenset({int, float, bool, type(None)})
_SMALL_BYTES = 28
_TEXT: frozenset[type] = frozenset({str, bytes})


def measure(outputs: tuple[list[Any], ...], ui: Any = None) -> tuple[int, Blocks]:
    """Return the bytes that are an entry's own, and the (place, bytes) of each memory block it refers to.

    A block (a torch storage, a numpy buffer) is listed once however many views it has, and in full even for a small
    view, which keeps it alive. All else counts as `sys.getsizeof` reports.
    """
    own = ENTRY_BYTES
    rest: list[Any] | None = None if ui is None else [ui]
    for slot in outputs:
        own += SLOT_BYTES
        for value in slot:
            if is_of(value, _SMALL):
                own += _SMALL_BYTES
            elif is_of(value, _TEXT):
                own += sys.getsizeof(value)
            elif rest is None:
                rest = [value]
            else:
                rest.append(value)
    if rest is None:
        return own, ()
    blocks: dict[Address, int] = {}
    own += _walk(rest, blocks)
    return own, tuple(blocks.items())


def _walk(stack: list[Any], blocks: dict[Address, int]) -> int:
    """Add the memory blocks of the values on `stack` to `blocks`, and return the bytes of all else."""
    own = 0
    seen: set[int] = set()
    while stack:
        value = stack.pop()
        if is_of(value, _SMALL) or _is_mock(value):
            own += _SMALL_BYTES
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        own += _or_nothing(_look_into, value, stack, blocks, len(seen) < MOST_OBJECTS)
        own += _or_nothing(sys.getsizeof, value)
    return own


def _or_nothing(size: Callable[..., int], *what: Any) -> int:
    try:
        return size(*what)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a class of somebody else's may raise anything here; then it counts as nothing
        return 0


def _is_mock(value: Any) -> bool:
    """Whether a value is a mock, which holds what it was asked for: its size grows as it is measured."""
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(type(value), mock.NonCallableMock)


def _look_into(value: Any, stack: list[Any], blocks: dict[Address, int], is_early: bool) -> int:
    """Add what a value holds to the stack, and its memory blocks to `blocks`; return the bytes of its pixels."""
    kind = type(value)
    if issubclass(kind, torch.nn.Module):
        stack.extend(value.parameters())
        stack.extend(value.buffers())
    elif issubclass(kind, (torch.Tensor, np.ndarray)):
        for place, size in _blocks(value):
            blocks[place] = max(size, blocks.get(place, 0))
    elif (base := container_of(value)) is not None:
        stack.extend(base.__iter__(value))
        if base is dict:
            stack.extend(dict.values(value))
    elif _is_picture(kind):
        return int(value.width * value.height * len(value.getbands()) * (4 if value.mode in ("I", "F") else 1))
    elif not issubclass(kind, _SHARED) and is_early:
        stack.extend(attributes_of(value, slots_of(kind, object)))
    return 0


def _blocks(value: torch.Tensor | np.ndarray[Any, Any]) -> Iterator[tuple[Address, int]]:
    """Yield the (place, bytes) of the memory that a tensor or array keeps alive."""
    while isinstance(value, np.ndarray):
        base = value.base
        if not isinstance(base, (np.ndarray, torch.Tensor)):
            yield (value.ctypes.data, ""), value.nbytes
            return
        value = base
    if value.layout is torch.sparse_coo:
        yield from _blocks(value._indices())
        yield from _blocks(value._values())
        return
    try:
        storage = value.untyped_storage()
        address = storage.data_ptr()
    except (RuntimeError, NotImplementedError):
        yield (id(value), ""), value.numel() * value.element_size()
        return
    if address:
        yield (address, accelerator_of(value) or ""), storage.nbytes()


def _is_picture(kind: type) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and issubclass(kind, pillow.Image)


def default_budget() -> int:
    """Return a quarter of the memory (bytes) that this process may use."""
    return usable_memory() // 4


def usable_memory(memberships: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes this process may use: the lowest limit of the machine, the process and its container."""
    return min([_physical_memory(), *_process_limit(), *_container_limits(memberships, mount)])


# Where the system does not report it (Windows): today's machines have at least this much.
_PRESUMED_MEMORY = 8 << 30


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _PRESUMED_MEMORY


def _process_limit() -> list[int]:
    try:
        import resource
    except ImportError:
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return [] if limit == resource.RLIM_INFINITY else [limit]


def _container_limits(memberships: Path, mount: Path) -> list[int]:
    """Read the memory limits of this process's control groups, versions 1 and 2, up to the root of each."""
    try:
        lines = memberships.read_text().splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += _limits_upwards(mount, path, "memory.max")
        elif "memory" in controllers.split(","):
            found += _limits_upwards(mount / "memory", path, "memory.limit_in_bytes")
    return found


def _limits_upwards(root: Path, path: str, name: str) -> Iterator[int]:
    inside = Path(path.lstrip("/"))
    for group in (inside, *inside.parents):
        with suppress(OSError, ValueError):
            yield int((root / group / name).read_text())
