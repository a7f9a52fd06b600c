"""What `%load_ext comfy_nb` adds to a notebook: `%comfy`, and `%%node` for a cell that is a node."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from IPython.core.compilerop import PyCF_MASK
from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from comfy_nb.api import cache
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import default_session
from comfy_nb.errors import ComfyNBError
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.graph.model import Graph
from comfy_nb.graph.model import load as load_graph
from comfy_nb.graph.namespace import node
from comfy_nb.graph.prompt import expanded
from comfy_nb.magics.completion import inputs_at_cursor
from comfy_nb.magics.node_cell import CellSource, read_cell, split_options, syntax_message
from comfy_nb.magics.node_table import NodeTable
from comfy_nb.parameters.edits import apply_edit
from comfy_nb.wording import count, suggest

_COMFY = re.compile(r"(?:^|=)\s*(%comfy\s.*)$")

HELP = """\
%comfy run FILE [--set 3.seed=7] [--outputs 9 ...] [--wait]
    Start a graph (JSON, or a picture that carries one) in the background and return its job: `await` it for the run,
    press Stop to end it. With --wait the cell waits and returns the run; an interrupt stops it.
%comfy why [NODE]           Why a node (its id, title or class) ran in the latest run, or did not; else of all.
%comfy nodes [PATTERN]      The node classes that a word occurs in, or whose names fit Image*.
%comfy cache [stats|clear]  What is held for later, or let it go (what is pinned stays).
%comfy repr on|off          Show every tensor that a cell ends with, or only those that came from a run.
%comfy help                 This.
%%node SIGNATURE [options]  The cell is the body: %%node blur(image: nb.Image, radius: float = 3.0) -> nb.Image
%%node [NAME] [options]     The cell holds one function, which becomes the node.
    Options: --title T --category C --output --lazy A,B --cache on|off|node --thread-safe --grad --list-output
    --timeout S --retries N --backoff S"""


class Arguments(argparse.ArgumentParser):
    """Reads the words after a magic; what is wrong with them is a UsageError."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}. See %comfy help.")


