"""The end of a script: its runs are stopped, and nothing of them is left when the interpreter ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.measuring import unmeasured

pytestmark = pytest.mark.process

PATIENCE_S = 60.0

SCRIPT = """
import asyncio, atexit, gc, json, subprocess, sys, threading, time, warnings
import psutil

def look():  # called after all that comfy_nb has to do at the end
    threads = sorted(each.name for each in threading.enumerate() if each.name.startswith("comfy-nb"))
    children = [each.cmdline() for each in psutil.Process().children(recursive=True)]
    gc.collect()
    loops = [each for each in gc.get_objects() if issubclass(type(each), asyncio.AbstractEventLoop)]
    took = time.monotonic() - ended if "ended" in globals() else 0
    is_open = sum(not each.is_closed() for each in loops)
    print(json.dumps({"threads": threads, "children": children, "loops": is_open, "took": took}), flush=True)

atexit.register(look)
import comfy_nb as nb

begun = threading.Event()

@nb.node
def sleeps(n: int = 0) -> int:
    begun.set()
    time.sleep(1000)
    return n

@nb.node
def spins(n: int = 0) -> int:
    begun.set()
    while True:
        pass

@nb.node
async def keeps_a_child(n: int = 0) -> int:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(1000)")
    begun.set()
    try:
        await asyncio.sleep(1000)
    finally:
        child.kill()
        await child.wait()
        print("cleaned up", flush=True)
    return n

@nb.node
def number(n: int) -> int:
    return n

def in_background(run):
    threading.Thread(target=run, daemon=True).start()
    assert begun.wait(30)
"""

WAYS = {
    "a run in the background": "in_background({node}().run_sync)",
    "a loop that stopped turning": """
loop = asyncio.new_event_loop()
async def main():
    job = {node}().start()
    while not begun.is_set(): await asyncio.sleep(0.01)
loop.run_until_complete(main())
""",
    "a run that was stopped": """
in_background({node}().run_sync)
nb.stop_all()
""",
}


def outcome(body: str, *arguments: str, first: str = SCRIPT) -> tuple[list[str], dict[str, object], str]:
    """Run a script to its end; return what it printed, what it found at its end, and its errors."""
    command = [sys.executable, "-c", f"{first}\n{body}\nended = time.monotonic()\n", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=unmeasured())
    assert ended.returncode == 0, ended.stderr
    *printed, found = ended.stdout.splitlines()
    return printed, json.loads(found), ended.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_never_ends_is_interrupted_with_the_process_and_leaves_no_thread(way: str):
    _, found, errors = outcome(WAYS[way].format(node="spins"))
    assert (found["threads"], found["children"], errors) == ([], [], "")


@pytest.mark.parametrize("way", WAYS)
def test_a_process_waits_two_seconds_at_most_for_a_node_that_sleeps(way: str):
    _, found, errors = outcome(WAYS[way].format(node="sleeps"))
    assert found["took"] < 10  # type: ignore[operator]  # of 1000 s
    assert errors == ""


def test_an_async_node_cleans_up_before_the_process_ends():
    printed, found, errors = outcome("in_background(keeps_a_child().run_sync)")
    assert (printed, found["threads"], found["children"], found["loops"]) == (["cleaned up"], [], [], 0), errors


def test_threads_that_are_no_daemons_finish_their_runs_first():
    body = "threading.Thread(target=lambda: print(number(sleepy(3)).run_sync())).start()"
    sleepy = "@nb.node\ndef sleepy(n: int) -> int:\n    time.sleep(0.5)\n    return n\n"
    printed, found, errors = outcome(sleepy + body)
    assert (printed, found["threads"], errors) == (["3"], [], "")


def test_what_begins_as_the_process_ends_computes_nothing():
    body = """
def late():
    try: print(number(1).run_sync())
    finally: print("over", flush=True)
def begin_late():
    thread = threading.Thread(target=late)
    thread.start(); thread.join()
atexit.register(begin_late)  # called after comfy_nb's own
import comfy_nb as nb
"""
    global_part, rest = SCRIPT.split("import comfy_nb as nb", 1)
    printed, _, errors = outcome("number(2).run_sync()", first=global_part + body + rest)
    assert (printed, errors) == (["over"], "")


def test_the_disk_cache_is_written_and_its_folder_free_of_unfinished_files(tmp_path: Path):
    body = """
import torch
@nb.node
def picture(n: int) -> nb.Image:
    time.sleep(0.01)
    return torch.full((1, 512, 512, 3), n / 10)
nb.configure(cache_dir=sys.argv[1])
for n in range(5): picture(n).run_sync()
in_background(spins().run_sync)
"""
    _, found, errors = outcome(body, str(tmp_path))
    assert (found["threads"], errors) == ([], "")
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 5
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".lock")] == []
