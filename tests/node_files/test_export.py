"""`nb.export_nodes`: nodes of a notebook in a file that any process can import."""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from tests.node_files.notebook import Notebook, in_fresh_process


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.chdir(tmp_path)
    with nb.use_session(nb.Session(budget=64 << 20)), closing(Notebook()) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my_nodes.py"


# What is written


def test_a_node_is_written_with_all_that_it_reads_in_an_order_that_works(notebook, file):
    notebook(
        "import math\nfrom enum import Enum\nfrom dataclasses import dataclass",
        "class Mode(Enum):\n    soft = 1\n    hard = 2",
        "@dataclass(frozen=True)\nclass Settings:\n    gain: float\n    mode: Mode",
        "SETTINGS = Settings(1.5, Mode.hard)\nTABLE = {'a': (1, 2.5), 'b': [None, {3}]}",
        "def outer(x):\n    return inner(x) + len(TABLE)",
        "def inner(x):\n    return math.sqrt(x * SETTINGS.gain)",
        "@nb.node\ndef graded(x: float, mode: Mode = Mode.soft) -> float:\n    return outer(x)",
    )
    text = notebook.export(file, "graded")
    assert text.split("\n\n", 1)[1] == (
        "import comfy_nb as nb\nimport math\nfrom dataclasses import dataclass\nfrom enum import Enum\n\n\n"
        "class Mode(Enum):\n    soft = 1\n    hard = 2\n\n\n"
        "TABLE = {'a': (1, 2.5), 'b': [None, {3}]}\n\n\n"
        "@dataclass(frozen=True)\nclass Settings:\n    gain: float\n    mode: Mode\n\n\n"
        "SETTINGS = Settings(gain=1.5, mode=Mode.hard)\n\n\n"
        "def inner(x):\n    return math.sqrt(x * SETTINGS.gain)\n\n\n"
        "def outer(x):\n    return inner(x) + len(TABLE)\n\n\n"
        "@nb.node\ndef graded(x: float, mode: Mode = Mode.soft) -> float:\n    return outer(x)\n"
    )


def test_the_options_of_a_node_are_written_as_they_were_given(notebook, file):
    notebook(
        "LIMIT = 0.5\n"
        '@nb.node(title="Mix", timeout=LIMIT * 4, retries=1, lazy={"b": lambda amount: amount > LIMIT})\n'
        "async def mixed(a: float, b: float = None, amount: float = LIMIT) -> float:\n    return a\n"
    )
    text = notebook.export(file, "mixed")
    assert (
        "@nb.node(title='Mix', timeout=2.0, retries=1, lazy={'b': lambda amount: amount > LIMIT})\n"
        "async def mixed(" in text
    )
    assert "\nLIMIT = 0.5\n" in text


def test_a_resource_is_written_with_the_node_that_asks_for_it(notebook, file):
    notebook(
        "from typing import Annotated\nBASE = 'http://here'",
        "@nb.resource(idle=60)\nasync def http():\n    yield BASE",
        "@nb.resource\nasync def api(http: http):\n    yield http + '/api'",
        "@nb.node\nasync def fetched(url: str, a: api, h: Annotated[str, http]) -> str:\n    return f'{a} {h} {url}'",
    )
    text = notebook.export(file, "fetched")
    assert "@nb.resource(idle=60)\nasync def http():\n    yield BASE\n" in text
    assert "@nb.resource(idle=300.0)\nasync def api(http: http):\n" in text
    call = "print(nb.nodes.fetched('x').run_sync())"
    assert (
        in_fresh_process(f"import my_nodes, comfy_nb as nb; {call}", file.parent) == "http://here/api http://here x\n"
    )


def test_a_cell_of_the_magic_is_a_node_of_its_name(notebook, file):
    notebook("%load_ext comfy_nb", "%%node brightened(x: float, by: float = 2.0) -> float --cache off\nreturn x * by")
    assert "@nb.node(cache='off')\ndef brightened(x: float, by: float = 2.0) -> float:\n    return x * by" in (
        notebook.export(file, "brightened")
    )


def test_nodes_that_a_function_made_keep_their_names_and_what_they_closed_over(notebook, file):
    notebook(
        "def make(k):\n"
        "    @nb.node(class_type=f'times_{k}')\n"
        "    def times(x: float) -> float:\n"
        "        return x * k\n"
        "    return times\n"
        "twice, thrice = make(2), make(3)"
    )
    text = notebook.export(file, "twice", "thrice")
    assert text.endswith(
        "def _make_thrice(k):\n"
        "    @nb.node(class_type='times_3')\n"
        "    def times(x: float) -> float:\n"
        "        return x * k\n"
        "    return times\n\n\n"
        "thrice = _make_thrice(3)\n"
    )


