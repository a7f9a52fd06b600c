"""Make a release: set the version, date the changelog, build the wheel into dist/.

    make release VERSION=0.2.0

It commits nothing, and prints at the end what is left to do.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "comfy_nb" / "__init__.py"
CHANGELOG = ROOT / "CHANGELOG.md"
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |^\[.+\]: |\Z)", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ .*$", re.MULTILINE)


class Refused(Exception):
    """The release cannot be made; the message says why."""


def parts_of(version: str) -> tuple[int, ...]:
    """Return the numbers of a version x.y.z."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise Refused(f"A version is three numbers such as 0.2.0; got {version!r}.")
    return tuple(int(part) for part in version.split("."))


def with_version(text: str, version: str) -> str:
    """Return the source of the package with its version replaced."""
    found = VERSION.search(text)
    if found is None:
        raise Refused(f"{PACKAGE} has no line __version__ = ...")
    if parts_of(version) < parts_of(found[1]):
        raise Refused(f"{version} is lower than the current version, {found[1]}.")
    return VERSION.sub(f'__version__ = "{version}"', text)


def with_section(text: str, version: str, day: date) -> str:
    """Return the changelog with its unreleased changes moved to a section for this version."""
    if f"## [{version}]" in text:
        raise Refused(f"CHANGELOG.md already has a section for {version}.")
    found = UNRELEASED.search(text)
    if found is None or not HEADING.sub("", found[1]).strip():
        raise Refused("CHANGELOG.md has nothing under ## [Unreleased].")
    sections = f"## [Unreleased]\n\n## [{version}] - {day.isoformat()}\n\n{found[1].strip()}\n"
    return f"{text[: found.start()]}{sections}\n{text[found.end() :]}".rstrip() + "\n"


def check_tree() -> None:
    """Refuse a tree with uncommitted changes."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    if status.stdout:
        raise Refused(f"Commit or stash these changes first:\n{status.stdout}")


def build_wheel() -> None:
    """Build the wheel; leftovers of an earlier build would end up in it, so they are removed first."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", "dist", "."], cwd=ROOT, check=True)


def release(version: str) -> None:
    """Change the files and build the wheel; if anything fails, leave the files as they were."""
    parts_of(version)
    check_tree()
    before = {path: path.read_text() for path in (PACKAGE, CHANGELOG)}
    after = {
        PACKAGE: with_version(before[PACKAGE], version),
        CHANGELOG: with_section(before[CHANGELOG], version, date.today()),
    }
    try:
        for path, text in after.items():
            path.write_text(text)
        build_wheel()
    except BaseException:
        for path, text in before.items():
            path.write_text(text)
        raise
    print(f"Built dist/comfy_nb-{version}-py3-none-any.whl.")
    print(f"To finish: git commit -am 'Release {version}' && git tag v{version}")


def main() -> int:
    """Run the command and return its exit code."""
    if len(sys.argv) != 2:
        print("usage: make release VERSION=x.y.z", file=sys.stderr)
        return 2
    try:
        release(sys.argv[1])
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
