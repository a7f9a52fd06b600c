"""Write docs/files.md: each file of the package with what its first line says it holds. `make files` runs it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "comfy_nb"
INTRODUCTION = """# Files

What the first sentence of each file says that it holds; `make files` writes this list, and a test keeps it true.
[ARCHITECTURE.md](../ARCHITECTURE.md) tells how they work together.
"""
SCRIPT_COMMENT = re.compile(r"\A(?:/\*\*(.*?)\*/|((?://[^\n]*\n)+))", re.DOTALL)


def first_sentence(path: Path) -> str:
    """Return what a Python module's docstring or a script's opening comment says first."""
    text = path.read_text()
    if path.suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        comment = SCRIPT_COMMENT.match(text)
        said = re.sub(r"^\s*(?://|\*)", "", comment[1] or comment[2], flags=re.MULTILINE) if comment else ""
    paragraph = " ".join(said.split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z`])", paragraph)[0].removesuffix(".").removesuffix(":")


def index() -> str:
    """Return the list, a section for each folder."""
    files = sorted(path for suffix in ("py", "js") for path in PACKAGE.rglob(f"*.{suffix}"))
    folders: dict[Path, list[Path]] = {}
    for path in files:
        folders.setdefault(path.parent, []).append(path)
    lines = [INTRODUCTION]
    for folder in sorted(folders):
        lines.append(f"## {folder.relative_to(ROOT).as_posix()}/\n")
        lines += [f"- `{path.name}`: {first_sentence(path)}" for path in folders[folder] if path.name != "__main__.py"]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / "docs" / "files.md").write_text(index())
