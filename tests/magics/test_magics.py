"""`%comfy` and `%%node` in an IPython shell of the test's own."""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import torch
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import comfy_nb as nb
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.library import Folders, use_folders
from comfy_nb.magics.input_completion import choices_at_cursor
from comfy_nb.spec.reading import spec_of
from comfy_nb.spec.registry import Registry

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
}

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Notebook:
    """A shell with the magics loaded; `run` returns a cell's value, `printed` is the text below it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = InteractiveShell(cache_size=0)  # with a cache, each shell collects all garbage when it ends
        self.shell.user_ns["nb"] = nb
        self.capsys = capsys
        self.run("%load_ext comfy_nb")

    def run(self, cell: str):
        self.printed = ""
        result = self.shell.run_cell(cell, store_history=True)
        captured = self.capsys.readouterr()
        self.printed = captured.out + captured.err
        return result.result

    def close(self) -> None:
        atexit.unregister(self.shell.atexit_operations)
        self.shell.atexit_operations()

    def complete(self, text: str, jedi: bool = False) -> list[str]:
        self.shell.Completer.use_jedi = jedi
        with provisionalcompleter():
            return [each.text for each in self.shell.Completer.completions(text, len(text))]

    def __getitem__(self, name: str):
        return self.shell.user_ns[name]


@pytest.fixture
def notebook(capsys, tmp_path, monkeypatch) -> Iterator[Notebook]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.json").write_text(json.dumps(GRAPH))
    (tmp_path / "notes.txt").write_text("no graph")
    with nb.use_session(nb.Session(budget=64 << 20)), closing(Notebook(capsys)) as opened:
        yield opened


def test_a_cell_with_a_signature_is_the_body_of_a_node(notebook):
    notebook.run("%%node scale(image: nb.Image, by: float = 3.0) -> nb.Image --title 'My scale'\nreturn image * by")
    handle = notebook["scale"](torch.ones(1, 2, 2, 3))
    assert torch.equal(handle.run_sync(), torch.full((1, 2, 2, 3), 3.0))
    assert notebook["scale"].spec.display_name == "My scale" and "scale" in nb.nodes


def test_the_text_of_strings_over_several_lines_stays_as_it_is(notebook):
    notebook.run("%%node words(n: int) -> str\nif n:\n    return f'''a\n  {n}'''\nreturn '''b\n c'''")
    assert notebook["words"](1).run_sync() == "a\n  1"
    assert notebook["words"](0).run_sync() == "b\n c"


def test_a_body_that_awaits_is_an_async_node(notebook):
    notebook.run("%%node nap(n: int) -> int --timeout 5\nimport asyncio\nawait asyncio.sleep(0)\nreturn n + 1")
    assert notebook["nap"].spec.is_async and notebook["nap"].spec.timeout == 5
    assert notebook["nap"](1).run_sync() == 2


def test_a_cell_with_one_function_is_that_node_under_the_name_it_is_given(notebook):
    notebook.run("%%node Twice --output --category maths\nFACTOR = 2\ndef twice(n: int) -> int:\n    return n * FACTOR")
    assert notebook["Twice"](4).run_sync() == 8
    spec = notebook["Twice"].spec
    assert (spec.class_type, spec.category, spec.is_output) == ("Twice", "maths", True)


def test_defining_a_cell_anew_runs_the_new_code_and_the_same_code_stays_cached(notebook):
    cell = "%%node add(n: int) -> int\nreturn n + {}"
    notebook.run(cell.format(1))
    assert notebook["add"](1).run_sync() == 2
    notebook.run(cell.format(2))
    assert notebook["add"](1).run_sync() == 3
    notebook.run("\n" + cell.format(2))
    notebook["add"](1).run_sync()
    notebook.run("%comfy why")
    assert "from an earlier run" in notebook.printed


def test_an_error_inside_a_node_names_its_line_of_the_cell(notebook):
    notebook.run("%%node boom(n: int) -> float\nzero = 0\nreturn n / zero")
    notebook.run("boom(1).run_sync()")
    assert "line 3, in boom" in notebook.printed and "return n / zero" in notebook.printed


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%node f(a: int) -> int\nb = 1\nreturn = 2", "Line 3 of the cell, invalid syntax"),
        ("%%node\ndef f(a: int):\n    b = = 1", "Line 3 of the cell, invalid syntax"),
        ("%%node\ndef f(a: int):\n    nonlocal a", "Line 3 of the cell, "),
        ("%%node\nimport no_such_module\ndef f(a: int): ...", "line 2 of the cell, ModuleNotFoundError"),
        ("%%node\nx = 1", "must hold one function, got 0"),
        ("%%node\ndef f(): ...\ndef g(): ...", "must hold one function, got 2"),
        ("%%node f(\nreturn 1", "The signature 'f(' cannot be read"),
        ("%%node f(a): pass; g(b)\nreturn 1", "cannot be read"),
        ("%%node f(a: int) -> int\n# nothing", "no body"),
        ("%%node two words\ndef f(): ...", "is not a name for a node"),
        ("%%node f(a: int) -> int --timeout soon\nreturn 1", "'soon' is not a valid float"),
        ("%%node f(a: int) -> int --colour red\nreturn 1", "--colour"),
        ("%%node f(a: int) -> int --timeout 3\nreturn 1", "a timeout needs an async function"),
        ("%%node f(a: Nowhere) -> int\nreturn 1", "'Nowhere' is not defined"),
        ("%%node f(*args)\nreturn 1", "*args"),
        ("%%node f(a: int) -> int --backoff -1\nreturn 1", "backoff must be seconds, 0 or more"),
        ("%%node class\ndef f(): ...", "'class' is not a name for a node"),
        ("%%node\ndef t(): ...\ndel t", "the cell defines t, but deletes it again"),
        ("%comfy run ~no-such-user/x.json", "There is no file ~no-such-user/x.json"),
        ("%comfy run {FILE}", "nor a variable 'FILE'"),
        ("%comfy nod", "Did you mean 'nodes'?"),
        ("%comfy nodes zzz", "There is no node class 'zzz'"),
        ("%comfy run", "%comfy run: Missing argument 'GRAPH'. See %comfy help."),
        ("%comfy run nope.json", "nope.json"),
        ("%comfy run 'flow.json", "cannot be split"),
        ("%comfy run flow.json --set 1.width", "cannot be read as NODE.INPUT=VALUE"),
        ("%comfy run flow.json --set 1.widht=3", "Did you mean 'width'?"),
        ("%comfy run flow.json --outputs 9", "There is no node '9'"),
        ("%comfy run notes.txt", "notes.txt"),
        ("%comfy why", "nothing has run yet"),
        ("%comfy cache burn", "'burn' is not one of 'stats', 'clear'. See %comfy help."),
        ("%comfy repr", "Choose from: on, off. See %comfy help."),
        ("%comfy why 1 2", "%comfy why: Got unexpected extra argument"),
        ("%%node f(a: int) -> int --timeout 0\nreturn 1", "a timeout needs an async function"),
    ],
)
def test_an_error_is_one_line_without_a_traceback(notebook, cell, message):
    notebook.run(cell)
    assert notebook.printed.startswith("UsageError: ") and message in notebook.printed
    assert notebook.printed.strip().count("\n") == 0


def test_a_file_runs_with_edits_and_explains_why(notebook):
    run = notebook.run("%comfy run flow.json --set 1.width=4 1.color=255 --outputs 2")
    assert run["2"].shape == (1, 8, 4, 3)
    notebook.run("%comfy why 2")
    assert notebook.printed == "first run\n"
    notebook.run("%comfy why")
    assert notebook.printed.splitlines() == ["1 EmptyImage: first run", "2 ImageInvert: first run"]
    notebook.run("%comfy why 7")
    assert notebook.printed.startswith("UsageError: There is no node '7'")


def test_outputs_may_be_named_one_by_one_as_on_the_command_line(notebook):
    run = notebook.run("%comfy run flow.json --output 1 --output 2 --wait")
    assert run["1"].shape == run["2"].shape == (1, 8, 8, 3)


def test_a_run_loads_nodes_of_a_file_first(notebook, tmp_path):
    (tmp_path / "own.py").write_text("import comfy_nb as nb\n@nb.node\ndef nine() -> int:\n    return 9\n")
    (tmp_path / "own.json").write_text(json.dumps({"1": {"class_type": "nine", "inputs": {}}}))
    assert notebook.run("%comfy run own.json --nodes own.py --wait")["1"] == 9
    notebook.run("%comfy run own.json --nodes no.py --wait")
    assert notebook.printed.startswith("UsageError: There are no nodes at 'no.py'")


async def test_where_a_loop_runs_a_file_is_started_in_the_background(notebook):
    job = notebook["get_ipython"]().run_line_magic("comfy", "run flow.json --outputs 2")
    assert isinstance(job, nb.Job) and job.run.state == "running"
    assert (await job)["2"].shape == (1, 8, 8, 3)


def test_the_cache_is_shown_and_cleared(notebook, monkeypatch):
    notebook.run("%comfy run flow.json")
    assert notebook.run("%comfy cache") is nb.cache and len(nb.cache) > 0
    notebook.run("%comfy cache clear")
    assert notebook.printed.endswith("dropped.\n") and len(nb.cache) == 0


def test_nodes_are_a_table(notebook):
    table = notebook.run("%comfy nodes Image*vert")
    assert table.rows[0] == ("ImageInvert", "image", "image", "IMAGE")
    assert "ImageInvert" in notebook.printed and "<td" in table._repr_html_()
    assert len(notebook.run("%comfy nodes")) == len(nb.nodes)


@pytest.mark.parametrize("jedi", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%comfy n", ["nodes"]),
        ("%comfy nodes ImageInv", ["ImageInvert"]),
        ("x = %comfy cache c", ["clear"]),
        ("%comfy run ", ["flow.json"]),
        ("%comfy run flow.json --set 1.w", ["1.width="]),
        ("%comfy run flow.json --outputs ", ["1", "2"]),
        ("%comfy repr o", ["off", "on"]),
    ],
)
def test_a_comfy_line_is_completed(notebook, text, expected, jedi):
    assert notebook.complete(text, jedi) == expected


def test_for_a_file_that_cannot_be_read_nothing_of_ours_is_offered(notebook):
    assert not {"1.width=", "--set"} & set(notebook.complete("%comfy run nope.json --set "))


def test_loading_it_again_changes_nothing(notebook):
    notebook.run("%reload_ext comfy_nb")
    assert notebook.complete("%comfy cache c") == ["clear"]
    ours = [each for each in notebook.shell.Completer.custom_matchers if each.matcher_identifier == "comfy_nb"]
    assert len(ours) == 1


@pytest.mark.parametrize("jedi", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nb.nodes.ImageBlur(", ["image=", "blur_radius=", "sigma="]),
        ("nb.nodes.ImageBlur(si", ["sigma="]),
        ("nb.nodes.ImageBlur(\n    nb.nodes.EmptyImage(width=3), bl", ["blur_radius="]),
        ("nb.nodes.ImageBlur(image=nb.nodes.EmptyImage(wid", ["width="]),
        ("blur(sigma=1, image='(', b", ["blur_radius="]),
    ],
)
def test_the_inputs_of_a_node_are_offered_inside_its_call(notebook, text, expected, jedi):
    notebook.run("blur = nb.nodes.ImageBlur")
    assert set(expected) <= set(notebook.complete(text, jedi))


def test_an_input_that_is_given_is_not_offered_again(notebook):
    assert "sigma=" not in notebook.complete("nb.nodes.ImageBlur(sigma=2, ")


@pytest.mark.parametrize("jedi", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('nb.nodes.ImageScale(image, upscale_method="', ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]),
        ('nb.nodes.ImageScale(image, upscale_method="nearest-e', ["nearest-exact"]),
        ("nb.nodes.ImageScale(nb.nodes.EmptyImage(4, 4), 'b", ["bilinear", "bicubic"]),
        ('nb.nodes.ImageScale(\n    f("a, b(", [1, 2]), "lanc', ["lanczos"]),
        ('nb.nodes.LoadImage("', ["cat photo.png", "dog.png"]),
        ('nb.nodes.LoadImage(image="cat ph', ["cat photo.png"]),
        ('nb.nodes.SampleImage("', ["portrait"]),
    ],
)
def test_choices_and_files_are_offered_inside_quotes_and_nothing_else(notebook, tmp_path, text, expected, jedi):
    (tmp_path / "input").mkdir()
    for name in ("cat photo.png", "dog.png"):
        (tmp_path / "input" / name).touch()
    with use_folders(Folders(tmp_path)):
        assert notebook.complete(text, jedi) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    ['print("', 'nb.nodes.ImageScale(image, f("', 'nb.nodes.ImageBlur(sigma="', 'nb.nodes.ImageScale(1, 2, 3, 4, 5, "'],
)
def test_no_choices_are_offered_where_there_are_none(notebook, text):
    assert not {"nearest-exact", "disabled"} & set(notebook.complete(text))


@pytest.mark.parametrize("jedi", [False, True])
def test_ids_and_input_names_are_offered_inside_brackets(notebook, jedi):
    notebook.shell.user_ns["graph"] = nb.Graph.from_prompt(GRAPH)
    notebook.shell.user_ns["run"] = nb.Graph.from_prompt(GRAPH).run_sync(["1"])
    assert {"1", "2"} <= set(notebook.complete('graph["', jedi))
    assert "1" in notebook.complete('run["', jedi) and "2" not in notebook.complete('run["', jedi)
    assert {"width", "height"} <= set(notebook.complete('graph["1"].inputs["', jedi))
    assert "image" in notebook.complete('graph["2"].inputs["i', jedi)


def test_an_input_that_has_no_value_yet_is_offered_inside_brackets(notebook):
    graph = nb.Graph.from_prompt({"1": {"class_type": "EmptyImage", "inputs": {}}})
    notebook.shell.user_ns["graph"] = graph
    assert "batch_size" in notebook.complete('graph["1"].inputs["')


def test_a_choice_takes_the_place_of_what_was_typed(notebook):
    text = 'nb.nodes.ImageScale(image, "nearest-'
    with provisionalcompleter():
        (found,) = notebook.shell.Completer.completions(text, len(text))
    assert text[: found.start] + found.text + text[found.end :] == 'nb.nodes.ImageScale(image, "nearest-exact'


def test_the_documentation_of_a_node_has_a_picture_of_its_slots(notebook):
    assert nb.nodes.ImageBlur.getdoc().splitlines()[:5] == [
        "┌─ ImageBlur ───────────────────────────────────────┐",
        "│ ● image        IMAGE                      IMAGE ● │",
        "│ ○ blur_radius  INT = 1, 1 to 31                   │",
        "│ ○ sigma        FLOAT = 1.0, 0.1 to 10.0           │",
        "└───────────────────────────────────────────────────┘",
    ]
    notebook.run("nb.nodes.ImageBlur?")
    assert "│ ● image " in notebook.printed


def test_a_node_without_a_docstring_is_not_described_by_its_own_name():
    @nb.node
    def gain(x: int) -> int:
        return x

    assert gain.__doc__.splitlines()[0] == "Inputs:"


def test_the_source_of_a_node_is_its_own(notebook):
    notebook.run("@nb.node\ndef shows_its_source(x: int) -> int:\n    return x + 1")
    for asked in ("shows_its_source??", "handle = shows_its_source(1)\nhandle??"):
        notebook.run(asked)
        printed = COLOUR.sub("", notebook.printed)
        assert "return x + 1" in printed and "has no value yet" not in printed
    notebook.run("nb.nodes.ImageInvert??")
    assert "class ImageInvert" in COLOUR.sub("", notebook.printed)


def test_a_node_class_at_the_end_of_a_cell_is_drawn_and_what_it_says_is_escaped():
    @nb.node
    def odd(text: str = "<script>") -> str:
        """Says <b>it</b>."""
        return text

    shown = odd._repr_html_()
    assert "&lt;script&gt;" in shown and "<script>" not in shown and "&lt;b&gt;it" in shown


@pytest.mark.parametrize(
    "refused",
    ["%%node foo(x: int) -> int --timeout 3\nreturn 0", "%%node foo\ndef foo(x: int) -> int:\n    return 0\n1 / 0"],
)
def test_a_cell_that_is_refused_leaves_the_node_of_its_name(notebook, refused):
    notebook.run("%%node foo(x: int) -> int\nreturn x + 1")
    notebook.run(refused)
    assert "UsageError" in notebook.printed and notebook["foo"](3).run_sync() == 4


def test_a_function_that_becomes_a_node_of_another_name_replaces_no_node_of_its_own(notebook):
    notebook.run("%%node foo(x: int) -> int\nreturn x + 1")
    notebook.run("%%node other\ndef foo(x: int) -> int:\n    return x + 2")
    assert (notebook["foo"](3).run_sync(), notebook["other"](3).run_sync()) == (4, 5)


def test_a_function_that_becomes_a_node_of_another_name_calls_itself_as_it_is_now(notebook):
    for by in (1, 2):
        notebook.run(f"%%node Down\ndef down(x: int) -> int:\n    return down(x - 1) + {by} if x else 0")
    assert notebook["Down"](3).run_sync() == 6


def test_a_link_that_has_lost_its_quotes_is_a_link(notebook):
    notebook.run('run = %comfy run flow.json --set 2.image=["1",0] 1.color=255 --wait')
    assert notebook["run"]["2"].shape == (1, 8, 8, 3)


def test_files_with_spaces_and_quotes_are_completed_as_they_can_be_run(notebook, tmp_path):
    (tmp_path / "a b's.json").write_text(json.dumps(GRAPH))
    (tmp_path / "my folder").mkdir()
    (tmp_path / "my folder" / "flow.json").write_text(json.dumps(GRAPH))
    assert notebook.complete("%comfy run my\\ f") == ["my\\ folder/"]
    assert notebook.complete("%comfy run my\\ folder/f") == ["my\\ folder/flow.json"]
    (typed,) = notebook.complete("%comfy run a")
    assert typed == "a\\ b\\'s.json"
    assert notebook.run(f"%comfy run {typed} --wait").state == "done"
    assert "2.image=" in notebook.complete('%comfy run "a b\'s.json" --set ')


def test_a_node_may_be_asked_for_by_its_class(notebook):
    notebook.run("%comfy run flow.json --wait")
    notebook.run("%comfy why ImageInvert")
    assert notebook.printed == "first run\n"


def test_nothing_is_offered_in_comments_and_strings(notebook):
    assert "run" not in notebook.complete("# %comfy ") and "run" not in notebook.complete("x = '%comfy ")


def test_with_on_error_continue_a_run_goes_on_after_a_failure(notebook, tmp_path):
    notebook.run("""
