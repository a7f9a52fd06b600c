"""Resources at the end of a process, where perhaps no loop is left to close them on, and in a forked one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

SCRIPT = """
import asyncio, os, sys
import comfy_nb as nb

def say(*words):
    print(*words, flush=True)

class Sync:
    def close(self):
        say("http closed by its value")

class Async:
    async def close(self):
        say("never")

@nb.resource(idle=None)
async def http():
    yield Sync()
    say("http closed on its loop")

@nb.resource(idle=None)
async def client():
    yield Async()
    say("client closed on its loop")

@nb.resource(idle=None)
def model():
    yield 1
    say("model closed")

@nb.node
async def asks(x: int, http: http, client: client, model: model) -> int:
    return x
"""


def said(code: str) -> tuple[list[str], str]:
    """The lines that a script with these resources prints, and what it says of errors."""
    done = subprocess.run([sys.executable, "-c", SCRIPT + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.strip()


def test_the_loop_of_a_script_closes_what_is_open_on_it():
    lines, errors = said("asks(1).run_sync()")
    assert sorted(lines) == ["client closed on its loop", "http closed on its loop", "model closed"]
    assert errors == ""


def test_without_a_loop_what_has_a_sync_close_is_closed_and_the_rest_is_named_in_one_line():
    lines, errors = said(
        "async def go(): await asks(1)\nloop = asyncio.new_event_loop()\nloop.run_until_complete(go())"
    )
    assert sorted(lines) == ["http closed by its value", "model closed"]
    assert errors == "comfy_nb: 1 resource stayed open, for want of a loop to close on: client."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_opens_its_own_and_leaves_that_of_its_parent_open():
    lines, errors = said(
        "with model: pass\n"
        "if (child := os.fork()) == 0:\n    say(repr(model))\n    os._exit(0)\n"
        "os.waitpid(child, 0)\nsay(repr(model).partition(',')[0])"
    )
    assert lines == ["model: closed", "model: open", "model closed"]
    assert errors == ""
