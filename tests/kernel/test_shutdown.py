"""The end of a kernel that is asked to shut down, by itself and soon, whatever its nodes are doing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.harness import INSTALLED, OTHER_KERNELS, Kernel

pytestmark = pytest.mark.kernel

PREPARE = """
import asyncio, atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

def look():  # called after all that comfy_nb has to do at the end
    Path("left").write_text(" ".join(each.name for each in threading.enumerate() if each.name.startswith("comfy-nb")))

atexit.register(look)
import torch
import comfy_nb as nb
nb.configure(cache_dir="kept")

@nb.node
def sleeps(n: int = 0) -> int:
    Path("begun").touch()
    time.sleep(1000)
    return n

@nb.node
def spins(n: int = 0) -> int:
    Path("begun").touch()
    while True:
        pass

@nb.node
async def keeps_a_child(n: int = 0) -> int:
    await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(1000)")
    Path("begun").touch()
    await asyncio.sleep(1000)
    return n

@nb.node
def picture(n: int) -> nb.Image:
    time.sleep(0.01)
    return torch.full((1, 64, 64, 3), n / 10)

async def until_begun():
    while not Path("begun").exists():
        await asyncio.sleep(0.01)
"""

BUSY = {
    "in the background, in C": "job = sleeps().start(); await until_begun()",
    "in the background": "job = spins().start(); await until_begun()",
    "in the background, async": "job = keeps_a_child().start(); await until_begun()",
    "awaited by a cell": "await sleeps()",
    "in run_sync of a cell": "spins().run_sync()",
    "in a pool, with more queued": """
pool = ThreadPoolExecutor(1)
tasks = [pool.submit(spins(n).run_sync) for n in range(3)]
await until_begun()
""",
    "abandoned": "job = sleeps().start(); await until_begun(); job.cancel(); await asyncio.sleep(0.1)",
    "on a loop that stopped turning": """
def main():
    loop = asyncio.new_event_loop()
    async def work():
        global job
        job = spins().start()
        await until_begun()
    loop.run_until_complete(work())
thread = threading.Thread(target=main)
thread.start()
await asyncio.to_thread(thread.join)
""",
}


@pytest.fixture(params=[INSTALLED, *OTHER_KERNELS])
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(request.param, cwd=tmp_path, measured=False) as started:
        reply = started.run(PREPARE)
        assert reply.error is None, reply.error
        yield started


@pytest.mark.parametrize("how", BUSY)
def test_a_kernel_ends_by_itself_whatever_its_nodes_do(prepared: Kernel, how: str, tmp_path: Path):
    assert prepared.run("for n in range(3): await picture(n)").error is None
    reply = prepared.send(BUSY[how])
    prepared.wait_until((tmp_path / "begun").exists)
    if "of a cell" not in how and "by a cell" not in how:
        assert prepared.wait(reply).error is None
    children = prepared.process.children(recursive=True)
    prepared.shut_down()
    assert not [child for child in children if child.is_running()]
    assert len(list((tmp_path / "kept").glob("*/*.safetensors"))) == 3
    left = (tmp_path / "left").read_text().split()
    assert left == [] if "spins" in BUSY[how] or "child" in BUSY[how] else len(left) <= 2  # in C, beside its guard
