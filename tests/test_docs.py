"""What the documents in docs/ promise to those who cite them."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

from click.testing import CliRunner

import comfy_nb as nb
from comfy_nb.cli.main import main
from comfy_nb.library.folders import Folders, use_folders
from tests.examples import examples_in, run_examples
from tests.kernel.harness import OTHER_KERNELS

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
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "my_nodes", None)  # which is taken out again in the end
    example, command = re.findall(r"^```\w+\n(.*?)^```$", (ROOT / "docs/own_nodes.md").read_text(), re.M | re.S)
    Path("cell.py").write_text(example)
    with nb.use_session(nb.Session()), use_folders(Folders(tmp_path / "comfy")):
        runpy.run_path("cell.py")
        done = CliRunner().invoke(main, [*command.split()[1:], "--quiet"])
    assert done.exit_code == 0, done.output
    assert done.output == f"3 SaveImage: {tmp_path}/comfy/output/levels_00001_.png\n"


async def test_the_examples_of_threads_pools_and_priority_run_one_after_the_other(tmp_path, capsys):
    examples = examples_in((ROOT / "docs/threads_pools_priority.md").read_text())
    assert len(examples) == 4
    await run_examples(tmp_path, examples)
    printed = capsys.readouterr().out
    assert "pixels wide" in printed and "0 of 1" in printed and "429 ()" in printed and printed.endswith("10\n")


async def test_the_examples_of_the_guide_run_one_after_the_other(tmp_path, capsys):
    examples = examples_in((ROOT / "docs/guide.md").read_text())
    assert len(examples) == 7
    await run_examples(tmp_path, examples)
    assert "2 from cache" in capsys.readouterr().out


def test_the_versions_that_count_as_tested_are_those_that_the_tests_pin() -> None:
    rows = (ROOT / "docs/compatibility.md").read_text().split("|---|---|---|---|\n")[1].splitlines()
    tested = " ".join(" ".join(" ".join(row.split("|")[1:3]) for row in rows).split())
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / ".ci/constraints.txt").read_text(), re.M))
    named = {name: version for name, version in pinned.items() if f" {name} " in tested}
    assert named.keys() >= {"torch", "numpy", "ipykernel", "jupyterlab", "nbclient"}
    assert [name for name, version in named.items() if f"{name} {version}" not in tested] == []
    assert all(version in tested for version in OTHER_KERNELS)
