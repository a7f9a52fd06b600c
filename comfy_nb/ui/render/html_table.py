"""A plain table as HTML, in the colours of the page around it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape


def html_table(head: Iterable[str], rows: Iterable[Iterable[str]], right: Collection[int]) -> str:
    """Return a table; the columns whose numbers are in `right` are aligned to the right. Empty without rows."""
    body = "".join(f"<tr>{_cells('td', row, right)}</tr>" for row in rows)
    return f"<table style='border-collapse:collapse'><tr>{_cells('th', head, right)}</tr>{body}</table>" if body else ""


def _cells(tag: str, texts: Iterable[str], right: Collection[int]) -> str:
    return "".join(_cell(tag, text, is_number=column in right) for column, text in enumerate(texts))


def _cell(tag: str, text: str, *, is_number: bool) -> str:
    style = f"text-align:{'right' if is_number else 'left'};padding:0.1em 0.8em;background:none"
    if is_number or tag == "th":
        style += ";white-space:nowrap"
    return f"<{tag} style='{style}'>{escape(text)}</{tag}>"
