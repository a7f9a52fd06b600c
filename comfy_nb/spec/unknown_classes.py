"""What is said of node classes that are not registered: whose they are, which name may be meant, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from comfy_nb.errors import UnknownName
from comfy_nb.wording import near

MISSING = "missing_node_type"

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