def test_what_a_function_made_for_its_node_is_made_again(notebook, file):
    notebook(
        "def make(k):\n"
        "    def scale(x):\n        return x * k\n"
        "    @nb.node\n    def scaled(x: float) -> float:\n        return scale(x) if x else scaled.spec\n"
        "    return scaled\n"
        "scaled_by_3 = make(3)"
    )
    names = {"__name__": "my_nodes"}
    exec(compile(notebook.export(file, "scaled_by_3"), "my_nodes", "exec"), names)
    assert names["scaled_by_3"](2.0).run_sync() == 6.0


def test_a_node_class_is_registered_by_its_file(notebook, file):
    notebook(
        "SIZE = 4",
        "class Sized:\n"
        "    RETURN_TYPES = ('INT',)\n    FUNCTION = 'go'\n"
        "    @classmethod\n    def INPUT_TYPES(cls):\n        return {'required': {'n': ('INT', {'default': SIZE})}}\n"
        "    def go(self, n):\n        return (n * SIZE,)\n"
        "nb.register({'Sized it': Sized}, {'Sized it': 'By size'})",
    )
    text = notebook.export(file, "Sized")
    assert "\nSIZE = 4\n\n\nclass Sized:" in text
    assert text.endswith(
        "NODE_CLASS_MAPPINGS = {'Sized it': Sized}\n"
        "NODE_DISPLAY_NAME_MAPPINGS = {'Sized it': 'By size'}\n"
        "nb.register(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)\n"
    )


@pytest.mark.parametrize(
    ("before", "written"),
    [
        ("Kind = nb.Image | None", "Kind = typing.Union[nb.Image, None]"),
        ("from typing import Annotated\nKind = Annotated[float, nb.Range(0, 1)]", "nb.Range(min=0, max=1, step=None)]"),
        ("import torch\nKind = torch.float16", "Kind = torch.float16"),
        ("from pathlib import Path\nKind = Path('a')", "Kind = Path('a')"),
        ("import pathlib\nKind = pathlib.Path('a')", "Kind = pathlib.Path('a')"),
        ("import re\nKind = re.compile('a+')", "Kind = re.compile('a+', 32)"),
        ("Kind = float('inf')", 'Kind = float("inf")'),
        ("Kind = {'b', 'a'}", "Kind = {'a', 'b'}"),
        ("from collections import Counter as Kind", "from collections import Counter as Kind"),
        ("from functools import partial\nKind = partial(max, 0, key=abs)", "Kind = partial(max, 0, key=abs)"),
        ("Kind = lambda x: x + 1", "Kind = lambda x: x + 1"),
        ("import functools\n@functools.lru_cache\ndef Kind(x):\n    return x", "@functools.lru_cache\ndef Kind(x):"),
        ("def add(x):\n    return x\nKind = add", "Kind = add"),
        ("def add(x):\n    return x\nKind = [add, len, int]", "Kind = [add, len, int]"),
    ],
)
def test_a_value_is_written_as_source_that_gives_an_equal_one(notebook, file, before, written):
    notebook(before, "@nb.node\ndef reading(x: float) -> float:\n    return x if Kind else x")
    text = notebook.export(file, "reading")
    assert written in text
    exec(compile(text, "my_nodes", "exec"), {"__name__": "my_nodes"})


def test_a_list_of_two_names_stays_one_list(notebook, file):
    notebook(
        "SEEN = []\nALIAS = SEEN\nOTHER = []",
        "@nb.node\ndef notes(x: int) -> int:\n    ALIAS.append(x)\n    return len(SEEN) + len(OTHER)",
    )
    text = notebook.export(file, "notes")
    assert "ALIAS = []\n" in text and "SEEN = ALIAS\n" in text and "OTHER = []\n" in text


def test_hints_that_are_not_evaluated_stay_so(notebook, file):
    notebook(
        "from __future__ import annotations\nSize = int\n@nb.node\ndef sized(n: Size = 3) -> Size:\n    return n",
    )
    text = notebook.export(file, "sized")
    assert "from __future__ import annotations\n" in text and "\nSize = int\n" in text


def test_functions_that_read_each_other_and_nodes_that_read_nodes_are_written(notebook, file):
    notebook(
        "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n > 0 and even(n - 1)",
        "@nb.node\ndef base(n: int) -> int:\n    return n",
        "@nb.node\ndef parity(n: int) -> bool:\n    return even(base(n).run_sync())",
    )
    text = notebook.export(file, "parity")
    assert re.findall(r"^(?:async )?def (\w+)", text, re.M) == ["base", "odd", "even", "parity"]


