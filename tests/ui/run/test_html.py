"""A run in a saved notebook: HTML without scripts, small, and escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from comfy_nb.errors import NodeError
from comfy_nb.ui.run.html import BYTES_MAX, TEXT_MAX_BYTES, to_html
from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.snapshot import ROWS_MAX, Row, RunSnapshot
from tests.ui.scripted import failed, finished, jpeg, node, preview, started


def html_of(rows: Sequence[Row]) -> str:
    snapshot = RunSnapshot("failed", 0.0, 1.0, len(rows), len(rows), 0, len(rows), tuple(rows))
    return to_html(snapshot, 1.0)


def row(**fields) -> Row:
    return replace(Row("1", "Soften", "ImageBlur", "done", 0.0, 0.5), **fields)


def node_error(message: str) -> NodeError:
    error = NodeError(message, node_id="1", class_type="ImageBlur", inputs={"radius": "-1"})
    try:
        raise ValueError("radius below zero")
    except ValueError as cause:
        error.__cause__ = cause
    return error


def test_a_failed_node_keeps_its_whole_error_and_its_traceback_behind_a_toggle():
    html = html_of([row(state="failed", note="short", error=node_error("the whole story " * 50))])
    assert html.count("the whole story") == 50
    folded = html.partition('<summary class="cnb-label">Traceback</summary>')[2].partition("</details>")[0]
    assert "radius below zero" in folded and "radius = -1" in folded


def test_what_a_node_printed_says_how_many_lines_it_has():
    html = html_of([row(log="one\ntwo\n")])
    assert re.search(r'aria-label="log, 2 lines"><pre[^>]*>one\ntwo</pre></div>', html)


def test_views_are_folded_below_the_rows_as_far_as_there_is_room():
    snapshot = RunSnapshot("done", 0.0, 1.0, 1, 1, 0, 1, (row(),))
    html = to_html(snapshot, 1.0, {"Why": "x" * BYTES_MAX, "Timeline": "<i>bars</i>"})
    assert '<summary class="cnb-label">Timeline</summary><div class="cnb-content"><i>bars</i></div></details>' in html
    assert "Why" not in html


def test_a_child_of_an_expansion_is_marked():
    assert 'class="cnb-row cnb-child"' in html_of([row(under="7")]) and 'cnb-child"' not in html_of([row()])


def test_what_people_wrote_is_escaped():
    hostile = '"><script>alert(1)</script>'
    fields = {"title": hostile, "class_type": hostile, "text": hostile, "log": hostile, "error": node_error(hostile)}
    html = html_of([row(**fields, preview=jpeg()), row(note=hostile, label=hostile, preview=jpeg())])
    assert "<script" not in html and '">&' not in html.replace('">&quot;&gt;', "")


def test_a_long_text_loses_its_middle():
    html = html_of([row(log="first" + "x" * 9_000 + "last")])
    assert "first" in html and "last" in html and "…" in html and html.count("x") < TEXT_MAX_BYTES


def test_a_run_full_of_pictures_and_words_stays_below_200_kb():
    model = RunModel()
    noisy, quotes = jpeg((256, 256), noise=True), "'" * 40_000
    model.apply([started(ROWS_MAX), *(node(str(number)) for number in range(ROWS_MAX))])
    model.apply([preview(str(number), noisy) for number in range(ROWS_MAX)])
    model.apply([*(failed(str(number), node_error(quotes)) for number in range(ROWS_MAX)), finished("failed")])
    snapshot = model.snapshot()
    full = tuple(replace(each, text=quotes, log=quotes) for each in snapshot.rows)
    html = to_html(replace(snapshot, rows=full), 1.0, {"Timeline": "x" * 20_000, "Why": "y" * 90_000})
    assert html.count("<img") == ROWS_MAX
    assert len(html.encode()) < 200_000


def test_names_of_any_length_stay_below_200_kb():
    long = "name" * 30_000
    html = html_of([row(title=long, class_type=f"class {long}", preview=jpeg()) for _ in range(ROWS_MAX)])
    assert len(html.encode()) < 200_000


def test_text_that_is_not_unicode_becomes_question_marks():
    html = html_of([row(log="caf\udc80 au lait", text="\ud800", note="\udfff")])
    assert ">caf? au lait</pre>" in html and html.count(">?</div>") == 2
    assert html == html.encode().decode()


def test_terminal_colours_and_lines_that_were_overwritten_are_not_kept():
    html = html_of([row(log="\x1b[31mred\x1b[0m\n10%\r100%\n")])
    assert "red\n100%" in html and "\x1b" not in html and "10%\r" not in html


def test_a_title_that_is_not_unicode_becomes_a_question_mark_also_beside_its_picture():
    html = html_of([row(title="\udc80", preview=jpeg(), preview_format="jpeg")])
    assert '<span class="cnb-title">?</span>' in html and 'alt="?"' in html
    assert html == html.encode().decode()
