"""The cost of laying out a graph, drawing it first, and redrawing it while panning."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import comfy_nb.ui.graph
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.graph.live import GraphWidget
from comfy_nb.ui.graph.messages import scene_message
from comfy_nb.ui.graph.scene import Scene
from tests.benchmarks.case import Case, Seconds, Timed
from tests.browser.chromium import find_chromium

SIZES = (100, 1_000)
GRAPH_SCRIPTS = Path(comfy_nb.ui.graph.__file__).with_name("js")
# Renders the scene in a page, then pans it over sixty frames with all nodes in sight, which is the worst there is.
MEASURE = """async ([source, scene]) => {
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    const { default: module } = await import(url);
    const model = { get: () => scene, on() {}, off() {}, send() {} };
    const frame = () => new Promise(requestAnimationFrame);
    const el = document.body.appendChild(document.createElement('div'));
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = '.cnb-graph-stage { width: 900px; height: 450px } .cnb-graph-list { display: none }';
    const started = performance.now();
    module.render({ model, el });
    const view = el.querySelector('.cnb-graph').graphView;
    while (!view.root.lastDraw?.nodes) await frame();
    const first = performance.now() - started;
    view.fit();
    await frame();
    const took = [];
    for (let step = 0; step < 60; step++) {
        view.view.x += 1;
        view.requestDraw();
        await frame();
        took.push(view.root.lastDraw.ms);
    }
    return { first, frame: took.sort((a, b) => a - b)[30], nodes: view.root.lastDraw.nodes };
}"""


def two(x: object = None, y: object = None) -> object:
    """Take two values."""


@cache
def graph(n: int) -> Graph:
    """A graph whose nodes each take two others."""
    prompt = {
        str(each): {
            "class_type": "two",
            "inputs": {"x": [str(each * 7 // 9), 0], "y": [str(each - 1), 0]} if each else {},
        }
        for each in range(n)
    }
    registry = Registry()
    registry.register(spec_from_function(two))
    return Graph.from_prompt(prompt, registry)


def scene(n: int) -> Scene:
    """The laid-out scene of such a graph."""
    return lay_out(scene_of(graph(n)))


def layout(n: int) -> Timed:
    """Scene and layout in Python."""
    return partial(scene, n)


@cache
def drawn(n: int) -> dict[str, float]:
    """Milliseconds of the first picture and of a frame while panning, in a headless Chromium."""
    with ThreadPoolExecutor(1) as apart:  # playwright wants a thread without a loop
        return apart.submit(_draw, n).result()


def _draw(n: int) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    message: dict[str, Any] = json.loads(json.dumps(scene_message(scene(n), can_edit=False)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        measured: dict[str, float] = page.evaluate(MEASURE, [GraphWidget._esm, message])
        browser.close()
    assert measured["nodes"] == n
    return measured


def first_paint(n: int) -> Timed:
    """From `render` to the first picture."""
    return lambda: Seconds(drawn(n)["first"] / 1e3)


def frame(n: int) -> Timed:
    """Time our script takes per frame while the graph is panned: the median of sixty frames."""
    return lambda: Seconds(drawn(n)["frame"] / 1e3)


DRAWING = [Case("scene and layout", "two inputs", SIZES, layout, target=500, unit="ms")]
if find_chromium():
    DRAWING += [
        Case("first picture of a graph in a page", "two inputs", SIZES, first_paint, unit="ms"),
        Case("frame of a graph that is panned", "two inputs", SIZES, frame, target=8.0, unit="ms"),
    ]