@nb.node
def fails(x: int) -> int:
    raise ValueError("no")
@nb.node
def works(x: int) -> int:
    return x
""")
    graph = {"1": {"class_type": "fails", "inputs": {"x": 1}}, "2": {"class_type": "works", "inputs": {"x": 2}}}
    (tmp_path / "two.json").write_text(json.dumps(graph))
    notebook.run("%comfy run two.json --on-error continue --wait")
    assert "1 node failed: fails (node 1): ValueError: no" in notebook.printed
    assert max(nb.default_session().runs, key=lambda run: run.number)["2"] == 2


class ForgetfulNode:
    """Its inputs can be read once."""

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    is_broken = False

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        if cls.is_broken:
            raise RuntimeError("no connection")
        return {"required": {"mode": (["slow", "fast"],)}}

    def run(self, mode: str) -> tuple[int]:
        return (1,)


def test_inputs_that_cannot_be_read_complete_to_nothing(notebook, monkeypatch, capsys):
    monkeypatch.setitem(
        notebook.shell.user_ns, "forgetful", NodeFactory(spec_of(ForgetfulNode, "Forgetful"), Registry())
    )
    assert "fast" in notebook.complete("forgetful(mode='")
    monkeypatch.setattr(ForgetfulNode, "is_broken", True)
    assert "fast" not in notebook.complete("forgetful(mode='")
    assert "Traceback" not in capsys.readouterr().err


def test_a_choice_is_completed_after_an_escaped_quote(notebook):
    assert "bilinear" in notebook.complete("nb.nodes.ImageScale('it\\'s', upscale_method='bi")


def test_a_cell_with_a_long_text_is_completed_at_once():
    names = {"nodes": nb.nodes}
    begun = f"data = '{'A' * 300_000}'\nnodes.ImageScale(data, upscale_method='bi"
    assert choices_at_cursor(begun, names) == ("bi", ["bilinear", "bicubic"])
