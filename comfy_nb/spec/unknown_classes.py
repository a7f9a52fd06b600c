"""What is said of node classes that are not registered: whose they are, which name may be meant, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from comfy_nb.errors import Problem, UnknownName
from comfy_nb.wording import near

MISSING = "missing_node_type"
CLASSES_MAX = 12
NODES_MAX = 3

OF_COMFY = "comfy_nb brings only some of ComfyUI's own. Register others by nb.register, or name their file by --nodes."
OF_OTHERS = (
    'In a notebook, nb.export_nodes("my_nodes.py", [...]) writes its nodes to a file. Name that file, or a pack\'s, by '
    "--nodes my_nodes.py; in Python, import it, or call nb.register(NODE_CLASS_MAPPINGS)."
)


@lru_cache(maxsize=1)
def comfy_classes() -> frozenset[str]:
    """Return the names of the classes that come with ComfyUI 0.3.64 or 0.33."""
    return frozenset(Path(__file__).with_name("comfy_classes.txt").read_text("utf-8").splitlines())


def unknown_class(name: object, known: Iterable[str], where: str = "in the registry") -> UnknownName:
    """Make the error for the name of a class that is none of the `known` ones."""
    return UnknownName(f"There is no node class {name!r} {where}. {advice_for(str(name), known)}")


def advice_for(name: str, known: Iterable[str]) -> str:
    """Return which class may be meant by an unknown name, and how it is registered."""
    if name in comfy_classes():
        return OF_COMFY
    meant = near(name, known)
    return f"{meant} {OF_OTHERS}" if meant else OF_OTHERS


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Return problems as text, in a line each, and those of unknown classes together."""
    missing = [each for each in problems if each.type == MISSING]
    own = [each for each in missing if each.class_type in comfy_classes()]
    others = [each for each in missing if each.class_type not in comfy_classes()]
    return [
        *_together(own, ("is", "are"), "ComfyUI's own", OF_COMFY),
        *_together(others, ("comes", "come"), "from packs or notebooks", OF_OTHERS),
        *(str(each) for each in problems if each.type != MISSING),
    ]


def _together(problems: Sequence[Problem], verbs: tuple[str, str], whose: str, advice: str) -> Iterator[str]:
    nodes: dict[str, list[Problem]] = {}
    for each in problems:
        nodes.setdefault(each.class_type, []).append(each)
    if not nodes:
        return
    shown = [_class_with_nodes(name, of_class) for name, of_class in list(nodes.items())[:CLASSES_MAX]]
    more = f" and {len(nodes) - CLASSES_MAX} more" if len(nodes) > CLASSES_MAX else ""
    meant = [(name, of_class[0].advice.removesuffix(advice)) for name, of_class in nodes.items()]
    questions = "".join(f" {name}: {question.strip()}" for name, question in meant if question)
    head = f"1 class {verbs[0]}" if len(nodes) == 1 else f"{len(nodes)} classes {verbs[1]}"
    yield f"{head} {whose}, not registered here: {', '.join(shown)}{more}.{questions} {advice}"


def _class_with_nodes(name: str, problems: Sequence[Problem]) -> str:
    ids = [each.node_id for each in problems]
    more = f" and {len(ids) - NODES_MAX} more" if len(ids) > NODES_MAX else ""
    return f"{name} ({'node' if len(ids) == 1 else 'nodes'} {', '.join(ids[:NODES_MAX])}{more})"
