"""`nb.export_nodes`: nodes of a notebook as a file that any process can import."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from comfy_nb.errors import SpecError
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.node_files.origins import function_below
from comfy_nb.node_files.writer import Item, Writer
from comfy_nb.spec.locality import is_local, module_of
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.reading import spec_of
from comfy_nb.wording import short

Exported = NodeFactory | type | str
Needed = Callable[[Item], Sequence[str]]
HEAD = '"""Nodes that a notebook wrote, by nb.export_nodes."""'
ADVICE = "Make such a thing inside the node, or give it to the node as an input."


def export_nodes(path: str | os.PathLike[str], nodes: Exported | Iterable[Exported]) -> Path:
    """Write nodes to a file of Python, with all that they read, and return its path.

    >>> nb.export_nodes("my_nodes.py", [posterize, grain])  # doctest: +SKIP

    `nodes` are function nodes, node classes, or names of either. The file has their functions and classes as they were
    written, the helpers, constants, enums and type hints that these read, as they are now, and their imports. Imported
    (`import my_nodes`), or named on the command line (`comfy-nb run graph.json --nodes my_nodes.py`), it registers
    nodes of the same names, inputs, outputs and options.

    What a function node of a notebook left in a cache on disk is found by that of the file as long as its code reads
    values and builtins only. It is computed once more where it reads functions or classes of the notebook, which count
    with the module that they are from; where it calls functions of modules (`math.sqrt(x)`), since Python compiles that
    otherwise in a file that imports the module; and for a node class, which counts by its code in a notebook, and by
    its file in a file.

    A file that is there is replaced. Raises SpecError, and writes nothing, where a node reads what cannot be written as
    source: a model, an open client, a tensor, a variable of a function around it that is none of the above. The error
    names each, with its node.
    """
    file = Path(path)
    writer = Writer()
    is_one = isinstance(nodes, (str, type, NodeFactory)) or not isinstance(nodes, Iterable)
    for spec in map(_spec_of, [nodes] if is_one else nodes):  # type: ignore[arg-type]
        _refuse_what_has_a_file(file, spec)
        writer.add_node(spec)
    if writer.refused:
        reasons = "\n".join(f"  - {reason}" for reason in writer.refused)
        raise SpecError(f"Nothing was written to {file}:\n{reasons}\n{ADVICE}")
    text = "\n".join(_parts(writer))
    compile(text, str(file), "exec", dont_inherit=True)
    file.write_text(text, "utf-8")
    return file


def _spec_of(node: Any) -> NodeSpec:
    registry = default_registry()
    if isinstance(node, NodeFactory):
        return node.spec
    if isinstance(node, str):
        return registry[node]
    if not isinstance(node, type):
        raise SpecError(f"Nodes are written by their function nodes, classes or names, not by {short(node)}.")
    known = [spec for spec in registry.values() if spec.origin is node]
    return known[0] if known else spec_of(node, node.__name__)


def _refuse_what_has_a_file(file: Path, spec: NodeSpec) -> None:
    if isinstance(spec.origin, type) and not is_local(module_of(spec.origin)):
        raise SpecError(f"{spec.class_type} comes with {module_of(spec.origin)}. Import that where it is needed.")
    function = None if isinstance(spec.origin, type) else function_below(spec.origin)
    if function is not None and file.exists() and file.resolve() == Path(function.__code__.co_filename).resolve():
        raise SpecError(f"{spec.class_type} is written in {file} itself. Choose another file.")


def _parts(writer: Writer) -> Iterator[str]:
    yield HEAD
    yield ""
    if writer.needs_future:
        yield "from __future__ import annotations\n"
    lines = {line for each in writer.imports.values() for line in each}
    yield from sorted(lines, key=lambda line: (line.startswith("from"), line))
    before = ""
    for item in ordered(writer.items):
        is_line = "\n" not in item.text and "\n" not in before
        if not is_line or not before:
            yield "" if is_line else "\n"
        yield item.text
        before = item.text
    if writer.classes:
        yield from _registration(writer)
    yield ""


def _registration(writer: Writer) -> Iterator[str]:
    package = "nb" if "nb" in writer.imports else "comfy_nb"
    classes = ", ".join(f"{class_type!r}: {name}" for class_type, name in writer.classes.items())
    yield f"\n\nNODE_CLASS_MAPPINGS = {{{classes}}}"
    yield f"NODE_DISPLAY_NAME_MAPPINGS = {writer.titles!r}"
    yield f"{package}.register(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)"


def ordered(items: Mapping[str, Item]) -> list[Item]:
    """Return items in an order in which each can be defined, with what it reads before it where that is possible."""
    found: dict[str, Item] = {}
    for name in _after_all(items, items, lambda item: sorted({*item.at_once, *item.later})):
        for each in _after_all([name], items, lambda item: sorted(item.at_once)):
            found.setdefault(each, items[each])
    return list(found.values())


def _after_all(names: Iterable[str], items: Mapping[str, Item], needed: Needed) -> list[str]:
    """Return names, each after those that it needs, as far as these do not need each other."""
    done: dict[str, None] = {}
    begun: set[str] = set()
    stack = [(name, False) for name in reversed(list(names))]
    while stack:
        name, is_ready = stack.pop()
        if is_ready:
            done[name] = None
        elif name in items and name not in begun:
            begun.add(name)
            stack.append((name, True))
            stack += [(each, False) for each in reversed(needed(items[name]))]
    return list(done)
