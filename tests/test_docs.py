"""What the documents in docs/ promise to those who cite them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r'docs/semantics\.md,\s+("[^"]+"(?:(?:,| and)\s+"[^"]+")*)')


def headings() -> set[str]:
    text = (ROOT / "docs/semantics.md").read_text()
    return {line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")}


def test_every_heading_of_the_semantics_that_is_cited_exists() -> None:
    sources = [*(ROOT / "comfy_nb").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    cited = {
        heading
        for source in sources
        for citation in CITATION.findall(source.read_text())
        for heading in re.findall(r'"([^"]+)"', citation)
    }
    assert cited and cited <= headings()
