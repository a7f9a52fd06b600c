"""The examples of a document, run one after the other as the cells of a notebook."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from pathlib import Path

from comfy_nb.engine.session import Session, use_session
from comfy_nb.library.folders import Folders, use_folders

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def examples_in(document: str) -> list[str]:
    """Return the blocks of Python in a document."""
    return [text for language, text in BLOCK.findall(document) if language == "python"]


def commands_in(document: str) -> list[str]:
    """Return the commands in a document, without their comments."""
    blocks = [text for language, text in BLOCK.findall(document) if language == "bash"]
    return [line.split("  #")[0].strip() for text in blocks for line in text.splitlines()]


async def run_examples(folder: Path, examples: Iterable[str]) -> None:
    """Run examples one after the other, as the cells of a notebook in a folder."""
    names: dict[str, object] = {"__name__": "__main__"}
    with use_session(Session()), use_folders(Folders(folder / "comfy")):
        for number, example in enumerate(examples, start=1):
            code = compile(example, f"example {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if inspect.isawaitable(result):
                await result
