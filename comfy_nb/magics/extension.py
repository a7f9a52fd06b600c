"""The IPython extension that `%load_ext comfy_nb` loads: `%comfy`, `%%node`, and their completion."""

from __future__ import annotations

import asyncio
import re
import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.shell_completion import ShellComplete
from IPython.core.compilerop import PyCF_MASK
from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.guarded_eval import EVALUATION_POLICIES, SelectivePolicy
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from comfy_nb.cli.node_search import complete_class, find_nodes
from comfy_nb.cli.run_command import (
    RunCommand,
    edits_option,
    nodes_option,
    on_error_option,
    outputs_option,
    timeout_option,
)
from comfy_nb.engine.cache.cache_view import CacheView
from comfy_nb.engine.job import Job
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import default_session
from comfy_nb.errors import ComfyNBError
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.graph.model import Graph
from comfy_nb.graph.model import load as load_graph
from comfy_nb.graph.namespace import node
from comfy_nb.graph.node import Node
from comfy_nb.graph.prompt import expanded
from comfy_nb.magics.input_completion import choices_at_cursor, inputs_at_cursor
from comfy_nb.magics.node_cell import CellSource, read_cell, read_options, split_options, syntax_message
from comfy_nb.node_files.loading import load_nodes
from comfy_nb.parameters.edits import apply_edit
from comfy_nb.ui.render.node_table import NodeTable
from comfy_nb.wording import count, describe_error, suggest

_COMFY = re.compile(r"(?:^|=)\s*(%comfy\s.*)$")
GRAPH_SUFFIXES = (".json", ".png", ".webp")
HELP = """\
%comfy run GRAPH [--set 3.seed=7 ...] [--outputs 9 ...] [--on-error continue] [--nodes FILE] [--wait]
    Start a graph (a JSON file, or a picture that contains one) in the background and return its job: `await` it for
    the run, press Stop to end it. With --wait the cell waits and returns the run; an interrupt stops both. With
    --on-error continue, a node that fails stops only what depends on it; --nodes loads nodes of a file or module.
%comfy why [NODE]           Why a node (id, title or class) ran in the latest run, or did not; without NODE, all nodes.
%comfy nodes [PATTERN]      The node classes that contain a word, or whose names match Image*.
%comfy cache [stats|clear]  Show the cache, or drop all values that are not pinned.
%comfy repr on|off          Show every tensor that a cell ends with, or only those that came from a run.
%comfy help                 This text.
%%node SIGNATURE [options]  The cell is the body: %%node blur(image: nb.Image, radius: float = 3.0) -> nb.Image
%%node [NAME] [options]     The cell holds one function, which becomes the node.
    Options: --title T --category C --output --lazy A,B --cache on|off|node --thread-safe --grad --list-output
    --timeout S --retries N --backoff S"""

subcommands = click.Group("%comfy", context_settings={"help_option_names": []})


@magics_class
class ComfyMagics(Magics):
    """The magics `%comfy` and `%%node`. They keep the latest run of the session, for `%comfy why`."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, cache: CacheView) -> None:
        super().__init__(shell)
        self.cache = cache
        self.latest_run: Run | None = max(default_session().runs, key=lambda run: run.number, default=None)
        default_session().on_run(self._keep)

    def _keep(self, run: Run) -> None:
        self.latest_run = run

    @line_magic
    def comfy(self, line: str) -> Any:
        """Run graphs, look at nodes and the cache; see `%comfy help`."""
        with _one_line_errors():
            name, *_ = words = _split(line) or ["help"]
            if name not in subcommands.commands:
                raise UsageError(f"%comfy has no command {name!r}. {suggest(name, subcommands.commands)}")
            with subcommands.make_context("%comfy", words, obj=self) as context:
                return subcommands.invoke(context)

    @cell_magic
    def node(self, line: str, cell: str) -> None:
        """Make this cell a node: `%%node blur(image: nb.Image) -> nb.Image`, or a cell with one function."""
        with _one_line_errors():
            head, text = split_options(line)
            options = read_options(_split(text))
            read = read_cell(head, cell)
            name = read.name or read.function
            names = self.shell.user_ns
            before = {each: names[each] for each in (name, read.function) if each in names}
            try:
                names[name] = node(class_type=name, **options)(self._define(read))
            except BaseException:  # a refused cell leaves the objects of its names as they were
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
            raise UsageError(f"%%node: {where}{describe_error(error)}") from None
        if read.function not in shell.user_ns:
            raise UsageError(f"%%node: the cell defines {read.function}, but deletes it again.")
        return shell.user_ns[read.function]

    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete `%comfy` lines and the choices of an input, where nothing else fits, and the inputs of a call."""
        line = _COMFY.search(context.text_until_cursor)
        if line is not None:
            found = self._complete_comfy(line.group(1))
            return {"completions": [SimpleCompletion(text=each, type="magic") for each in found], "suppress": True}
        lines = context.full_text.split("\n")[: context.cursor_line]
        text = "\n".join([*lines, context.text_until_cursor])
        typed, choices = choices_at_cursor(text, self.shell.user_ns)
        if choices:
            values = [SimpleCompletion(text=each, type="value") for each in choices]
            return {"completions": values, "matched_fragment": typed, "suppress": True}
        found = inputs_at_cursor(text, self.shell.user_ns)
        return {"completions": [SimpleCompletion(text=each, type="param") for each in found]}

    def _complete_comfy(self, line: str) -> list[str]:
        try:
            words = shlex.split(line)[1:]
        except ValueError:  # a quotation that is not closed
            words = line.split()[1:]
        typed = "" if line[-1:].isspace() or not words else words.pop()
        completer = ShellComplete(subcommands, {"obj": self}, "%comfy", "")
        return sorted({item.value for item in completer.get_completions(words, typed)})


