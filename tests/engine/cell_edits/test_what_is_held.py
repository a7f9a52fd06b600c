"""A value is no longer held, must be computed each time, or comes from disk in a new kernel."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.library import Folders, use_folders
from tests.engine.cell_edits.notebook import BRIGHTEN, PHOTO, Notebook, Shown


async def test_what_was_evicted_runs_again(studio: Notebook, session: nb.Session) -> None:
    budget, session.cache.budget = session.cache.budget, 0
    session.cache.budget = budget
    shown = await studio.show("bright")
    assert shown.ran == ["photo", "brighten"]
    assert shown.why("brighten") == "evicted to make room"


async def test_clearing_the_cache(studio: Notebook) -> None:
    studio.cell("nb.cache.clear()")
    shown = await studio.show("bright")
    assert shown.ran == ["photo", "brighten"]
    assert shown.why("brighten") == "cleared by hand"


async def test_dropping_one_value(studio: Notebook) -> None:
    studio.cell("nb.cache.drop('brighten')")
    shown = await studio.show("bright")
    assert shown.ran == ["brighten"]
    assert shown.why("photo") == "from an earlier run"
    assert shown.why("brighten") == "dropped by hand"


async def test_asking_for_a_fresh_one(studio: Notebook) -> None:
    studio.cell("anew = bright.fresh()")
    shown = await studio.show("anew")
    assert shown.ran == ["brighten"]
    assert shown.why("brighten") == "fresh() asked for a new result"
    assert (await studio.show("anew")).ran == []
    assert (await studio.show("bright")).ran == []


async def test_a_random_node_whose_fingerprint_is_nan(notebook: Notebook) -> None:
    notebook.cell("""
        import random
        @nb.node(fingerprint=lambda: float("nan"))
        def dice() -> float:
            return random.random()
        @nb.node
        def doubled(x: float) -> float:
            return 2 * x
        result = doubled(dice())
    """)
    first, second = await notebook.show("result"), await notebook.show("result")
    assert second.ran == ["dice", "doubled"]
    assert second.why("dice") == "fingerprint said always"
    assert second.why("doubled") == "input `x` may have changed: node 1 above ran again"
    assert first.value != second.value


async def test_a_file_that_was_edited_behind_load_image(notebook: Notebook, tmp_path: Path) -> None:
    with use_folders(Folders(tmp_path)) as folders:
        folders.input.mkdir(parents=True)
        Image.new("RGB", (4, 4), (255, 0, 0)).save(folders.input / "a.png")
        notebook.cell("shown = nb.nodes.ImageInvert(nb.nodes.LoadImage(image='a.png').IMAGE)")
        assert (await notebook.show("shown")).ran == ["LoadImage", "ImageInvert"]
        assert (await notebook.show("shown")).ran == []
        Image.new("RGB", (4, 4), (0, 255, 0)).save(folders.input / "a.png")
        shown = await notebook.show("shown")
        assert shown.ran == ["LoadImage", "ImageInvert"]
        assert shown.why("LoadImage") == "the file 'a.png' changed"
        assert shown.why("ImageInvert") == "input `image` changed: node 1 above has a different result"
        assert torch.equal(shown.value[0, 0, 0], torch.tensor([1.0, 0.0, 1.0]))


async def test_a_node_with_its_cache_off(notebook: Notebook) -> None:
    notebook.cell("""
        @nb.node(cache="off")
        def now() -> int:
            return 1
        result = now()
    """)
    await notebook.show("result")
    shown = await notebook.show("result")
    assert shown.ran == ["now"]
    assert shown.why("now") == "its cache is off"


@pytest.mark.usefixtures("all_worth_disk")
async def test_restarting_the_kernel_with_a_disk_tier(notebook: Notebook, tmp_path: Path) -> None:
    async def in_a_new_kernel(by: float) -> Shown:
        disk = DiskCache(tmp_path)
        with nb.use_session(nb.Session(disk=disk)):
            fresh = Notebook()
            for source in (PHOTO, BRIGHTEN, f"bright = brighten(photo(4), by={by})"):
                fresh.cell(source)
            shown = await fresh.show("bright")
        disk.close()
        gc.collect()
        return shown

    assert (await in_a_new_kernel(1.0)).ran == ["photo", "brighten"]
    shown = await in_a_new_kernel(1.0)
    assert shown.ran == []
    assert shown.why("brighten") == "from an earlier run, on disk"
    assert shown.value[0] == 3.0
    shown = await in_a_new_kernel(2.0)
    assert shown.ran == ["brighten"]
    assert shown.why("photo") == "from an earlier run, on disk"
