"""`%comfy` and `%%node` in real kernels, one of each version for all tests in their order, as one does a notebook."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.kernel
INTERRUPTED = True
PREPARE = "import comfy_nb as nb\n%load_ext comfy_nb"

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
}


@pytest.fixture
def loaded(lesson):
    (lesson.folder / "flow.json").write_text(json.dumps(GRAPH))
    return lesson


def completions(kernel, code: str) -> list[str]:
    reply = kernel._client.complete(code, len(code), reply=True, timeout=30)
    return reply["content"]["matches"]


def test_a_cell_is_a_node_and_its_inputs_are_completed(loaded):
    reply = loaded.run("%%node soft(image: nb.Image, radius: float = 3.0) -> nb.Image\nreturn image * radius")
    assert reply.error is None, reply.error
    reply = loaded.run("(await soft(nb.nodes.EmptyImage(width=8, height=8)))[0, 0, 0].tolist()")
    assert reply.results == ["[0.0, 0.0, 0.0]"], reply
    assert "radius=" in completions(loaded, "soft(rad")
    assert "blur_radius=" in completions(loaded, "nb.nodes.ImageBlur(bl")
    assert completions(loaded, "%comfy nodes ImageInv") == ["ImageInvert"]
    assert completions(loaded, "%comfy run fl") == ["flow.json"]


def test_a_file_is_run_in_the_background_and_can_be_awaited(loaded):
    started = loaded.run("job = %comfy run flow.json --outputs 2")
    assert started.error is None, started
    reply = loaded.run("(await job).state")
    assert reply.results == ["'done'"], reply
    loaded.wait_until(lambda: bool(started.displays), failure="the run was not shown below its cell")
    assert loaded.run("%comfy why 2").stdout == "first run\n"


def test_an_interrupt_stops_a_file_that_the_cell_waits_for(loaded):
    loaded.run("%%node hang() -> int --output\nimport asyncio\nprint('inside')\nawait asyncio.sleep(60)\nreturn 1")
    (loaded.folder / "long.json").write_text(json.dumps({"1": {"class_type": "hang", "inputs": {}}}))
    loaded.run("nb.configure(display='none')")
    reply = loaded.send("%comfy run long.json --wait")
    loaded.wait_for_text(reply, "inside")
    loaded.interrupt_to_idle(reply)
    assert reply.error is not None and reply.error.traceback.startswith("Interrupted: The run was interrupted"), reply


def test_names_of_classes_are_completed_and_a_question_mark_shows_the_slots(loaded):
    assert {"ImageBlend", "ImageBlur"} <= set(completions(loaded, "nb.nodes.ImageBl"))
    reply = loaded.run("nb.nodes.ImageBlur?")
    assert reply.error is None, reply.error
    told = "\n".join(reply.pages)
    assert "blur_radius" in told and "IMAGE" in told and "●" in told


def test_the_cache_is_emptied_on_demand(loaded):
    loaded.run("%comfy cache clear")
    loaded.run("nb.configure(display='none')\nrun = await nb.load('flow.json').run(['2'])")
    assert "ImageInvert" in loaded.run("%comfy cache").results[0]
    assert loaded.run("%comfy cache clear").stdout == "2 values dropped.\n"
    assert loaded.run("len(nb.cache)").results == ["0"]
    loaded.run("again = await nb.load('flow.json').run(['2'])")
    assert loaded.run("again.why('2')").results == ["'cleared by hand'"]


def test_a_wrong_command_is_one_line(loaded):
    reply = loaded.run("%comfy rnu flow.json")
    assert reply.stderr == "UsageError: %comfy has no command 'rnu'. Did you mean 'run'?\n"


def test_the_magics_and_the_completion_are_there_once_a_graph_has_run(kernel):
    kernel.run("import comfy_nb as nb")
    assert "not found" in kernel.run("%comfy help").stderr
    assert kernel.run("await nb.nodes.PrimitiveInt(3)").results == ["3"]
    assert "not found" not in kernel.run("%comfy help").stderr
    assert completions(kernel, 'nb.nodes.ImageScale(1, "lanc') == ["lanczos"]
    reply = kernel.run("%load_ext comfy_nb")
    assert reply.error is None and not reply.stderr
