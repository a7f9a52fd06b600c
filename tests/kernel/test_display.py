"""What a run shows below its cell in a real kernel, and what stays of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.kernel.harness import Kernel, Reply

pytestmark = pytest.mark.kernel

WIDGET = "application/vnd.jupyter.widget-view+json"
PREPARE = """
import asyncio
import comfy_nb as nb
nb.configure(display="bars")

@nb.node
async def slow(seconds: float, *, progress: nb.Progress) -> str:
    for step in range(10):
        await asyncio.sleep(seconds / 10)
        progress(step + 1, 10)
    return "slept"
"""


def last_text(reply: Reply) -> str:
    return reply.displays[-1]["text/plain"]


def test_a_slow_run_is_widgets_first_and_html_in_the_end(lesson: Kernel):
    reply = lesson.run("await slow(0.5)")
    assert reply.results == ["'slept'"]
    assert WIDGET in reply.displays[0]
    assert reply.displays[-1].keys() == {"text/html", "text/plain"}
    assert "slow" in reply.displays[-1]["text/html"]
    assert last_text(reply).startswith("✓ done: 1 of 1 node")


def test_a_run_from_the_cache_is_one_faint_line(lesson: Kernel):
    lesson.run("await slow(0.01)")
    reply = lesson.run("await slow(0.01)")
    (bundle,) = reply.displays
    assert bundle["text/plain"].startswith("✓ 1 node from cache")


def test_many_quick_runs_of_a_cell_share_one_line(lesson: Kernel):
    reply = lesson.run("for number in range(100):\n    await nb.nodes.PrimitiveInt(value=number % 2)")
    # One that is held up, by the collector or another process, is shown by itself.
    lesson.wait_until(lambda: any(re.match(r"✓ .* in 100 runs, ", each["text/plain"]) for each in reply.displays))
    assert len(reply.displays) < 50


@pytest.mark.parametrize(("view", "kinds"), [("text", [{"text/plain"}]), ("none", [])])
def test_the_view_is_the_persons_choice(lesson: Kernel, view: str, kinds: list[set[str]]):
    reply = lesson.run(f"nb.configure(display={view!r})\nawait slow(0.3).fresh()\nnb.configure(display='bars')")
    assert [set(bundle) for bundle in reply.displays] == kinds


def test_a_background_run_shows_its_end_below_the_cell_that_began_it(lesson: Kernel):
    began = lesson.run("job = slow(0.6).start()")
    other = lesson.run("print('here'); await job")
    lesson.wait_until(lambda: began.displays and WIDGET not in began.displays[-1])
    assert last_text(began).startswith("✓ done")
    assert other.displays == []


def test_a_background_run_that_is_long_prepared_shows_itself_below_the_cell_that_began_it(lesson: Kernel):
    lesson.run(
        "import time\n@nb.node(fingerprint=lambda seconds: time.sleep(0.5))\n"
        "async def late(seconds: float) -> str:\n    await asyncio.sleep(seconds)\n    return 'late'"
    )
    began = lesson.run("job = late(0.4).start()")
    other = lesson.run("await asyncio.sleep(0.7); await job")
    lesson.wait_until(lambda: began.displays and WIDGET not in began.displays[-1])
    assert last_text(began).startswith("✓ done") and other.displays == []


def test_a_job_that_is_the_first_run_of_a_notebook_is_shown_as_it_ended(kernel: Kernel):
    assert kernel.run(PREPARE).error is None
    began = kernel.run("job = slow(1).start()")
    kernel.wait_until(lambda: began.displays and WIDGET not in began.displays[-1], 10.0)
    assert last_text(began).startswith("✓ done")


def test_the_stop_button_stops_a_background_run(lesson: Kernel):
    began = lesson.run("job = slow(60).start()")
    lesson.wait_until(lambda: bool(buttons(began) and began.displays))  # the button is heard once it is shown
    lesson.send_to_widget(buttons(began)[0], {"event": "click"})
    lesson.wait_until(lambda: began.displays and WIDGET not in began.displays[-1], 10.0)
    assert last_text(began).startswith("■ stopped")
    assert lesson.run("print(job.run.state)").stdout == "stopped\n"


def buttons(reply: Reply) -> list[str]:
    return [each["comm_id"] for each in reply.comms if model_of(each) == "ButtonModel"]


def model_of(comm: dict[str, Any]) -> str:
    return str(comm["data"].get("state", {}).get("_model_name", ""))


def test_a_run_that_fails_at_once_says_so(lesson: Kernel):
    reply = lesson.run("@nb.node\ndef bad() -> int:\n    raise ValueError('no <b>')\n\nawait bad()")
    assert reply.error is not None and reply.error.ename == "NodeError"
    assert last_text(reply).startswith("✗ failed")
    assert "no &lt;b&gt;" in reply.displays[-1]["text/html"]


def test_a_handle_shows_its_value_as_a_picture(lesson: Kernel):
    reply = lesson.run("await nb.nodes.EmptyImage(width=16, height=8, color=0xFF0000).show()")
    (kept,) = [shown["text/plain"] for shown in reply.displays if "IMAGE" in shown.get("text/plain", "")]
    assert kept.startswith("IMAGE [1, 8, 16, 3] float32, on cpu, 1.5 kB\n0 to 1, mean 0.3333")


@pytest.mark.parametrize("start", ["graph.start()", "%comfy run nowhere.json"])
def test_a_job_that_cannot_run_says_so_below_its_cell(lesson: Kernel, start: str):
    lesson.run(
        "%load_ext comfy_nb\nimport json, pathlib\n"
        "prompt = {'1': {'class_type': 'No<b>where', 'inputs': {}}}\n"
        "graph = nb.Graph.from_prompt(prompt)\npathlib.Path('nowhere.json').write_text(json.dumps(prompt))"
    )
    reply = lesson.run(start)
    lesson.wait_until(lambda: bool(reply.displays))
    assert "not registered here: No<b>where (node 1)" in reply.displays[-1]["text/plain"]
    assert "No&lt;b&gt;where" in reply.displays[-1]["text/html"]


def test_what_is_refused_is_told_with_the_line_of_the_cell_and_none_of_ours(lesson: Kernel):
    reply = lesson.run("name = 'not_there.json'\ngraph = nb.load(name)")
    line, message = reply.error.traceback.splitlines()
    assert line == "line 2 of the cell: graph = nb.load(name)" and message.startswith("PromptError: There is no file")


def test_a_failed_node_lets_go_of_its_tensors_at_the_next_cell_that_runs_a_graph(lesson: Kernel):
    lesson.run("""
        import torch, weakref
        held = []
        @nb.node
        def fails() -> int:
            tensor = torch.zeros(8)
            held.append(weakref.ref(tensor))
            raise ValueError("no")
    """)
    assert lesson.run("await fails()").error is not None
    assert lesson.run("held[0]() is not None").results == ["True"]
    lesson.run("await slow(0.01)")
    assert lesson.run("held[0]() is None").results == ["True"]


@pytest.mark.parametrize("form", ["def", "async def"])
def test_a_wrong_layout_is_told_in_the_row_of_its_node(lesson: Kernel, form: str):
    code = f"""
