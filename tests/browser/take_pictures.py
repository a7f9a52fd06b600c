"""Takes the pictures of the README from a real JupyterLab.

    .venv/bin/python -m tests.browser.take_pictures

It needs a Chromium and writes `{running,timeline,graph,look}.png` in `notebooks/assets`. Take them again when a display
changes.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.harness import NotebookPage, open_lab

ASSETS = Path(__file__).parents[2] / "notebooks" / "assets"
COLOURS = 256
VIEWPORT = {"width": 1000, "height": 3200}
HIDE = ".jp-cell-toolbar, .jp-Notebook-footer, #jp-main-statusbar { display: none !important }"
PATIENCE_MS = 60_000

PREPARE = """
import asyncio
import torch
import comfy_nb as nb
nb.configure(base_dir="comfy")
photo = nb.nodes.ImageScale(nb.sample("portrait"), "lanczos", 320, 320, "disabled")

@nb.node
async def ask(image: nb.Image, service: str, seconds: float, *, progress: nb.Progress) -> str:
    for _ in progress.over(range(20)):
        await asyncio.sleep(seconds / 20)
    return service
"""
RUNNING = """
@nb.node
def paint(image: nb.Image, steps: int = 1000, edge: float = 0.03, *, progress: nb.Progress) -> nb.Image:
    for step in progress.over(range(steps)):
        slopes = [image.roll(shift, axis) - image for axis in (1, 2) for shift in (1, -1)]
        image = image + 0.2 * sum(slope * torch.exp(-((slope / edge) ** 2)) for slope in slopes)
        if step % 20 == 0:
            progress.preview(image)
            progress.text(f"contrast {image.std():.4f}")
    return image

await asyncio.gather(paint(photo), ask(photo, "caption", 4.0), ask(photo, "depth", 9.0), ask(photo, "faces", 1.0))
"""
TIMELINE = """
soft = nb.nodes.ImageBlur(photo, blur_radius=10, sigma=4.0)
glow = paint(nb.nodes.ImageBlend(photo, soft, blend_factor=0.7, blend_mode="screen"), steps=60)
words = nb.nodes.StringConcatenate(ask(glow, "caption", 0.9), ask(photo, "depth", 1.3), delimiter=", ")
run = await nb.nodes.StringConcatenate(words, ask(glow, "faces", 0.4), delimiter=", ").graph.run()
run.timeline()
"""
GRAPH = """
glow = nb.nodes.ImageBlend(photo, nb.nodes.ImageBlur(photo, blur_radius=6, sigma=2.0), 0.7, "screen")
run = await glow.graph.run()
glow.graph.show()
"""
LOOK = """
broken = run["3"].clone()
broken[0, 150:153, 120:124] = float("nan")
nb.inspect(broken, run["2"])
"""
SHOWS_MUCH = """cell => {
    const bars = document.querySelectorAll('.jp-Notebook .jp-Cell')[cell].querySelectorAll('[role=progressbar]');
    return [...bars].some(bar => bar.offsetWidth > 0 && bar.ariaValueNow > 50 && bar.ariaValueNow < 90);
}"""


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with open_lab(root) as lab:
            cells = [cell.strip() for cell in (PREPARE, RUNNING, TIMELINE, GRAPH, LOOK)]
            with lab.open(lab.write("pictures.ipynb", cells)) as notebook:
                _take(notebook)


def _take(notebook: NotebookPage) -> None:
    page = notebook.page
    page.add_style_tag(content=HIDE)
    page.set_viewport_size(VIEWPORT)
    notebook.run_cell(0)
    notebook.start("notebook:run-cell", 1)
    page.wait_for_function(SHOWS_MUCH, arg=1, timeout=PATIENCE_MS)
    page.wait_for_timeout(1_500)  # until the quick ones have ended, which looks better
    _save(notebook, "running.png", 1)
    notebook.wait_idle()
    notebook.run_cell(2)
    notebook.output(2).locator(".comfy-nb-timeline img").filter(visible=True).wait_for()
    _save(notebook, "timeline.png", 2)
    notebook.run_cell(3)
    page.wait_for_timeout(1_500)
    _save(notebook, "graph.png", 3)
    notebook.run_cell(4)
    page.wait_for_timeout(1_500)
    _save(notebook, "look.png", 4)
    notebook.check()


def _save(notebook: NotebookPage, name: str, cell: int) -> None:
    taken = notebook.cell(cell).screenshot()
    with Image.open(io.BytesIO(taken)) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(ASSETS / name, optimize=True)
    print(ASSETS / name)


if __name__ == "__main__":
    main()