# What is refused


def test_what_cannot_be_written_is_named_with_its_node_and_nothing_is_written(notebook, file):
    notebook(
        "import torch\nmodel = torch.nn.Linear(2, 2)\nweights = torch.ones(3)\nlog = open('log', 'w')",
        "def apply(x):\n    return model(x)",
        "@nb.node\ndef direct(x: float) -> float:\n    log.write('x')\n    return weights.sum()",
        "@nb.node\ndef indirect(x: float) -> float:\n    return apply(x)",
        "@nb.node\ndef anything(x: str) -> float:\n    return eval(x)",
        "@nb.node\ndef fine(x: float) -> float:\n    return x",
    )
    with pytest.raises(nb.SpecError) as refused:
        notebook.export(file, "direct", "indirect", "anything", "fine")
    assert str(refused.value).splitlines() == [
        f"Nothing was written to {file}:",
        "  - direct: 'log' is of class TextIOWrapper, which cannot be written as source.",
        "  - direct: 'weights' is of class Tensor, which cannot be written as source.",
        "  - indirect: 'model', which apply reads, is of class Linear, which cannot be written as source.",
        "  - anything: it reads whatever `eval` is asked for, so nobody can tell what it needs.",
        "Make such a thing inside the node, or give it to the node as an input.",
    ]
    assert not file.exists()
    notebook("log.close()")


@pytest.mark.parametrize(
    ("value", "reason"),
    [("10**6000", "has a number that is too long"), ("functools.reduce(lambda x, _: [x], range(150), 1)", "nested")],
)
def test_a_value_that_python_does_not_read_back_is_refused(notebook, file, value, reason):
    notebook(f"import functools\nheld = {value}", "@nb.node\ndef reads(x: int) -> int:\n    return id(held)")
    with pytest.raises(nb.SpecError, match=f"reads: 'held' is .*{reason}"):
        notebook.export(file, "reads")


@pytest.mark.parametrize("given", [None, 3])
def test_what_is_no_node_at_all_is_answered_by_what_is(file, given):
    with pytest.raises(nb.SpecError, match="Nodes are written by their function nodes"):
        nb.export_nodes(file, given)


def test_a_node_that_closes_over_a_live_object_is_refused(notebook, file):
    notebook(
        "import threading",
        "def make(client, k):\n"
        "    @nb.node\n    def asking(x: float) -> float:\n        return client(x)\n"
        "    @nb.node\n    def having(x: float = k) -> float:\n        return x\n"
        "    return asking, having\n"
        "asking, having = make(threading.Lock(), 2.0)",
    )
    with pytest.raises(nb.SpecError, match="asking: it is made by a function whose 'client' is of class lock, which"):
        notebook.export(file, "asking")
    with pytest.raises(nb.SpecError, match="having: it is made by a function whose k its defaults, hints or"):
        notebook.export(file, "having")


def test_a_decorator_must_tell_what_it_wraps(notebook, file):
    notebook(
        "def plainly(f):\n    def wrapper(x: float) -> float:\n        return f(x)\n    return wrapper",
        "@nb.node(class_type='wrapped_plainly')\n@plainly\ndef wrapped_plainly(x):\n    return x",
    )
    with pytest.raises(nb.SpecError, match="is the wrapped_plainly below a decorator, which has to use"):
        notebook.export(file, "wrapped_plainly")
    notebook(
        "from functools import wraps",
        "def well(f):\n    @wraps(f)\n    def wrapper(x):\n        return f(x) + 1\n    return wrapper",
        "@nb.node\n@well\ndef wrapped_well(x: float) -> float:\n    return x",
    )
    assert "\n\n\n@nb.node\n@well\ndef wrapped_well(x: float)" in notebook.export(file, "wrapped_well")


def test_a_default_that_was_another_value_of_a_global_is_refused(notebook, file):
    notebook("K = 3\n@nb.node\ndef having(x: int = K) -> int:\n    return x", "K = 5")
    with pytest.raises(nb.SpecError, match="having: it has a default for 'x' that K is no longer; define it again"):
        notebook.export(file, "having")


