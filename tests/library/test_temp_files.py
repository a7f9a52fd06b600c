"""Previews in a temp folder, which kernels share: at most so many, and none are left of a process that is dead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import comfy_nb as nb
from comfy_nb.library import Folders, temp_files, use_folders
from comfy_nb.library.image_files import PreviewImage, SaveImage

MOST = 256


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    with use_folders(Folders(tmp_path)) as folders:
        yield folders


def preview(count: int = 1, node: PreviewImage | None = None) -> list[str]:
    ui = (node or PreviewImage()).save_images(torch.zeros(count, 1, 1, 3))["ui"]
    return [entry["filename"] for entry in ui["images"]]


def pictures(folders: Folders) -> set[str]:
    return {path.relative_to(folders.temp).as_posix() for path in folders.temp.rglob("*.png")}


def test_a_long_session_leaves_the_newest_previews(folders: Folders) -> None:
    node = PreviewImage()
    names = [preview(1, node)[0] for _ in range(MOST + 50)]
    assert pictures(folders) == set(names[-MOST:])


def test_all_pictures_of_one_save_stay(folders: Folders) -> None:
    preview(3)
    names = preview(MOST + 10)
    assert set(names) <= pictures(folders)
    (last,) = preview()
    assert pictures(folders) <= {*names, last}
    assert len(pictures(folders)) == MOST


def test_large_previews_are_bounded_by_their_size(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    node = PreviewImage()
    (first,) = preview(1, node)
    monkeypatch.setattr(temp_files, "BYTES_MAX", 3 * (folders.temp / first).stat().st_size)
    names = [first, *(preview(1, node)[0] for _ in range(9))]
    assert pictures(folders) == set(names[-3:])


def test_what_is_saved_as_output_is_never_removed(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temp_files, "FILES_MAX", 2)
    for _ in range(5):
        SaveImage().save_images(torch.zeros(1, 1, 1, 3))
    assert len(list(folders.output.iterdir())) == 5


def test_what_others_put_into_the_folder_stays(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temp_files, "FILES_MAX", 2)
    folders.temp.mkdir()
    (folders.temp / "mine.png").touch()
    for _ in range(5):
        preview()
    assert "mine.png" in pictures(folders)


async def test_a_preview_whose_file_went_runs_again(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temp_files, "FILES_MAX", 2)
    graphs = []
    for colour in range(3):
        graphs.append(nb.Graph(nb.nodes.PreviewImage(nb.nodes.EmptyImage(8, 8, color=colour))))
        await graphs[-1].run()
    run = await graphs[0].run()
    assert run.why("2") == "its file is gone"
    (entry,) = run.ui["2"]["images"]
    assert (folders.temp / entry["filename"]).is_file()
    run = await graphs[2].run()
    assert run.why("2") != "its file is gone"


def test_a_folder_that_somebody_emptied_is_used_again(folders: Folders) -> None:
    preview()
    for path in folders.temp.iterdir():
        path.unlink()
    assert set(preview()) == pictures(folders)
    assert len(list(folders.temp.glob("*.lock"))) == 1


OTHER_KERNEL = """
import sys
import torch
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.image_files import PreviewImage

with use_folders(Folders(sys.argv[1])) as folders:
    node = PreviewImage()
    node.prefix_append += sys.argv[2]
    print(node.save_images(torch.zeros(2, 1, 1, 3), sys.argv[3])["ui"]["images"][0]["filename"], flush=True)
    sys.stdin.read()
"""


class OtherKernel:
    """Another process that has written two previews and waits."""

    def __init__(self, folders: Folders, name: str = "", prefix: str = "sub/a") -> None:
        command = [sys.executable, "-c", OTHER_KERNEL, str(folders.base), name, prefix]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.file = folders.temp / "sub" / self.process.stdout.readline().strip()

    def end(self, *, is_killed: bool) -> None:
        if is_killed:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def kernels() -> Iterator[list[OtherKernel]]:
    made: list[OtherKernel] = []
    yield made
    for kernel in made:
        if kernel.process.poll() is None:
            kernel.end(is_killed=True)


@pytest.mark.process
@pytest.mark.parametrize("is_killed", [True, False])
def test_what_a_dead_process_left_is_removed_and_what_a_living_one_shows_stays(
    folders: Folders, kernels: list[OtherKernel], is_killed: bool
) -> None:
    kernels += [OtherKernel(folders, "dead"), OtherKernel(folders, "alive")]
    dead, alive = kernels
    assert dead.file.is_file() and alive.file.is_file()
    with open(next(path for path in folders.temp.glob("*.jsonl") if "dead" in path.read_text()), "a") as file:
        file.write('"../output/a.png"\n"/etc/hostname"\n17\n"un')
    folders.output.mkdir()
    (folders.output / "a.png").touch()
    dead.end(is_killed=is_killed)
    (name,) = preview()
    assert not dead.file.exists()
    assert alive.file.is_file()
    assert (folders.output / "a.png").is_file()
    assert pictures(folders) == {name, *(f"sub/{path.name}" for path in alive.file.parent.iterdir())}
    assert len(list(folders.temp.glob("*.lock"))) == len(list(folders.temp.glob("*.jsonl"))) == 2
