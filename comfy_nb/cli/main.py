"""The `comfy-nb` command. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 1 a node failed, 2 the graph or the command line is wrong, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from comfy_nb.cli import report
from comfy_nb.cli.node_search import complete_class, node_lines
from comfy_nb.cli.run_command import (
    RunCommand,
    edits_option,
    nodes_option,
    on_error_option,
    outputs_option,
    timeout_option,
)
from comfy_nb.cli.run_notebook import run_notebook
from comfy_nb.engine.session import default_session
from comfy_nb.errors import ComfyNBError, notes_of
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.model import Graph, load
from comfy_nb.graph.problem_lines import problem_lines
from comfy_nb.graph.prompt import parse_prompt
from comfy_nb.node_files.loading import load_nodes
from comfy_nb.parameters.edits import apply_edit
from comfy_nb.ui.doctor import doctor as examine
from comfy_nb.ui.run.terminal import watch
from comfy_nb.wording import count

CHECKOUT = Path(__file__).resolve().parents[2]

graph_argument = click.argument("graph", metavar="GRAPH")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="comfy-nb", prog_name="comfy-nb")
@click.option("--debug", is_flag=True, help="Show tracebacks with errors.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Run graphs saved by ComfyUI, without ComfyUI.

    GRAPH is a JSON file in API format, a picture that contains a graph, or - to read JSON from stdin.
    """
    context.obj = debug


@main.command(cls=RunCommand)
@graph_argument
@edits_option
@outputs_option
@on_error_option
@timeout_option
@nodes_option
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def run(
    debug: bool,
    graph: str,
    edits: tuple[str, ...],
    outputs: tuple[str, ...],
    on_error: str | None,
    timeout: float | None,
    node_files: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a graph and print what its output nodes produced."""
    with _exit_codes(debug):
        _load_nodes(node_files)
        loaded = _load(graph)
        for edit in edits:
            apply_edit(loaded, edit)
        with ExitStack() as stack:
            if not quiet:
                stack.callback(default_session().on_run(watch))
            outcome = report.run_to_end(loaded, outputs or None, on_error, timeout)
    _print([report.json_text(outcome.as_dict())] if as_json else outcome.lines())
    if outcome.error is not None:
        _report_error(outcome.error, debug)
    sys.exit(outcome.exit_code)


@main.command(cls=RunCommand)
@graph_argument
@nodes_option
@json_option
@click.pass_obj
def validate(debug: bool, graph: str, node_files: tuple[str, ...], as_json: bool) -> None:
    """Report what is wrong with a graph, without running it."""
    with _exit_codes(debug):
        _load_nodes(node_files)
        loaded = _load(graph)
        problems = loaded.validate()
    if as_json:
        found = [report.problem_as_dict(problem) for problem in problems]
        _print([report.json_text({"valid": not problems, "problems": found})])
    else:
        for line in problem_lines(problems):
            click.echo(line, err=True)
        if not problems:
            _print([f"The graph is valid: {count(len(loaded), 'node')}."])
    sys.exit(report.INVALID if problems else report.DONE)


@main.command()
@click.argument("name", default="", shell_complete=complete_class)
@nodes_option
@click.pass_obj
def nodes(debug: bool, name: str, node_files: tuple[str, ...]) -> None:
    """List, find or describe node classes.

    NAME is the name of a class, a word to search for, or a pattern such as Image*.
    """
    with _exit_codes(debug):
        _load_nodes(node_files)
        lines = list(node_lines(default_registry(), name))
    _print(lines)


@main.command()
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write the figures to a file."
)
@click.option("--quick", is_flag=True, help="Use small graphs and few repetitions only.")
def bench(json_path: Path | None, quick: bool) -> None:
    """Measure the overhead per node (needs a checkout)."""
    folder = CHECKOUT / "tests" / "benchmarks"
    if not (folder / "table.py").is_file():
        raise click.UsageError(_needs_checkout("The benchmarks", folder))
    sys.path.insert(0, str(CHECKOUT))
    cases = importlib.import_module("tests.benchmarks.cases").CASES
    importlib.import_module("tests.benchmarks.table").run(cases, json_path=json_path, quick=quick)


@main.command()
def doctor() -> None:
    """Say what surrounds comfy_nb here, what is wrong first."""
    found = examine()
    _print([repr(found)])
    sys.exit(1 if found.wrong else 0)


@main.command()
def demo() -> None:
    """Run the quickstart notebook (needs a checkout)."""
    notebook = CHECKOUT / "notebooks" / "01_quickstart.ipynb"
    if not notebook.is_file():
        raise click.UsageError(_needs_checkout("The quickstart notebook", notebook))
    executed = run_notebook(notebook, notebook.parent / "results", lambda line: click.echo(line, err=True))
    click.echo(f"notebook  {executed.notebook}")
    for picture in executed.pictures:
        click.echo(f"picture   {picture}")
    if executed.error:
        click.echo(executed.error, err=True)
        sys.exit(report.FAILED)


def _load_nodes(sources: Iterable[str]) -> None:
    for source in sources:
        load_nodes(source)


def _load(source: str) -> Graph:
    if source != "-":
        return load(source)
    return Graph.from_prompt(parse_prompt(sys.stdin.buffer.read(), "the standard input"))


def _print(lines: Iterable[str]) -> None:
    """Print lines to stdout; where that cannot be written, say why and exit."""
    for line in list(lines):
        try:
            click.echo(line)
        except BrokenPipeError:
            raise  # the reader has enough (`| head`): click ends quietly
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again when it ends
            click.echo(f"Error: The output cannot be written: {error.strerror or error}.", err=True)
            sys.exit(report.INVALID)


@contextmanager
def _exit_codes(debug: bool) -> Iterator[None]:
    """Turn what is wrong with the command line or the graph into a message and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has enough (`| head`): click ends quietly
    except (ComfyNBError, OSError) as error:
        _report_error(error, debug)
        sys.exit(report.INVALID)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(report.STOPPED)


def _report_error(error: BaseException, debug: bool) -> None:
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    else:
        click.echo("\n".join([f"Error: {error}", *notes_of(error)]), err=True)


def _needs_checkout(what: str, path: Path) -> str:
    return f"{what} come with a checkout of the project, not with the installed package: there is no {path}."
