"""Views that are added: by a function, or by the class of the value itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image

from comfy_nb.ui.inspect import Entry, Part, register_view
from comfy_nb.ui.inspect.html import as_text
from comfy_nb.ui.inspect.inspector import Inspector
from comfy_nb.ui.inspect.parts import DEEPEST, PARTS_MAX, VIEWS, parts_of
from comfy_nb.ui.inspect.view import ValueView


@pytest.fixture(autouse=True)
def built_in_views() -> Iterator[None]:
    before = list(VIEWS)
    yield
    VIEWS[:] = before


class Scan:
    """A value of somebody else's class."""

    def __init__(self, depth: object = None) -> None:
        self.depth = depth

    def __repr__(self) -> str:
        return "a scan"


class Shown:
    """A value that is shown as what it was made with."""

    def __init__(self, parts: object) -> None:
        self.parts = parts

    def __comfy_nb_parts__(self) -> object:
        return self.parts

    def __repr__(self) -> str:
        return "shown"


def kinds(value, kind=None) -> list[tuple[str, str]]:
    return [(part.name, part.kind) for part in parts_of(value, kind)]


def test_a_registered_view_is_asked_before_the_others_at_any_depth():
    assert kinds(Scan()) == [("", "TEXT")]

    @register_view
    def scan(value, kind):
        return Part("depth", "TENSOR", value.depth) if isinstance(value, Scan) else None

    assert kinds(Scan(torch.zeros(2, 3))) == [("depth", "TENSOR")]
    assert kinds({"a": [Scan(torch.zeros(2, 3)), "b"]}) == [("a[0].depth", "TENSOR"), ("a[1]", "TEXT")]


def test_a_view_gets_the_socket_type_and_may_name_those_of_its_entries():
    seen = []

    @register_view
    def scan(value, kind):
        seen.append(kind)
        return [Entry("mask", value.depth, "MASK"), ("any", "text")] if isinstance(value, Scan) else None

    assert kinds(Scan(torch.zeros(2, 3)), "SCAN") == [("mask", "MASK"), ("any", "TEXT")]
    assert seen == ["SCAN", "MASK", ""]


def test_a_view_that_raises_is_skipped_and_its_fault_shown():
    @register_view
    def broken(value, kind):
        raise ValueError("no such thing")

    fault, image = parts_of(torch.zeros(1, 8, 8, 3))
    assert fault.text == "Tensor: it cannot be inspected by broken (ValueError: no such thing)"
    assert image.kind == "IMAGE"
    assert "no such thing" in as_text(Inspector(torch.zeros(1, 8, 8, 3)), "")


def test_a_view_that_raises_half_way_loses_only_the_rest():
    @register_view
    def broken(value, kind):
        if not isinstance(value, Scan):
            return
        yield "first", "1"
        raise ValueError

    assert [part.name for part in parts_of(Scan())] == ["first", ""]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("words", [("", "TEXT")]),
        (torch.zeros(1, 8, 8, 3), [("", "IMAGE")]),
        (Image.new("RGB", (2, 2)), [("", "IMAGE")]),
        ([("a", torch.zeros(2, 3)), ("b", "words")], [("a", "TENSOR"), ("b", "TEXT")]),
        ({"samples": torch.zeros(1, 4, 2, 2)}, [("samples", "LATENT")]),
        ([torch.zeros(2, 3), Part("c", "TEXT", text="d")], [("[0]", "TENSOR"), ("c", "TEXT")]),
        (Shown([("inner", "words")]), [("inner", "TEXT")]),
        ([], [("", "TEXT")]),
        (None, [("", "TEXT")]),
    ],
)
def test_an_object_says_what_it_is_shown_as(parts, expected):
    assert kinds(Shown(parts)) == expected


def test_an_object_that_is_shown_as_itself_is_shown_in_words():
    shown = Shown(None)
    shown.parts = shown
    (part,) = parts_of(shown)
    assert part.text == "shown"
    shown.parts = [("again", shown)]
    (part,) = parts_of(shown)
    assert part.name == ".".join(["again"] * DEEPEST)


def test_a_dunder_that_raises_is_skipped_and_its_fault_shown():
    class Broken(dict):
        def __comfy_nb_parts__(self):
            raise ValueError("not today")

    fault, entry = parts_of(Broken(a="b"))
    assert fault.text == "Broken: it cannot be inspected by __comfy_nb_parts__ (ValueError: not today)"
    assert (entry.name, entry.text) == ("a", "b")


def test_a_class_is_not_asked_as_if_it_were_its_object():
    assert kinds(Shown) == [("", "TEXT")]


def test_endless_parts_are_cut():
    def names():
        while True:
            yield "a", "b"

    assert len(parts_of(Shown(names()))) == PARTS_MAX + 1


def test_parts_of_its_own_are_preferred_to_a_display_of_its_own():
    class Figure(Shown):
        def _repr_html_(self):
            return "<p>its own</p>"

    assert "words" in ValueView(Figure("words"))._repr_html_()
    assert ValueView(Figure("words"))._own is None
