"""What it takes to lay a graph out for its picture."""

from __future__ import annotations

from comfy_nb.ui.graph_view.layout import lay_out
from comfy_nb.ui.graph_view.scene import scene_of
from tests.benchmarks.case import Case, Timed


def layout(n: int) -> Timed:
    """Scene and layout of a prompt whose nodes each take two others."""
    prompt = {
        str(each): {
            "class_type": "A",
            "inputs": {"x": [str(each * 7 // 9), 0], "y": [str(each - 1), 0]} if each else {},
        }
        for each in range(n)
    }
    return lambda: lay_out(scene_of(prompt))


DRAWING = [Case("scene and layout", "two inputs", (100, 1_000), layout, target=500, unit="ms")]
