"""A plain table as HTML, in the colours of the page around it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape


def html_table(head: Iterable[str], rows: Iterable[Iterable[str]], right: Collection[int]) -> str:
    """Return a table; the columns whose numbers are in `right` are aligned to the right. Empty without rows."""
    body = "".join(f"<tr>{_cells('td', row, right)}</tr>" for row in rows)
    return f"<table style='border-collapse:collapse'><tr>{_cells('th', head, right)}</tr>{body}</table>" if body else ""


def _cells(tag: str, texts: Iterable[str], right: Collection[int]) -> str:
    return "".join(
        f"<{tag} style='text-align:{'right' if column in right else 'left'};padding:0.1em 0.8em;background:none'>"
        f"{escape(text)}</{tag}>"
        for column, text in enumerate(texts)
    )
