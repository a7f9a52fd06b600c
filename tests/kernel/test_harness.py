"""The kernel harness itself: what a cell shows arrives, and both kernel versions are what they say."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.kernel.harness import INSTALLED, Kernel

pytestmark = pytest.mark.kernel


def test_each_kernel_is_of_its_version(kernel: Kernel):
    reply = kernel.run("import ipykernel; ipykernel.__version__")
    expected = version("ipykernel") if kernel.version == INSTALLED else kernel.version
    assert reply.results[0].strip("'").startswith(expected)


def test_a_reply_holds_what_the_cell_showed(kernel: Kernel):
    reply = kernel.run(
        "import sys\nprint('out'); print('err', file=sys.stderr)\n"
        "from IPython.display import HTML\ndisplay(HTML('<b>hi</b>'))\n6 * 7"
    )
    assert (reply.status, reply.stdout, reply.stderr, reply.results) == ("ok", "out\n", "err\n", ["42"])
    assert reply.displays[0]["text/html"] == "<b>hi</b>"
    assert reply.error is None


def test_an_error_is_reported_in_plain_text(kernel: Kernel):
    reply = kernel.run("1 / 0")
    assert reply.status == "error"
    assert reply.error is not None and reply.error.ename == "ZeroDivisionError"
    assert "\x1b" not in reply.error.traceback and "1 / 0" in reply.error.traceback


def test_a_cell_can_be_interrupted_once_it_has_begun(kernel: Kernel):
    cell = kernel.send("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    kernel.wait_for_text(cell, "begun")
    assert 0 < kernel.interrupt_to_idle(cell) < cell.seconds
    assert cell.error is not None and cell.error.ename == "KeyboardInterrupt"


def test_a_cell_that_does_not_end_is_a_timeout(kernel: Kernel):
    cell = kernel.send("import time; time.sleep(60)")
    with pytest.raises(TimeoutError, match="did not end"):
        kernel.wait(cell, timeout=0.2)


def test_a_restarted_kernel_has_forgotten(kernel: Kernel):
    kernel.run("kept = 1")
    kernel.restart()
    assert kernel.run("kept").error.ename == "NameError"


def test_a_message_from_a_view_reaches_the_widget(kernel: Kernel):
    shown = kernel.run(
        "import ipywidgets\nheard = []\nbox = ipywidgets.Button()\n"
        "box.on_msg(lambda widget, content, buffers: heard.append(content))\nbox.comm.comm_id"
    )
    kernel.send_to_widget(shown.results[0].strip("'"), {"event": "click"})
    assert kernel.run("import asyncio\nwhile not heard: await asyncio.sleep(0.01)\nheard").results == [
        "[{'event': 'click'}]"
    ]
