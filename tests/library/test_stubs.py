"""Editors complete the built-in nodes from a stub that agrees with the classes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import comfy_nb as nb
from comfy_nb.library import NODE_CLASS_MAPPINGS
from comfy_nb.library.stubs import STUB, stub


def test_the_stub_in_the_package_is_up_to_date():
    assert STUB.read_text(encoding="utf-8") == stub(), "write it again: python -m comfy_nb.library.stubs"


def test_every_built_in_node_has_a_method_with_its_inputs():
    methods = {
        each.name: [argument.arg for argument in (*each.args.args, *each.args.kwonlyargs)]
        for each in ast.walk(ast.parse(stub()))
        if isinstance(each, ast.FunctionDef)
    }
    assert methods.keys() == NODE_CLASS_MAPPINGS.keys()
    assert methods["ImageBlur"] == ["self", "image", "blur_radius", "sigma"]


@pytest.mark.process
def test_a_type_checker_knows_the_built_in_nodes(tmp_path):
    program = tmp_path / "cell.py"
    program.write_text(
        "import comfy_nb as nb\n"
        "import torch\n"
        "image = torch.zeros(1, 2, 2, 3)\n"
        "reveal_type(nb.nodes.ImageBlur(image, blur_radius=6))\n"
        "reveal_type(nb.nodes.LoadImage(image='a.png').MASK)\n"
        "nb.nodes.ImageBlur(image, blur_radius='six')\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", str(program)],
        capture_output=True,
        text=True,
        cwd=Path(nb.__file__).parents[1],
    )
    assert checked.stdout.count('Revealed type is "comfy_nb.graph.handle.Handle"') == 2, checked.stdout
    assert 'cell.py:6: error: Argument "blur_radius" to "ImageBlur"' in checked.stdout


def test_the_package_says_that_it_is_typed():
    assert (Path(nb.__file__).parent / "py.typed").exists()