@magics_class
class ComfyMagics(Magics):
    """`%comfy` and `%%node`. It holds the latest run of the session, for `%comfy why`."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.latest: Run | None = max(default_session().runs, key=lambda run: run.number, default=None)
        default_session().on_run(self._note)
        self.commands: dict[str, Callable[[list[str]], Any]] = {
            "run": self._run,
            "why": self._why,
            "nodes": self._nodes,
            "cache": self._cache,
            "repr": self._repr,
            "help": self._help,
        }

    def _note(self, run: Run) -> None:
        self.latest = run

    @line_magic
    def comfy(self, line: str) -> Any:
        """Run graphs, look at nodes and the cache; see `%comfy help`."""
        with _one_line_errors():
            command, *words = _split(line) or ["help"]
            if command not in self.commands:
                raise UsageError(f"%comfy has no command {command!r}. {suggest(command, self.commands)}")
            return self.commands[command](words)

    @cell_magic
    def node(self, line: str, cell: str) -> None:
        """Make this cell a node: `%%node blur(image: nb.Image) -> nb.Image`, or a cell with one function."""
        with _one_line_errors():
            head, text = split_options(line)
            options = _node_options(_split(text))
            read = read_cell(head, cell)
            name = read.name or read.function
            names = self.shell.user_ns
            before = {each: names[each] for each in (name, read.function) if each in names}
            try:
                names[name] = node(class_type=name, **options)(self._define(read))
            except BaseException:  # a cell that is refused leaves what bore its names as it was
                for each in (name, read.function):
                    names.pop(each, None)
                names.update(before)
                raise
            if name != read.function and isinstance(before.get(read.function), NodeFactory):
                names[read.function] = before[read.function]  # the cell is about another node

    def _define(self, read: CellSource) -> Any:
        """Execute a cell among the notebook's names and return its function, with source that tracebacks can show."""
        shell = self.shell
        filename = shell.compile.cache(read.source, shell.execution_count, raw_code=read.source)
        try:
            flags = shell.compile.flags & PyCF_MASK
            exec(compile(read.source, filename, "exec", flags, dont_inherit=True), shell.user_ns)
        except SyntaxError as error:
            raise UsageError(f"%%node: {syntax_message(error)}") from None
        except Exception as error:  # the cell's own lines may raise anything
            place = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
            where = f"line {place[0]} of the cell, " if place else ""
            raise UsageError(f"%%node: {where}{type(error).__name__}: {error}") from None
        if read.function not in shell.user_ns:
            raise UsageError(f"%%node: the cell defines {read.function}, but it is gone at the end.")
        return shell.user_ns[read.function]

    # The commands ----------------------------------------------------------------------------------------------------

    def _run(self, words: list[str]) -> Any:
        parser = Arguments("%comfy run")
        parser.add_argument("file")
        parser.add_argument("--set", dest="edits", action="extend", nargs="+", default=[])
        parser.add_argument("--outputs", nargs="+")
        parser.add_argument("--wait", action="store_true")
        given = parser.parse_args(words)
        graph: Graph = load_graph(expanded(given.file))
        for edit in given.edits:
            apply_edit(graph, edit)
        if given.wait or not _loop_runs():
            return graph.run_sync(given.outputs)
        return graph.start(given.outputs)

    def _why(self, words: list[str]) -> None:
        run = self.latest
        if run is None:
            raise UsageError("%comfy why: nothing has run yet in this session.")
        if len(words) > 1:
            raise UsageError("%comfy why: give one node, or none for all of them.")
        if words:
            for node_id in _ids_of(run, words[0]):
                print(run.why(node_id))
            return
        for step in run.plan.order:
            print(f"{step.id} {step.title or step.class_type}: {run.why(step.id)}")

    def _nodes(self, words: list[str]) -> NodeTable:
        return NodeTable(default_registry(), " ".join(words))

    def _cache(self, words: list[str]) -> Any:
        if _choice("%comfy cache", words or ["stats"], ("stats", "clear")) == "stats":
            return cache
        gone = cache.clear()
        print(f"{count(gone, 'value')} let go.")
        return None

    def _repr(self, words: list[str]) -> None:
        from comfy_nb.ui.inspect.formatter import show_all_tensors

        show_all_tensors(_choice("%comfy repr", words, ("on", "off")) == "on")

    def _help(self, words: list[str]) -> None:
        print(HELP)

    # Completion ------------------------------------------------------------------------------------------------------

    def offers(self, line: str) -> list[str]:
        """Return what can stand at the end of a `%comfy` line."""
        try:
            words = shlex.split(line)[1:]
        except ValueError:  # a quotation that is not closed
            words = line.split()[1:]
        typed = "" if line[-1:].isspace() or not words else words.pop()
        found = {each for each in self._offers(words, typed) if each.lower().startswith(typed.lower())}
        return sorted(_escaped(each) if words[:1] == ["run"] and len(words) == 1 else each for each in found)

    def _offers(self, before: list[str], typed: str) -> Iterable[str]:
        match before:
            case []:
                return self.commands
            case ["run", *_]:
                return _after_run(before, typed)
            case ["nodes"]:
                return default_registry()
            case ["why"]:
                return [step.id for step in self.latest.plan.order] if self.latest is not None else []
            case ["cache"]:
                return ("stats", "clear")
            case ["repr"]:
                return ("on", "off")
        return ()

    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete `%comfy` lines, where nothing else fits, and the inputs of a node inside its call."""
        lines = context.full_text.split("\n")[: context.cursor_line]
        until = "\n".join([*lines, context.text_until_cursor])
        line = _COMFY.search(context.text_until_cursor)
        if line is not None:
            found = self.offers(line.group(1))
            return {"completions": [SimpleCompletion(text=each, type="magic") for each in found], "suppress": True}
        found = inputs_at_cursor(until, self.shell.user_ns)
        return {"completions": [SimpleCompletion(text=each, type="param") for each in found]}


def load(shell: Any) -> None:
    """Add the magics to a shell; once is enough."""
    if ComfyMagics.__name__ in shell.magics_manager.registry:
        return
    magics = ComfyMagics(shell)
    shell.register_magics(magics)

    @context_matcher(identifier="comfy_nb", priority=60)  # type: ignore[untyped-decorator]
    def complete(context: CompletionContext) -> SimpleMatcherResult:
        return magics.complete(context)

    shell.Completer.custom_matchers.append(complete)


def _after_run(before: list[str], symbol: str) -> Iterator[str]:
    if symbol.startswith("-"):
        yield from ("--set", "--outputs", "--wait")
        return
    if len(before) == 1:
        yield from _files(symbol)
        return
    if before[-1] not in ("--set", "--outputs"):
        return
    try:
        graph = load_graph(expanded(before[1]))
    except (ComfyNBError, OSError):
        return  # there is nothing to offer for a file that cannot be read; running it says why
    for each in graph:
        yield from (f"{each.id}.{name}=" for name in each.inputs) if before[-1] == "--set" else (each.id,)


def _files(symbol: str) -> Iterator[str]:
    """The folders, and the files that may hold a graph, which begin with what was typed."""
    folder, slash, _ = symbol.rpartition("/")
    place = expanded(f"{folder}{slash}" or ".")
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.is_dir() or path.suffix.lower() in (".json", ".png", ".webp"):
            yield f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"


def _escaped(name: str) -> str:
    """Return a file's name as a `%comfy` line takes it."""
    return re.sub(r"([\s'\"\\])", r"\\\1", name)


def _node_options(words: list[str]) -> dict[str, Any]:
    parser = Arguments("%%node")
    for text in ("title", "category", "cache"):
        parser.add_argument(f"--{text}", default=argparse.SUPPRESS)
    for switch in ("output", "thread-safe", "grad", "list-output"):
        parser.add_argument(f"--{switch}", action="store_true", default=argparse.SUPPRESS)
    parser.add_argument("--lazy", type=lambda names: names.split(","), default=argparse.SUPPRESS)
    parser.add_argument("--timeout", type=float, default=argparse.SUPPRESS)
    parser.add_argument("--retries", type=int, default=argparse.SUPPRESS)
    parser.add_argument("--backoff", type=float, default=argparse.SUPPRESS)
    return vars(parser.parse_args(words))


def _ids_of(run: Run, symbol: str) -> list[str]:
    """The nodes of this id, or else of this title or class; the word itself where there is none, to be refused."""
    named = [step.id for step in run.plan.order if symbol in (step.title, step.class_type)]
    return [symbol] if symbol in run.plan.steps or not named else named


def _choice(magic: str, words: list[str], choices: tuple[str, ...]) -> str:
    if len(words) != 1 or words[0] not in choices:
        came = f", not {' '.join(words)!r}" if words else ""
        raise UsageError(f"{magic}: give {' or '.join(choices)}{came}.")
    return words[0]


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be split into words: {error}.") from None


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what we refuse into one line below the cell, without a traceback."""
    try:
        yield
    except (ComfyNBError, OSError) as error:
        said = [line.strip().removeprefix("- ") for line in str(error).splitlines() if line.strip()]
        first, *rest = said or [type(error).__name__]
        between = " " if first.endswith(":") else "; "
        raise UsageError(first + between + "; ".join(rest) if rest else first) from None
