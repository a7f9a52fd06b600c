"""What surrounds comfy_nb here, in one text to read or to paste into a report: what is wrong comes first."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from comfy_nb.engine.execution.loops import running_loop
from comfy_nb.engine.session import Session, default_session
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.library.folders import TYPES, current_folders
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.wording import count, format_size

PACKAGES = ("torch", "numpy", "pillow", "ipywidgets", "anywidget", "IPython", "ipykernel", "jupyterlab", "notebook")
WIDGETS_OF = {"8": "3", "7": "1"}
"""The major version of jupyterlab_widgets that draws the widgets of each major version of ipywidgets."""
LEAST_FREE_BYTES = 2**30
WRONG, NOTED, FINE = "✗", "!", "✓"


class Finding(NamedTuple):
    """One thing that was looked at: `mark` says whether it is wrong, worth a note or fine."""

    mark: str
    topic: str
    text: str


class Report:
    """What `nb.doctor()` found; `wrong` are the findings to mend. Its repr is the whole text."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = sorted(findings, key=lambda each: (WRONG, NOTED, FINE).index(each.mark))

    @property
    def wrong(self) -> list[Finding]:
        """The findings that are wrong."""
        return [each for each in self.findings if each.mark == WRONG]

    def __repr__(self) -> str:
        head = f"{count(len(self.wrong), 'thing')} to mend" if self.wrong else "Nothing is wrong"
        return "\n".join([f"{head}.", *(f"{mark} {topic}: {text}" for mark, topic, text in self.findings)])


def doctor() -> Report:
    """Look at what surrounds comfy_nb here: versions, the notebook, folders, the caches and torch's devices."""
    session = default_session()
    return Report([*_versions(), *_notebook(), *_folders(), *_caches(session), *_devices(), *_classes()])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _versions() -> Iterator[Finding]:
    yield Finding(FINE, "comfy_nb", f"{_version('comfy-nb')} in {Path(__file__).parents[1]}")
    yield Finding(FINE, "Python", f"{platform.python_version()} on {platform.platform()}, at {sys.executable}")
    found = ", ".join(f"{name} {_version(name)}" for name in PACKAGES if _version(name))
    yield Finding(FINE, "packages", found)


def _notebook() -> Iterator[Finding]:
    kernel = shell()
    if kernel is None:
        yield Finding(FINE, "notebook", "this is not one, so runs show themselves as text or not at all")
    else:
        yield Finding(FINE, "notebook", f"a kernel of {type(kernel.kernel).__module__.partition('.')[0]}")
    loop = running_loop()
    if loop is not None and not isinstance(loop, asyncio.BaseEventLoop):
        advice = "run_sync() needs asyncio's own; await instead, or start the kernel without the other loop's policy"
        yield Finding(WRONG, "event loop", f"{type(loop).__module__}.{type(loop).__name__}: {advice}")
    yield _widget_manager(_version("ipywidgets") or "", _version("jupyterlab_widgets"))


def _widget_manager(widgets: str, manager: str | None) -> Finding:
    """Judge what draws the widgets: it belongs to the environment that JupyterLab itself runs in."""
    if manager is None:
        return Finding(
            NOTED, "widgets", "jupyterlab_widgets is not here. Where JupyterLab runs it must be: pip install ipywidgets"
        )
    expected = WIDGETS_OF.get(widgets.partition(".")[0])
    if expected is None:
        return Finding(NOTED, "widgets", f"ipywidgets {widgets or 'is missing'}; jupyterlab_widgets {manager}: untried")
    if expected != manager.partition(".")[0]:
        advice = "pip install -U ipywidgets jupyterlab_widgets"
        return Finding(WRONG, "widgets", f"ipywidgets {widgets} is not drawn by jupyterlab_widgets {manager}: {advice}")
    return Finding(FINE, "widgets", f"ipywidgets {widgets} are drawn by jupyterlab_widgets {manager}")


def _folders() -> Iterator[Finding]:
    folders = current_folders()
    for type in TYPES:
        folder = folders.of(type)
        there = _nearest(folder)
        if not os.path.isdir(there):
            yield Finding(WRONG, type, f"{folder}: {there} is a file. Name another by nb.configure(base_dir=...)")
        elif type != "input" and not os.access(there, os.W_OK):
            yield Finding(WRONG, type, f"{folder} cannot be written to. Name another by nb.configure(base_dir=...)")
        else:
            state = count(len(folders.listing(type)), "picture") if folder.is_dir() else "made when it is needed"
            yield _with_space(type, folder, there, state)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next((each for each in (folder, *folder.parents) if os.path.exists(each)), folder)


def _with_space(topic: str, folder: Path, there: Path, state: str) -> Finding:
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(WRONG, topic, f"{folder} cannot be looked at: {error.strerror}. Name another folder")
    if free < LEAST_FREE_BYTES and topic != "input":
        return Finding(WRONG, topic, f"{folder}: {state}, only {format_size(free)} free. Make room, or name another")
    return Finding(FINE, topic, f"{folder}: {state}, {format_size(free)} free")


def _caches(session: Session) -> Iterator[Finding]:
    cache = session.cache
    yield Finding(FINE, "cache", f"{count(len(cache), 'result')} in memory, at most {format_size(cache.budget)}")
    disk = session.disk
    if disk is None:
        yield Finding(FINE, "disk cache", 'off; nb.configure(cache_dir="...") keeps results over a restart')
    else:
        kept = f"{count(len(disk), 'result')}, {format_size(disk.total)} of {format_size(disk.budget)}"
        yield _with_space("disk cache", disk.folder, _nearest(disk.folder), kept)


def _devices() -> Iterator[Finding]:
    import torch

    yield Finding(FINE, "processor", f"{os.cpu_count()} cores, torch uses {count(torch.get_num_threads(), 'thread')}")
    names = [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]
    if names:
        yield Finding(FINE, "accelerators", ", ".join(names))
    elif torch.version.cuda is not None:
        built = f"torch is built for CUDA {torch.version.cuda}"
        yield Finding(NOTED, "accelerators", f"none, though {built}: see what nvidia-smi says")
    elif torch.backends.mps.is_available():
        yield Finding(FINE, "accelerators", "Apple's GPU, as the device mps")
    else:
        yield Finding(FINE, "accelerators", "none that this torch can use")


def _classes() -> Iterator[Finding]:
    yield Finding(FINE, "node classes", f"{len(list(default_registry()))} are registered")
