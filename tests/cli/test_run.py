"""`comfy-nb run` and `validate` as a person or a script uses them: output and exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from PIL import Image

import comfy_nb as nb
from comfy_nb.cli.main import main
from comfy_nb.engine.session import Session, use_session
from comfy_nb.library.folders import Folders, use_folders
from tests.measuring import unmeasured

COMMAND = [sys.executable, "-m", "comfy_nb"]
TIMEOUT_S = 120

BLUR: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 16, "batch_size": 1, "color": 255}},
    "2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 2, "sigma": 1.0}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "soft"}},
}
WORDS: dict[str, Any] = {
    "a.b": {"class_type": "PrimitiveString", "inputs": {"value": "7"}},
    "2": {
        "class_type": "StringConcatenate",
        "inputs": {"string_a": ["a.b", 0], "string_b": "!", "delimiter": ""},
    },
}
BROKEN_PICTURE: dict[str, Any] = {
    "4": {"class_type": "LoadImage", "inputs": {"image": "broken.png"}, "_meta": {"title": "My photo"}},
    "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
}


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(tmp_path):
    """Call the command in this process, with a session and folders of its own; a dict is written to a file."""

    def run(*words: Any, stdin: str = "") -> Ended:
        done = CliRunner().invoke(main, spelled(tmp_path, words), input=stdin)
        return Ended(done.exit_code, done.stdout, done.stderr)

    with use_session(Session()), use_folders(Folders(tmp_path / "comfy")):
        yield run


@pytest.fixture
def process(tmp_path):
    """Run the command as a process of its own in an empty folder."""

    def run(*words: Any, stdin: str = "") -> Ended:
        done = subprocess.run(
            [*COMMAND, *spelled(tmp_path, words)],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def spelled(folder: Path, words: Sequence[Any]) -> list[str]:
    return [write(folder, word) if isinstance(word, dict) else word for word in words]


def write(folder: Path, graph: dict[str, Any]) -> str:
    path = folder / "graph.json"
    path.write_text(json.dumps(graph))
    return str(path)


def picture_at(path: str | Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
    return picture


@pytest.mark.process
def test_a_run_prints_the_files_it_wrote_and_shows_progress_on_stderr(process, tmp_path):
    done = process("run", BLUR)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "comfy" / "output" / "soft_00001_.png"
    assert done.stdout == f"9 SaveImage: {path}\n"
    assert picture_at(path).size == (32, 16)
    assert "ImageBlur  done" in done.stderr and "done: 3 of 3 nodes" in done.stderr


def test_progress_counts_what_came_from_the_cache(command):
    command("run", BLUR)
    assert "done: 3 of 3 nodes, 1 from cache" in command("run", BLUR, "--set", "2.sigma=3").stderr
    assert "1 node from cache" in command("run", BLUR, "--set", "2.sigma=3").stderr


def test_quiet_shows_no_progress(command):
    done = command("run", WORDS, "--quiet")
    assert done == (0, "2 StringConcatenate: 7!\n", "")


def test_a_saved_picture_can_be_run_again(command):
    saved = command("run", BLUR).stdout.split(": ")[1].strip()
    again = command("run", saved, "--set", "9.filename_prefix=again", "--quiet")
    assert again.stdout.endswith("again_00001_.png\n")


@pytest.mark.process
def test_a_graph_comes_from_stdin(process):
    done = process("run", "-", "--quiet", stdin=json.dumps(WORDS))
    assert done.stdout == "2 StringConcatenate: 7!\n"


def test_an_empty_stdin_is_named_in_a_sentence(command):
    done = command("run", "-", stdin="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: The standard input is empty: a prompt in JSON is expected.\n"


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [("validate", BLUR), ("run", WORDS, "--json", "--quiet"), ("nodes",)])
def test_an_output_that_cannot_be_written_is_an_error_in_a_line(tmp_path, words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *spelled(tmp_path, words)], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "Error: The output cannot be written: No space left on device.\n"


def test_set_changes_inputs_as_they_are_declared(command):
    edits = ["--set", "1.width=64", "--set", "2.sigma=2", "--set", "9.filename_prefix=33"]
    done = command("run", BLUR, *edits, "--quiet")
    assert done.returncode == 0, done.stderr
    path = done.stdout.split(": ")[1].strip()
    assert Path(path).name == "33_00001_.png"
    assert picture_at(path).size == (64, 16)
    assert json.loads(picture_at(path).info["prompt"])["2"]["inputs"]["sigma"] == 2


def test_set_reaches_nodes_whose_ids_have_dots(command):
    assert command("run", WORDS, "--set", "a.b.value=8", "--quiet").stdout == "2 StringConcatenate: 8!\n"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("7.width=1", r"no node '7'"),
        ("1.widht=64", r"widht.*Did you mean 'width'"),
        ("1.width=wide", r"input 'width'.*whole number.*'wide'"),
        ("1.width", r"NODE\.INPUT=VALUE"),
        ('2.image=["8", 0]', r"no node '8' to link to"),
        ("2.image=5", r"input 'image'.*takes IMAGE.*not '5'.*image=\["),
        ("2.image=photo.png", r"takes IMAGE, which cannot be written as text"),
    ],
)
def test_an_edit_that_cannot_be_made_is_an_error_and_nothing_runs(command, tmp_path, edit, message):
    done = command("run", BLUR, "--set", edit)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "comfy").exists()


def test_output_runs_only_what_that_node_needs(command, tmp_path):
    done = command("run", BLUR, "--output", "2", "--json", "--quiet")
    printed = json.loads(done.stdout)
    assert set(printed["outputs"]) == {"2"}
    assert printed["outputs"]["2"]["values"][0]["shape"] == [1, 16, 32, 3]
    assert not (tmp_path / "comfy" / "output").exists()


@pytest.mark.parametrize("words", [("--outputs", "1", "2"), ("--output", "1", "--output", "2")])
def test_several_outputs_are_given_at_once_or_one_by_one(command, words):
    printed = json.loads(command("run", BLUR, *words, "--json", "--quiet").stdout)
    assert set(printed["outputs"]) == {"1", "2"}


def test_options_may_stand_before_the_graph_and_take_several_values_after_it(command):
    done = command("run", "--set", "a.b.value=8", WORDS, "--set", "2.string_b=?", "2.delimiter=-", "--quiet")
    assert done.stdout == "2 StringConcatenate: 8-?\n"


def test_a_second_graph_is_refused(command):
    done = command("run", WORDS, "another.json")
    assert done.returncode == 2 and "unexpected extra argument (another.json)" in done.stderr


def test_an_output_that_is_not_there_is_an_error(command):
    done = command("run", BLUR, "--output", "77")
    assert done.returncode == 2 and "no node '77'" in done.stderr


def test_json_is_one_object_on_stdout_and_nothing_else(command):
    printed = json.loads(command("run", BLUR, "--json").stdout)
    assert printed["state"] == "done" and printed["errors"] == [] and printed["seconds"] > 0
    (entry,) = printed["outputs"]["9"]["ui"]["images"]
    assert entry["filename"] == "soft_00001_.png"
    assert set(printed["why"]) == {"1", "2", "9"}


@pytest.mark.process
def test_a_node_that_fails_is_named_and_exits_1(command, process, tmp_path):
    (tmp_path / "comfy" / "input").mkdir(parents=True)
    (tmp_path / "comfy" / "input" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"junk" * 10)
    done = process("run", BROKEN_PICTURE)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'Error: "My photo" (node 4, LoadImage)' in done.stderr
    assert "Traceback" not in done.stderr
    printed = json.loads(command("run", BROKEN_PICTURE, "--json", "--quiet").stdout)
    assert printed["state"] == "failed"
    assert [(each["type"], each["node_id"]) for each in printed["errors"]] == [("node_failed", "4")]
    assert "Traceback" in command("--debug", "run", BROKEN_PICTURE).stderr


def test_with_on_error_continue_the_rest_is_saved_and_printed_and_each_failure_is_named(command, tmp_path):
    (tmp_path / "comfy" / "input").mkdir(parents=True)
    (tmp_path / "comfy" / "input" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"junk" * 10)
    done = command("run", {**BROKEN_PICTURE, **BLUR}, "--on-error", "continue", "--quiet")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"9 SaveImage: {tmp_path / 'comfy' / 'output' / 'soft_00001_.png'}"]
    assert 'Error: 1 node failed:\n  - "My photo" (node 4, LoadImage)' in done.stderr
    printed = json.loads(command("run", {**BROKEN_PICTURE, **BLUR}, "--on-error=continue", "--json", "--quiet").stdout)
    assert printed["state"] == "failed"
    assert [(each["type"], each["node_id"]) for each in printed["errors"]] == [("node_failed", "4")]
    assert printed["why"]["5"] == 'did not run: it waits for "My photo" (node 4, LoadImage), which failed'
    assert command("run", BLUR, "--on-error", "go").returncode == 2


def test_a_run_that_takes_longer_than_its_timeout_fails_and_names_what_was_running(command):
    wait = {"1": {"class_type": "SleepWithProgress", "inputs": {"value": 1, "seconds": 60.0, "steps": 10}}}
    done = command("run", wait, "--timeout", "0.2", "--quiet")
    assert done.returncode == 1
    assert "Error: The run took longer than its timeout of 0.20 s. Still running: " in done.stderr
    printed = json.loads(command("run", wait, "--timeout=0.2", "--json", "--quiet").stdout)
    assert (printed["state"], printed["errors"][0]["type"], printed["errors"][0]["running"]) == (
        "failed",
        "timeout",
        ["1"],
    )


INVALID: dict[str, Any] = {
    **BLUR,
    "2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "sigma": 1.0}},
}


def test_a_node_that_fails_does_not_hide_what_is_wrong_with_other_outputs(command, tmp_path):
    broken = tmp_path / "comfy" / "input" / "broken.png"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not a picture")
    prompt = {**BROKEN_PICTURE, "6": {"class_type": "PreviewImage", "inputs": {}}}
    done = command("run", prompt, "--quiet", "--json")
    assert done.returncode == 1
    found = [(error["type"], error["node_id"]) for error in json.loads(done.stdout)["errors"]]
    assert found == [("node_failed", "4"), ("required_input_missing", "6")]
    assert "PreviewImage (node 6): Required input is missing: images" in done.stderr


def test_an_invalid_graph_is_explained_and_exits_2(command):
    done = command("run", INVALID)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and "blur_radius" in done.stderr and "Traceback" not in done.stderr
    printed = json.loads(command("run", INVALID, "--json", "--quiet").stdout)
    assert printed["state"] == "invalid"
    assert [each["type"] for each in printed["errors"]] == ["required_input_missing"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{not json", "JSON"), ('{"nodes": [], "links": [], "version": 0.4}', "API"), ("[1, 2]", "")],
)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_file_that_holds_no_graph_exits_2(command, tmp_path, verb, content, message):
    (tmp_path / "bad.json").write_text(content)
    done = command(verb, str(tmp_path / "bad.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and message in done.stderr and "Traceback" not in done.stderr


def test_a_file_that_is_not_there_exits_2(command):
    done = command("run", "/nowhere.json")
    assert done.returncode == 2 and "nowhere.json" in done.stderr


def test_bad_usage_exits_2(command):
    assert command("run").returncode == 2
    assert command("run", BLUR, "--nonsense").returncode == 2


def test_validate_confirms_that_a_graph_is_valid(command):
    done = command("validate", BLUR)
    assert done == (0, "The graph is valid: 3 nodes.\n", "")
    assert json.loads(command("validate", BLUR, "--json").stdout) == {"valid": True, "problems": []}


def test_validate_lists_what_is_wrong(command):
    done = command("validate", INVALID)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ImageBlur (node 2)" in done.stderr
    (problem,) = json.loads(command("validate", INVALID, "--json").stdout)["problems"]
    assert (problem["node_id"], problem["type"]) == ("2", "required_input_missing")


@pytest.mark.process
def test_ctrl_c_stops_the_run_and_exits_130(tmp_path):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {
            "class_type": "SleepWithProgress",
            "inputs": {"value": ["1", 0], "seconds": 60.0, "steps": 600},
        },
    }
    process = subprocess.Popen(
        [*COMMAND, "run", write(tmp_path, graph), "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**unmeasured(), "PYTHONUNBUFFERED": "1"},
        # A shell's background job ignores SIGINT, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert "EmptyImage  done" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, err
    assert json.loads(out)["state"] == "stopped"
    assert "Traceback" not in err


def test_json_cuts_off_values_that_contain_themselves(command):
    @nb.node
    def Endless() -> object:
        value: list[Any] = [1]
        value += [value, {"again": value}, "\ud800", 10**5_000]
        return value

    ended = command("run", {"1": {"class_type": "Endless", "inputs": {}}}, "--json")
    assert ended.returncode == 0
    (value,) = json.loads(ended.stdout)["outputs"]["1"]["values"]
    assert value == [1, "…", {"again": "…"}, "\ud800", hex(10**5_000)]
    assert '[1, "…"' in command("run", {"1": {"class_type": "Endless", "inputs": {}}}).stdout
