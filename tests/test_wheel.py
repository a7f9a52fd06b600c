"""The wheel contains everything that the package needs outside a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from comfy_nb.library.samples import SAMPLES

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE")
WIDGETS = """
import importlib, json, pkgutil, sys
sys.path[:0], sys.path[len(sys.path):] = sys.argv[1:2], sys.argv[2:]
import comfy_nb.ui
from comfy_nb.ui.jupyter.widget import FrontEnd

for module in pkgutil.walk_packages(comfy_nb.ui.__path__, "comfy_nb.ui."):
    importlib.import_module(module.name)
widgets = {widget.__name__: [str(vars(widget).get(name, "")) for name in ("_esm", "_css")]
           for widget in FrontEnd.__subclasses__()}
json.dump([comfy_nb.__file__, widgets], sys.stdout)
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    project = folder / "project"
    shutil.copytree(ROOT / "comfy_nb", project / "comfy_nb", ignore=shutil.ignore_patterns("__pycache__"))
    for name in PROJECT_FILES:
        shutil.copy(ROOT / name, project)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(project)], check=True, stdin=subprocess.DEVNULL)
    shutil.rmtree(project)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder / "unpacked")
    return folder / "unpacked"


def widgets_in(folder: Path) -> dict[str, list[str]]:
    """The script and style of each widget, loaded from this copy of the package where no other copy is visible."""
    packages = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", WIDGETS, str(folder), *packages],
        capture_output=True,
        text=True,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    assert process.returncode == 0, process.stderr
    file, widgets = json.loads(process.stdout)
    assert Path(file).is_relative_to(folder)
    return widgets


def test_every_widget_has_its_script_and_its_style(unpacked):
    widgets = widgets_in(unpacked)
    assert {"GraphWidget", "Rows", "InspectorWidget"} <= widgets.keys()
    assert all(script for script, _ in widgets.values())
    assert widgets == widgets_in(ROOT)


@pytest.mark.parametrize("name", ["builtin_nodes.pyi", "py.typed"])
def test_editors_and_type_checkers_find_their_files(unpacked, name):
    assert (unpacked / "comfy_nb" / name).read_bytes() == (ROOT / "comfy_nb" / name).read_bytes()


def test_the_names_of_comfyuis_classes_are_there(unpacked):
    names = Path("comfy_nb/spec/comfy_classes.txt")
    assert (unpacked / names).read_bytes() == (ROOT / names).read_bytes()


def test_the_command_is_there(unpacked):
    (entry_points,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "comfy-nb = comfy_nb.cli.main:main" in entry_points.read_text()


def test_the_sample_pictures_are_in_it(unpacked):
    folder = unpacked / "comfy_nb" / "library" / "sample_pictures"
    assert {each.stem for each in folder.iterdir()} == set(SAMPLES)
