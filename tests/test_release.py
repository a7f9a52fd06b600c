"""`make release` on a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("git") is None, reason="a release is made in a git repository"),
]

ROOT = Path(__file__).parents[1]
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", ".ci/release.py", "comfy_nb/__init__.py")
CHANGELOG = """# Changelog

## [Unreleased]

### Added
- A node that sings.

## [0.0.1] - 2020-01-01

### Added
- Everything.
"""


class Project:
    """A repository with the files that a release reads or changes."""

    def __init__(self, folder: Path, changelog: str) -> None:
        self.folder = folder
        for name in PROJECT_FILES:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.write("CHANGELOG.md", changelog)
        self.git("init", "--quiet")
        self.commit()

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def git(self, *arguments: str) -> str:
        person = ("-c", "user.name=A Person", "-c", "user.email=person@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *person, *arguments],
            cwd=self.folder,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a commit")

    def release(self, version: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ".ci/release.py", version]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, CHANGELOG)


def test_a_release_has_its_version_its_section_and_its_wheel(project):
    done = project.release("7.8.9")
    assert done.returncode == 0, done.stderr
    (wheel,) = (project.folder / "dist").iterdir()
    assert wheel.name == "comfy_nb-7.8.9-py3-none-any.whl" and wheel.name in done.stdout
    with zipfile.ZipFile(wheel) as opened:
        assert "\nVersion: 7.8.9\n" in opened.read("comfy_nb-7.8.9.dist-info/METADATA").decode()
        assert '\n__version__ = "7.8.9"\n' in opened.read("comfy_nb/__init__.py").decode()
    assert project.read("CHANGELOG.md") == CHANGELOG.replace(
        "## [Unreleased]", f"## [Unreleased]\n\n## [7.8.9] - {date.today().isoformat()}"
    )
    assert project.git("diff", "--name-only").split() == ["CHANGELOG.md", "comfy_nb/__init__.py"]


def test_a_second_release_needs_changes_of_its_own(project):
    assert project.release("7.8.9").returncode == 0
    project.commit()
    again = project.release("7.8.10")
    assert again.returncode == 1 and "nothing under ## [Unreleased]" in again.stderr


def refuses(project: Project, version: str, why: str) -> None:
    refused = project.release(version)
    assert refused.returncode == 1 and why in refused.stderr and "Traceback" not in refused.stderr
    assert not (project.folder / "dist").exists() and project.git("diff") == ""


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("1.0", "three numbers"),
        ("v1.0.0", "three numbers"),
        ("1.0.0rc1", "three numbers"),
        ("01.0.0", "three numbers"),
        ("0.0.1", "lower than"),
    ],
)
def test_a_version_that_cannot_be_is_refused(project, version, why):
    refuses(project, version, why)


def test_a_version_that_was_released_is_refused(tmp_path):
    refuses(Project(tmp_path, CHANGELOG.replace("0.0.1", "7.8.9")), "7.8.9", "already has a section for 7.8.9")


@pytest.mark.parametrize("changes", ["", "### Added\n"])
def test_a_release_without_changes_is_refused(tmp_path, changes):
    changelog = CHANGELOG.replace("### Added\n- A node that sings.\n", changes)
    refuses(Project(tmp_path, changelog), "7.8.9", "nothing under ## [Unreleased]")


def test_changes_that_are_not_committed_are_named(project):
    project.write("notes.txt", "not yet")
    refuses(project, "7.8.9", "notes.txt")


def test_a_wheel_that_cannot_be_built_changes_nothing(project):
    project.write("pyproject.toml", project.read("pyproject.toml").replace("setuptools.build_meta", "nothing_here"))
    project.commit()
    assert project.release("7.8.9").returncode != 0
    assert project.git("diff") == ""
