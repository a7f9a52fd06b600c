"""The problems of a graph as lines of text, those of unknown classes together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfy_nb.errors import Problem
from comfy_nb.spec.unknown_classes import MISSING, OF_COMFY, OF_OTHERS, comfy_classes

CLASSES_MAX = 12
NODES_MAX = 3


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