def test_a_class_is_written_as_it_is_or_refused(notebook, file):
    notebook(
        "from typing import NamedTuple\nfrom dataclasses import dataclass\nfrom enum import Enum",
        "class Way(Enum):\n    up = 1",
        "class Way(Enum):\n    up = 2",
        "@dataclass(slots=True)\nclass Size:\n    n: int = 1\nclass Pair(NamedTuple):\n    a: int = 1",
        "class Shape:\n    sides = 0\n    def area(self):\n        return 1.0",
        "@nb.node\ndef shaped(x: float, way: Way = Way.up) -> float:\n    return Shape().area() + Size().n + Pair().a",
    )
    text = notebook.export(file, "shaped")
    assert "    up = 2\n" in text and "    up = 1\n" not in text
    notebook("Shape.sides = 4")
    assert notebook.export(file, "shaped") == text
    notebook("Shape.area = lambda self: 2.0")
    with pytest.raises(nb.SpecError, match="shaped: 'Shape' is a class whose source is not known, or was edited since"):
        notebook.export(file, "shaped")


def test_a_function_whose_file_was_edited_since_is_refused(notebook, file, tmp_path):
    early = "import comfy_nb as nb\n@nb.node\ndef early(x: float) -> float:\n    return x\n"
    (tmp_path / "early.py").write_text(early)
    notebook("%run -n early.py")
    (tmp_path / "early.py").write_text(early.replace("return x", "return -x"))
    linecache.checkcache()
    with pytest.raises(nb.SpecError, match="early: it is a function whose source has changed since it was defined"):
        nb.export_nodes(file, "early")


def test_what_is_no_node_and_the_file_of_the_node_itself_are_refused(notebook, file):
    with pytest.raises(nb.SpecError, match="not by 3"):
        nb.export_nodes(file, [3])
    with pytest.raises(nb.UnknownName, match="posterise"):
        nb.export_nodes(file, ["posterise"])
    with pytest.raises(nb.SpecError, match="ImageBlur comes with comfy_nb"):
        nb.export_nodes(file, [nb.nodes.ImageBlur])
    file.write_text("import comfy_nb as nb\n@nb.node\ndef filed(x: float) -> float:\n    return x\n")
    notebook(f"import sys; sys.path.insert(0, {str(file.parent)!r}); import my_nodes; sys.path.pop(0)")
    with pytest.raises(nb.SpecError, match="filed is written in .*my_nodes.py itself"):
        nb.export_nodes(file, ["filed"])


# In another process


@pytest.mark.process
def test_another_process_has_nodes_of_the_same_schema_and_values_and_finds_what_is_on_disk(notebook, file, tmp_path):
    nb.default_session().disk = disk = DiskCache(tmp_path / "cache")
    notebook(
        "import math\nK = 3",
        "@nb.node(title='Tripled')\ndef tripled(x: float = 2.0) -> float:\n    return x * K + 0 * sum(range(10**7))",
        "def plus(x):\n    return x + 1 + 0 * sum(range(10**7))",
        "@nb.node\ndef added(x: float) -> float:\n    return plus(x)",
    )
    graph = nb.Graph(notebook["added"](notebook["tripled"]()))
    graph.save(tmp_path / "graph.json")
    assert graph.run_sync()["2"] == 7.0
    assert disk.flush(30) and len(disk) == 2
    schema = notebook["tripled"].spec.to_object_info()
    notebook.export(file, "tripled", "added")
    printed = in_fresh_process(
        "import comfy_nb as nb, my_nodes, json\n"
        "nb.configure(cache_dir='cache')\n"
        "run = nb.load('graph.json').run_sync()\n"
        "print(json.dumps([run['2'], run.why('1'), run.why('2'), my_nodes.tripled.spec.to_object_info()]))",
        tmp_path,
    )
    value, why_tripled, why_added, described = json.loads(printed)
    assert value == 7.0
    assert "disk" in why_tripled and "disk" not in why_added
    assert described == {**schema, "python_module": "my_nodes"}


@pytest.mark.process
def test_a_command_runs_a_graph_with_the_exported_nodes(notebook, file, tmp_path):
    notebook(
        "import torch.nn.functional as F\nLEVELS = 4\ndef steps(x):\n    return (x * LEVELS).round() / LEVELS",
        "@nb.node\ndef stepped(image: nb.Image) -> nb.Image:\n    return F.relu(steps(image))",
        "@nb.node\ndef mean(image: nb.Image) -> float:\n    return float(image.mean())",
    )
    notebook("graph = nb.Graph(mean(stepped(nb.nodes.EmptyImage(width=4, height=4, color=0x404040))))")
    notebook["graph"].save(tmp_path / "graph.json")
    notebook.export(file, "stepped", "mean")
    command = "from comfy_nb.cli.main import main; main(['run', 'graph.json', '--quiet', '--nodes', 'my_nodes.py'])"
    assert in_fresh_process(command, tmp_path) == f"3 mean: {notebook['graph'].run_sync()['3']}\n"