def load(shell: InteractiveShell, cache: CacheView) -> None:
    """Add the magics to a shell, unless it has them already; `%comfy cache` shows `cache`."""
    if ComfyMagics.__name__ in shell.magics_manager.registry:
        return
    magics = ComfyMagics(shell, cache)
    shell.register_magics(magics)

    @context_matcher(identifier="comfy_nb", priority=60)  # type: ignore[untyped-decorator]
    def complete(context: CompletionContext) -> SimpleMatcherResult:
        return magics.complete(context)

    shell.Completer.custom_matchers.append(complete)
    safe = EVALUATION_POLICIES["limited"]  # what may be evaluated at a Tab: these look up what is there
    if isinstance(safe, SelectivePolicy):
        safe.allowed_getitem.add(Graph)  # type: ignore[arg-type]
        safe.allowed_getattr.add(Node)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be split into words: {error}.") from None


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn the errors that we raise on purpose into one line below the cell, without a traceback."""
    try:
        yield
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "%comfy"
        message = " ".join(error.format_message().split()).rstrip(".")
        raise UsageError(f"{command}: {message}. See %comfy help.") from None
    except (ComfyNBError, OSError) as error:
        lines = [line.strip().removeprefix("- ") for line in str(error).splitlines() if line.strip()]
        first, *rest = lines or [type(error).__name__]
        between = " " if first.endswith(":") else "; "
        raise UsageError(first + between + "; ".join(rest) if rest else first) from None


# The commands of %comfy -----------------------------------------------------------------------------------------------


def _complete_file(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return folders and files that may contain a graph, escaped as a `%comfy` line needs them."""
    folder, slash, start = typed.rpartition("/")
    place = expanded(f"{folder}{slash}" or ".")
    paths = list(place.iterdir()) if place.is_dir() else []
    names = [path.name for path in paths if path.suffix.lower() in GRAPH_SUFFIXES and not path.is_dir()]
    names += [f"{path.name}/" for path in paths if path.is_dir()]
    found = [f"{folder}{slash}{name}" for name in names if name.lower().startswith(start.lower())]
    return [re.sub(r"([\s'\"\\])", r"\\\1", name) for name in found]


@subcommands.command(cls=RunCommand)
@click.argument("graph", shell_complete=_complete_file)
@edits_option
@outputs_option
@on_error_option
@timeout_option
@nodes_option
@click.option("--wait", is_flag=True)
def run(
    graph: str,
    edits: tuple[str, ...],
    outputs: tuple[str, ...],
    on_error: str | None,
    timeout: float | None,
    node_files: tuple[str, ...],
    wait: bool,
) -> Run | Job:
    """Run a graph in the background, or to its end."""
    for each in node_files:
        load_nodes(each)
    loaded = load_graph(Path(graph))
    for edit in edits:
        apply_edit(loaded, edit)
    start = loaded.run_sync if wait or not _loop_runs() else loaded.start
    started: Run | Job = start(outputs or None, on_error=on_error, timeout=timeout)
    return started


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _complete_ran(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    magics: ComfyMagics = context.obj
    steps = magics.latest_run.plan.order if magics.latest_run is not None else ()
    return [step.id for step in steps if step.id.startswith(typed)]


@subcommands.command()
@click.argument("node", default="", shell_complete=_complete_ran)
@click.pass_obj
def why(magics: ComfyMagics, node: str) -> None:
    """Print why nodes ran in the latest run, or did not."""
    latest = magics.latest_run
    if latest is None:
        raise ComfyNBError("%comfy why: nothing has run yet in this session.")
    order = latest.plan.order
    if not node:
        for step in order:
            print(f"{step.id} {step.title or step.class_type}: {latest.why(step.id)}")
        return
    named = [step.id for step in order if node in (step.title, step.class_type)]
    for node_id in [node] if node in latest.plan.steps or not named else named:
        print(latest.why(node_id))


@subcommands.command()
@click.argument("pattern", nargs=-1, shell_complete=complete_class)
def nodes(pattern: tuple[str, ...]) -> NodeTable:
    """Return a table of the node classes that a pattern finds."""
    return NodeTable(find_nodes(default_registry(), " ".join(pattern)))


@subcommands.command()
@click.argument("action", type=click.Choice(["stats", "clear"]), default="stats")
@click.pass_obj
def cache(magics: ComfyMagics, action: str) -> CacheView | None:
    """Return the cache, or empty it."""
    if action == "stats":
        return magics.cache
    print(f"{count(magics.cache.clear(), 'value')} dropped.")
    return None


@subcommands.command("repr")
@click.argument("switch", type=click.Choice(["on", "off"]))
def show_tensors(switch: str) -> None:
    """Switch the display of every tensor on or off."""
    from comfy_nb.ui.inspect.formatter import show_all_tensors

    show_all_tensors(switch == "on")


@subcommands.command("help")
def print_help() -> None:
    """Print the commands and their options."""
    print(HELP)
