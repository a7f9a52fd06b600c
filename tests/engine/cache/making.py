"""Entries and sessions for the tests of the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry

MB = 10**6


def key_of(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def entry(name: str, *values: Any, seconds: float = 1.0, **options: Any) -> Entry:
    """An entry with one output slot per value, whose key means the same everywhere."""
    outputs = tuple([value] for value in values)
    return Entry(
        key_of(name),
        outputs,
        seconds=seconds,
        class_type=options.pop("class_type", "Blur"),
        node_id=options.pop("node_id", "3"),
        durable=options.pop("durable", True),
        **options,
    )


def stored(cache: DiskCache, name: str, *values: Any, **options: Any) -> Entry | None:
    """Put an entry, wait until it is written, and read it back."""
    assert cache.put(entry(name, *values, **options))
    cache.flush()
    return cache.get(key_of(name))


async def on_disk(folder: Path, graph: nb.Graph) -> nb.Run:
    """Run in a session that has just started, with this folder as its disk tier."""
    disk = DiskCache(folder)
    with nb.use_session(nb.Session(disk=disk)):
        run = await graph.run()
    disk.close()
    return run


def only_value(found: Entry) -> Any:
    """The value of an entry with one output of one item."""
    ((value,),) = found.outputs
    return value
