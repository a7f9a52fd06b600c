"""The files that Binder builds from: pinned as the tests are, and enough for the quickstart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE", "comfy_nb", ".ci", "binder")


def requirements() -> list[str]:
    """The requirements in binder/requirements.txt, without the line that adds the index of CPU builds."""
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("--")]


def test_binder_installs_the_tested_versions():
    pinned = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    assert requirements() and set(requirements()) <= set(pinned)


def test_binder_takes_torch_from_the_index_of_cpu_builds():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in lines


@pytest.mark.slow
def test_a_clean_environment_installed_from_the_binder_files_opens_the_package(tmp_path):
    project = tmp_path / "project"
    for name in PROJECT_FILES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        project.mkdir(exist_ok=True)
        copy(ROOT / name, project / name)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    binaries = tmp_path / "env" / "bin"
    env = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(tmp_path / "env"),
    }

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=project, env=env, stdin=subprocess.DEVNULL)

    run("python", "-m", "pip", "install", "--quiet", *requirements())
    run("binder/postBuild")
    run("python", "-c", "import comfy_nb, ipywidgets, jupyterlab; assert comfy_nb.__file__")
    run("jupyter", "lab", "--version")
    run("jupyter", "kernelspec", "list")
