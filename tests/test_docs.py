"""What the documents in docs/ promise to those who cite them."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

from click.testing import CliRunner

import comfy_nb as nb
from comfy_nb.cli.main import main
from comfy_nb.library.folders import Folders, use_folders

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r'docs/semantics\.md,\s+("[^"]+"(?:(?:,| and)\s+"[^"]+")*)')


def headings() -> set[str]:
    text = (ROOT / "docs/semantics.md").read_text()
    return {line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")}


def test_every_heading_of_the_semantics_that_is_cited_exists() -> None:
    sources = [*(ROOT / "comfy_nb").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    cited = {
        heading
        for source in sources
        for citation in CITATION.findall(source.read_text())
        for heading in re.findall(r'"([^"]+)"', citation)
    }
    assert cited and cited <= headings()


def test_the_list_of_files_says_what_their_first_lines_say() -> None:
    index = runpy.run_path(str(ROOT / ".ci/files.py"))["index"]()
    assert (ROOT / "docs/files.md").read_text() == index, "Run `make files`."


def test_every_file_says_what_it_holds() -> None:
    listed = (ROOT / "docs/files.md").read_text().splitlines()
    assert [line for line in listed if line.startswith("- ") and line.endswith(": ")] == []


async def test_the_example_of_own_nodes_is_run_by_its_command(tmp_path, monkeypatch):
    (tmp_path / "comfy" / "input").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/assets/portrait.jpg", tmp_path / "comfy/input")
    monkeypatch.chdir(tmp_path)
    example, command = re.findall(r"^```\w+\n(.*?)^```$", (ROOT / "docs/own_nodes.md").read_text(), re.M | re.S)
    Path("cell.py").write_text(example)
    with nb.use_session(nb.Session()), use_folders(Folders(tmp_path / "comfy")):
        runpy.run_path("cell.py")
        done = CliRunner().invoke(main, [*command.split()[1:], "--quiet"])
    assert done.exit_code == 0, done.output
    assert done.output == f"3 SaveImage: {tmp_path}/comfy/output/levels_00001_.png\n"
