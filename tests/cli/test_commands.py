"""The other commands: nodes, bench, demo, version, help; and the completion of arguments."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from comfy_nb.cli.main import main
from comfy_nb.library import Folders, use_folders


def command(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_the_version_is_that_of_the_package():
    assert command("--version").output.split()[-1] == version("comfy-nb")


def test_help_names_every_command():
    output = command("--help").output
    assert all(f"  {name} " in output for name in ("run", "validate", "nodes", "doctor", "bench", "demo"))


def test_the_doctor_tells_by_its_exit_code_whether_something_is_wrong(tmp_path: Path):
    assert command("doctor").exit_code == 0
    (tmp_path / "file").touch()
    with use_folders(Folders(tmp_path / "file")):
        done = command("doctor")
    assert done.exit_code == 1 and done.output.startswith("3 things to mend.\n✗ input: ")


def test_nodes_are_listed_by_category():
    done = command("nodes")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert "  ImageBlur" in lines and "image/postprocessing" in lines
    assert lines.index("image/postprocessing") < lines.index("  ImageBlur")


def test_a_node_is_described_by_its_name():
    done = command("nodes", "ImageBlur")
    assert done.output.startswith("ImageBlur (image/postprocessing)\n")
    assert "blur_radius: INT" in done.output and "Outputs: IMAGE" in done.output


def test_nodes_are_found_by_a_part_of_their_name():
    output = command("nodes", "blur").output
    assert "  ImageBlur" in output and "SaveImage" not in output


def test_nodes_are_found_by_a_pattern_for_their_names():
    assert command("nodes", "image*vert").output == "image\n  ImageInvert\n"


def test_a_node_that_is_not_there_is_an_error_that_suggests_the_nearest():
    done = command("nodes", "ImageBlurr")
    assert done.exit_code == 2
    assert "'ImageBlur'" in done.stderr
    assert (
        "There is no node class 'KSampler' in the registry. comfy_nb brings only" in command("nodes", "KSampler").stderr
    )


def test_a_misspelt_word_suggests_the_classes_whose_names_have_it():
    assert command("nodes", "blurr").stderr == ("Error: There is no node class 'blurr'. Did you mean 'ImageBlur'?\n")


@pytest.mark.parametrize("name", ["bench", "demo"])
def test_a_command_that_needs_a_checkout_reports_that_there_is_none(name, tmp_path, monkeypatch):
    monkeypatch.setattr("comfy_nb.cli.main.CHECKOUT", tmp_path)
    done = command(name)
    assert done.exit_code == 2
    assert "checkout" in done.stderr and str(tmp_path) in done.stderr


@pytest.mark.parametrize(
    ("words", "typed", "expected"),
    [
        (["nodes"], "imageinv", ["ImageInvert"]),
        (["run", "{graph}", "--set"], "1.v", ["1.value="]),
        (["run", "{graph}", "--output"], "", ["1"]),
        (["run", "no.json", "--output"], "", []),
        (["validate", "no.json", "--nodes"], "{folder}/own", ["{folder}/own_nodes.py"]),
    ],
)
def test_a_shell_can_complete_nodes_and_edits(tmp_path, words, typed, expected):
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"1": {"class_type": "PrimitiveInt", "inputs": {"value": 7}}}))
    (tmp_path / "own_nodes.py").touch()
    words, expected = ([each.format(graph=graph, folder=tmp_path) for each in texts] for texts in (words, expected))
    found = ShellComplete(main, {}, "comfy-nb", "_COMFY_NB_COMPLETE")
    assert [item.value for item in found.get_completions(words, typed.format(folder=tmp_path))] == expected