import torch
@nb.node
{form} channels_first() -> nb.Image:
    return torch.rand(1, 3, 8, 8)
await channels_first().graph.run()
"""
    reply = lesson.run(code)
    assert "output IMAGE" in last_text(reply) and "Use x.permute(0, 2, 3, 1)" in " ".join(last_text(reply).split())


def test_a_cell_that_caught_a_failure_goes_on_while_the_job_of_another_cell_runs_graphs(lesson: Kernel):
    begin = """
        go = asyncio.Event()
        @nb.node
        async def waits() -> str:
            await go.wait()
            return await slow(0.02)
        job = waits().start()
        @nb.node
        def fails() -> int:
            raise ValueError("no")
    """
    goes_on = """
        async def goes_on():
            try:
                await fails()
            except nb.NodeError:
                await job
            return "went on"
        try:
            await fails()
        except nb.NodeError:
            go.set()
            print(await goes_on())
    """
    assert lesson.run(begin).error is None
    assert lesson.run(goes_on).stdout == "went on\n"


def test_what_a_node_prints_is_shown_whichever_threads_have_begun_ours(kernel: Kernel):
    prepare = """
import threading
from concurrent.futures import ThreadPoolExecutor
import comfy_nb as nb
nb.configure(display="none")

@nb.node
async def begins() -> int:
    return 1

@nb.node
def prints() -> int:
    print("printed")
    return 1

warm = ThreadPoolExecutor(1)
warm.submit(int).result()
"""
    assert kernel.run(prepare).error is None
    # The loop is begun by a thread that ends, and the loop begins a lane, whose thread may get the ended one's number.
    first = "thread = threading.Thread(target=begins().run_sync)\nthread.start()\nthread.join()"
    assert kernel.run(first).error is None
    assert kernel.run("warm.submit(prints().run_sync).result(10)").results == ["1"]
    assert kernel.count_printed("printed\n") == 1  # below the cell, or where the ended thread's text went
