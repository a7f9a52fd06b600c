"""`--nodes`: nodes of a file or module, for one command."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import comfy_nb as nb
from comfy_nb.cli.main import main
from comfy_nb.node_files.loading import load_nodes

PLUS = """
import comfy_nb as nb
from beside_it import STEP
@nb.node
def plus_step(x: float) -> float:
    return x + STEP
"""
PACK = """
class FromPack:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("INT",), "go", True
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"n": ("INT", {})}}
    def go(self, n):
        return (n + 1,)
NODE_CLASS_MAPPINGS = {"FromPack": FromPack}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *sys.path])
    (tmp_path / "beside_it.py").write_text("STEP = 0.5\n")
    (tmp_path / "plus_nodes.py").write_text(PLUS)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from .inside import NODE_CLASS_MAPPINGS\n")
    (tmp_path / "pack" / "inside.py").write_text(PACK)
    prompt = {
        "1": {"class_type": "plus_step", "inputs": {"x": 1.0}},
        "2": {"class_type": "FromPack", "inputs": {"n": 1}},
    }
    (tmp_path / "graph.json").write_text(json.dumps(prompt))
    return tmp_path


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see what another one has registered or imported."""
    registry = nb.nodes.ImageBlur.registry
    for name in ("plus_nodes", "beside_it", "pack", "pack.inside"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("plus_step", "FromPack"):
        if name in registry:
            registry.remove(name)


def command(*words: str) -> Result:
    with nb.use_session(nb.Session()):
        return CliRunner().invoke(main, words)


def test_a_run_has_the_nodes_of_files_and_of_folders():
    done = command("run", "graph.json", "--quiet", "--output", "1", "2", "--nodes", "plus_nodes.py", "pack")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == ["1 plus_step: 1.5", "2 FromPack: 2"]


def test_validate_and_nodes_take_them_too_and_modules_by_name():
    assert command("validate", "graph.json", "--nodes", "plus_nodes", "--nodes", "pack").exit_code == 0
    assert "x: FLOAT" in command("nodes", "plus_step", "--nodes", "plus_nodes.py").output


def test_without_them_the_error_names_them():
    done = command("run", "graph.json", "--quiet")
    assert done.exit_code == 2
    assert "plus_step (node 1), FromPack (node 2)" in done.output
    assert "--nodes my_nodes.py" in done.output and "nb.export_nodes" in done.output


def test_a_file_that_was_written_again_is_read_again(folder):
    load_nodes("plus_nodes.py")
    (folder / "plus_nodes.py").write_text(PLUS.replace("x + STEP", "x - STEP"))
    load_nodes("plus_nodes.py")
    assert nb.nodes.plus_step(1.0).run_sync() == 0.5


def test_a_file_of_the_name_of_another_module_replaces_none(folder):
    (folder / "json.py").write_text(PLUS)
    load_nodes("json.py")
    assert "plus_step" in nb.nodes
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        ("nowhere.py", None, "There are no nodes at 'nowhere.py'"),
        ("graph.json", None, "Nodes are read from a Python file, not from graph.json."),
        ("broken.py", "x = 1\ny = x / 0\n", "cannot be loaded: broken.py, line 2: ZeroDivisionError"),
        ("broken.py", "import not_there_at_all\n", "broken.py, line 1: ModuleNotFoundError"),
        ("broken.py", "def (:\n", "SyntaxError: invalid syntax (broken.py, line 1)"),
    ],
)
def test_what_cannot_be_loaded_is_an_error_in_a_line_that_exits_2(folder, source, text, message):
    if text is not None:
        (folder / source).write_text(text)
    done = command("run", "graph.json", "--nodes", source)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(3)", "cannot be loaded: script.py, line 2: SystemExit: 3"),
        ("def __getattr__(name):\n    raise RuntimeError(name)", ""),
        (f"{PACK}\nNODE_DISPLAY_NAME_MAPPINGS = 4", ""),
    ],
)
def test_a_file_that_ends_the_process_or_declares_oddly_ends_nothing(folder, text, message):
    (folder / "script.py").write_text(text)
    with pytest.raises(nb.ComfyNBError, match=message) if message else nullcontext():
        load_nodes("script.py")


def test_the_home_of_nobody_has_no_nodes():
    with pytest.raises(nb.ComfyNBError, match="There are no nodes at '~nobody_here/x.py'"):
        load_nodes("~nobody_here/x.py")
