"""The arguments that `comfy-nb run` and `%comfy run` have in common, with their completion."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from comfy_nb.errors import ComfyNBError
from comfy_nb.graph.model import load
from comfy_nb.graph.node import Node
from comfy_nb.graph.on_error import CHOICES


class RunCommand(click.Command):
    """A command on a GRAPH whose repeatable options also take several values: `--set 3.seed=7 3.cfg=4`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the option before each further value: before each bare word after it, once GRAPH has been given."""
        repeatable = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spelled: list[str] = []
        option, has_graph = "", False
        for word in args:
            if spelled and spelled[-1] in repeatable:
                option = spelled[-1]
            elif word.startswith("-") and word != "-":
                option = ""
            else:
                spelled += [option] if option and has_graph else []
                has_graph = True
            spelled.append(word)
        return super().parse_args(ctx, spelled)


# Completers, called by click ------------------------------------------------------------------------------------------


def _edits(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    edits = [f"{node.id}.{name}=" for node in _nodes_of_graph(context) for name in node.inputs]
    return [edit for edit in edits if edit.startswith(typed)]


def _ids(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    return [node.id for node in _nodes_of_graph(context) if node.id.startswith(typed)]


def _nodes_of_graph(context: click.Context) -> Iterable[Node]:
    # While the last option has no value yet, click leaves GRAPH among the words that it has not assigned.
    source = context.params.get("graph") or next(iter(context.args), "")
    try:
        return load(Path(source))
    except (ComfyNBError, OSError):
        return ()  # running the command reports why


def _node_files(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    folder, slash, start = typed.rpartition("/")
    names = sorted(path.name for path in Path(f"{folder}{slash}" or ".").glob("*.py"))
    return [f"{folder}{slash}{name}" for name in names if name.startswith(start)]


edits_option = click.option(
    "--set", "edits", multiple=True, metavar="NODE.INPUT=VALUE", shell_complete=_edits, help="Change an input: 3.cfg=7."
)
nodes_option = click.option(
    "--nodes",
    "node_files",
    multiple=True,
    metavar="FILE",
    shell_complete=_node_files,
    help="Load nodes of your own: a Python file, the folder of a pack, or a module.",
)
outputs_option = click.option(
    "--output", "--outputs", "outputs", multiple=True, metavar="NODE", shell_complete=_ids, help="Run only up to NODE."
)
on_error_option = click.option(
    "--on-error",
    type=click.Choice(CHOICES),
    help="When a node fails: stop, or continue with all that does not depend on it.",
)
timeout_option = click.option(
    "--timeout", type=float, metavar="SECONDS", help="Stop the run, as failed, when it has taken so long."
)
