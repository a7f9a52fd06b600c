"""Takes the picture of the README: a cell with its result, and below it a node at work with its bar and preview.

    .venv/bin/python -m tests.browser.take_pictures

It needs a Chromium and writes `notebooks/assets/running.png`. Take it again when the display has changed.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.harness import NotebookPage, open_lab

ASSETS = Path(__file__).parents[2] / "notebooks" / "assets"
TARGET = ASSETS / "running.png"
COLOURS = 256
VIEWPORT = {"width": 1000, "height": 1500}
HIDE = ".jp-cell-toolbar, .jp-Notebook-footer, #jp-main-statusbar { display: none !important }"

PREPARE = """
import torch
import comfy_nb as nb
nb.configure(base_dir="comfy")
photo = nb.nodes.ImageScale(nb.nodes.LoadImage("portrait.jpg").IMAGE, "lanczos", 256, 256, "disabled")
"""
BUILD = """
soft = nb.nodes.ImageBlur(photo, blur_radius=10, sigma=4.0)
glow = nb.nodes.ImageBlend(photo, soft, blend_factor=0.7, blend_mode="screen")
await glow.show()
"""
PAINT = """
@nb.node
def paint(image: nb.Image, steps: int = 1000, edge: float = 0.03, *, progress: nb.Progress) -> nb.Image:
    for step in progress.over(range(steps)):
        slopes = [image.roll(shift, axis) - image for axis in (1, 2) for shift in (1, -1)]
        image = image + 0.2 * sum(slope * torch.exp(-((slope / edge) ** 2)) for slope in slopes)
        if step % 20 == 0:
            progress.preview(image)
    return image

painted = await paint(glow)
"""
IS_HALF_DONE = """cell => {
    const bar = document.querySelectorAll('.jp-Notebook .jp-Cell')[cell].querySelector('.progress-bar');
    return bar !== null && bar.offsetWidth > 0 && parseFloat(bar.style.width) > 50;
}"""


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "comfy" / "input").mkdir(parents=True)
        shutil.copy(ASSETS / "portrait.jpg", root / "comfy" / "input")
        with open_lab(root) as lab:
            cells = [cell.strip() for cell in (PREPARE, BUILD, PAINT)]
            with lab.open(lab.write("picture.ipynb", cells)) as notebook:
                _take(notebook)
    print(TARGET)


def _take(notebook: NotebookPage) -> None:
    page = notebook.page
    page.add_style_tag(content=HIDE)
    page.set_viewport_size(VIEWPORT)
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.start("notebook:run-cell", 2)
    page.wait_for_function(IS_HALF_DONE, arg=2, timeout=60_000)
    top, bottom = notebook.cell(1).bounding_box(), notebook.cell(2).bounding_box()
    assert top is not None and bottom is not None
    clip = {**top, "height": bottom["y"] + bottom["height"] - top["y"]}
    taken = page.screenshot(clip=clip)
    notebook.wait_idle()
    notebook.check()
    with Image.open(io.BytesIO(taken)) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
