"""The `comfy-nb` command. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 1 a node failed, 2 the graph or the command line is wrong, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from comfy_nb.graph.model import Graph

FAILED, INVALID, STOPPED = 1, 2, 130
CHECKOUT = Path(__file__).resolve().parents[2]

graph_argument = click.argument("graph", metavar="GRAPH")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="comfy-nb", prog_name="comfy-nb")
@click.option("--debug", is_flag=True, help="Show tracebacks with errors.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Run node graphs that ComfyUI can save, without ComfyUI.

    GRAPH is a file in API format (JSON), a picture that carries one, or - for JSON on stdin.
    """
    context.obj = debug


@main.command()
@graph_argument
@click.option("--set", "edits", multiple=True, metavar="NODE.INPUT=VALUE", help="Change an input: 3.seed=7.")
@click.option("--output", "outputs", multiple=True, metavar="NODE", help="Run only what this node needs.")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def run(debug: bool, graph: str, edits: tuple[str, ...], outputs: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Run a graph and say what its output nodes gave."""
    from comfy_nb.cli import report
    from comfy_nb.parameters.edits import apply_edit

    with _exit_codes(debug):
        loaded = _load(graph)
        for edit in edits:
            apply_edit(loaded, edit)
        wanted = [loaded[node_id].id for node_id in outputs] or None
        with nullcontext() if quiet else _progress():
            ended = report.run_to_end(loaded, wanted)
    if as_json:
        click.echo(report.to_json(ended.as_dict()))
    elif ended.run is not None:
        for line in ended.lines():
            click.echo(line)
    if ended.error is not None:
        _complain(ended.error, debug)
    sys.exit(ended.exit_code)


@main.command()
@graph_argument
@json_option
@click.pass_obj
def validate(debug: bool, graph: str, as_json: bool) -> None:
    """Say all that is wrong with a graph, without running it."""
    from comfy_nb.cli import report

    with _exit_codes(debug):
        loaded = _load(graph)
        problems = loaded.validate()
    if as_json:
        found = [report.problem_as_dict(problem) for problem in problems]
        click.echo(report.to_json({"valid": not problems, "problems": found}))
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        if not problems:
            click.echo(f"The graph is valid: {len(loaded)} nodes.")
    sys.exit(INVALID if problems else 0)


@main.command()
@click.argument("name", required=False)
@click.pass_obj
def nodes(debug: bool, name: str | None) -> None:
    """List the node classes, describe one, or list those that NAME occurs in."""
    with _exit_codes(debug):
        for line in _about_nodes(name):
            click.echo(line)


@main.command()
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here too."
)
@click.option("--quick", is_flag=True, help="Only small graphs, few repeats.")
def bench(json_path: Path | None, quick: bool) -> None:
    """Measure what a node costs, beside floors and peers (needs a checkout)."""
    import importlib

    folder = CHECKOUT / "tests" / "benchmarks"
    if not (folder / "table.py").is_file():
        raise click.UsageError(_needs_checkout("The benchmarks", folder))
    sys.path.insert(0, str(CHECKOUT))
    cases = importlib.import_module("tests.benchmarks.cases").CASES
    importlib.import_module("tests.benchmarks.table").run(cases, json_path=json_path, quick=quick)


@main.command()
def demo() -> None:
    """Run the quickstart notebook on its photo and say where the result is (needs a checkout)."""
    notebook = CHECKOUT / "notebooks" / "01_quickstart.ipynb"
    if not notebook.is_file():
        raise click.UsageError(_needs_checkout("The quickstart notebook", notebook))
    from comfy_nb.cli.run_notebook import run_notebook

    ended = run_notebook(notebook, notebook.parent / "results", lambda line: click.echo(line, err=True))
    click.echo(f"notebook  {ended.notebook}")
    for picture in ended.pictures:
        click.echo(f"picture   {picture}")
    if ended.error:
        click.echo(ended.error, err=True)
        sys.exit(FAILED)


def _load(source: str) -> Graph:
    import comfy_nb  # noqa: F401  (what runs graphs installs itself)
    from comfy_nb.graph.model import Graph, load

    if source != "-":
        return load(source)
    return Graph.from_prompt(sys.stdin.buffer.read())


@contextmanager
def _progress() -> Iterator[None]:
    """Show on stderr how the runs within are going."""
    from comfy_nb.engine.session import default_session
    from comfy_nb.ui.run.terminal import watch

    unwatch = default_session().on_run(watch)
    try:
        yield
    finally:
        unwatch()


def _about_nodes(name: str | None) -> Iterator[str]:
    from comfy_nb.errors import UnknownName
    from comfy_nb.graph.default_registry import default_registry
    from comfy_nb.graph.handle import describe

    registry = default_registry()
    spec = registry.find(name) if name else None
    if spec is not None:
        yield f"{spec.class_type} ({spec.category})" if spec.category else spec.class_type
        yield describe(spec)
        return
    sought = (name or "").casefold()
    found: dict[str, list[str]] = {}
    for each in sorted(registry.values(), key=lambda each: each.class_type):
        if sought in f"{each.class_type} {each.display_name} {each.category} {each.description}".casefold():
            found.setdefault(each.category or "other", []).append(each.class_type)
    if not found:
        raise UnknownName.of("node class", name, registry)
    for category in sorted(found):
        yield category
        yield from (f"  {class_type}" for class_type in found[category])


@contextmanager
def _exit_codes(debug: bool) -> Iterator[None]:
    """Turn what is wrong with the command line or the graph into a message and exit code 2."""
    from comfy_nb.errors import ComfyNBError

    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads has enough (`| head`): click ends quietly
    except (ComfyNBError, OSError) as error:
        _complain(error, debug)
        sys.exit(INVALID)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(STOPPED)


def _complain(error: BaseException, debug: bool) -> None:
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    else:
        click.echo(f"Error: {error}", err=True)


def _needs_checkout(what: str, path: Path) -> str:
    return f"{what} come with a checkout of the project, not with the installed package: there is no {path}."
