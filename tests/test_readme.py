"""The README is correct: its examples run, its commands exist, its links resolve."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.examples import BLOCK, commands_in, examples_in, run_examples

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MOST_LINES = 142
OWN_NODES = "import comfy_nb as nb\n\n\n@nb.node\ndef half(x: float) -> float:\n    return x / 2\n"

EXAMPLES, COMMANDS = examples_in(README), commands_in(README)
LOCAL_LINKS = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not urlparse(link).scheme]


def commands_of(program: str) -> list[str]:
    """The commands in the README that call a program."""
    return [command for command in COMMANDS if re.search(rf"(^|\| ){program} ", command)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_reader_meets_the_two_commands_and_a_picture_first():
    assert COMMANDS[:2] == ["make demo", "make test"]
    picture = README.index("![")
    assert README.index("make test") < picture < README.index("## ")
    assert len(README.splitlines()) <= MOST_LINES


def test_every_block_is_an_example_or_commands():
    assert {language for language, _ in BLOCK.findall(README)} == {"python", "bash"}
    assert sorted(COMMANDS) == sorted(commands_of("make") + commands_of("comfy-nb") + commands_of("pip"))


async def test_the_examples_run_one_after_the_other(folder, capsys):
    await run_examples(folder, EXAMPLES)
    assert len(EXAMPLES) == 2
    printed = capsys.readouterr().out
    assert "Run done in " in printed and printed.count("torch.Size([1, 512, 512, 3])") == 2
    assert (folder / "comfy" / "output" / "soft_00001_.png").is_file()


@pytest.mark.process
def test_the_first_example_is_a_script_too(folder):
    done = subprocess.run([sys.executable, "-c", EXAMPLES[0]], cwd=folder, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "torch.Size([1, 512, 512, 3])\n"), done.stderr


@pytest.mark.process
@pytest.mark.parametrize("command", commands_of("make"))
def test_every_make_target_exists(command):
    asked = subprocess.run(["bash", "-c", f"{command} --dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()


@pytest.mark.process
@pytest.mark.parametrize("command", commands_of("comfy-nb"))
async def test_every_command_does_what_it_says(command, folder):
    await run_examples(folder, EXAMPLES[:1])  # which saves the graph
    (folder / "my_nodes.py").write_text(OWN_NODES)
    (folder / "mine.json").write_text(json.dumps({"1": {"class_type": "half", "inputs": {"x": 3.0}}}))
    bin_folder = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_cpu_build_of_torch_comes_from_where_binder_takes_it():
    torch_first, package = commands_of("pip")
    index = torch_first.split("pip install torch --index-url ")[1]
    assert f"--extra-index-url {index}" in (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert package == "pip install '.[lab]'"


@pytest.mark.parametrize("link", LOCAL_LINKS)
def test_every_local_link_leads_to_a_file(link):
    assert (ROOT / link).exists()
