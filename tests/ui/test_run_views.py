"""What unfolds below the rows of a cell's runs."""

from __future__ import annotations

import base64
import gc
import re
import weakref

import pytest

import comfy_nb as nb
from comfy_nb.ui import run_views
from comfy_nb.ui.graph.scene import PREVIEW
from comfy_nb.ui.run_views import BARS_MAX, RunViews


@nb.node
async def viewed(words: str) -> str:
    return words


@nb.node
async def fails_in_view(words: str) -> str:
    raise LookupError(words)


async def run_of(*handles):
    return await nb.Graph(*handles).run()


async def test_the_graph_of_a_run_has_no_empty_room_where_pictures_would_be():
    views = RunViews()
    views.add(await run_of(nb.nodes.ImageInvert(nb.nodes.EmptyImage(width=8, height=8))))
    heights = [float(height) for height in re.findall(r'<rect [^>]*height="(\d+)"', views.html()["Graph"])]
    assert len(heights) == 2 and heights[0] < 2 * PREVIEW and heights[1] < PREVIEW


async def test_the_runs_of_a_cell_share_a_timeline_a_list_of_reasons_and_the_largest_graph():
    nb.cache.clear()
    views = RunViews()
    for handles in ([viewed("<a>")], [viewed("<b>"), viewed("<c>")], [viewed("<a>")]):
        views.add(await run_of(*handles))
    assert set(views.html()) == {"Timeline", "Why", "Graph"}
    drawn = base64.b64decode(views.timeline().partition("base64,")[2].partition('"')[0]).decode()
    assert [f"words=&#x27;&lt;{name}&gt;&#x27;" in drawn for name in "abc"] == [True] * 3
    assert views.why().count("<div>") == 4 and views.why().count("from an earlier run") == 1
    assert "2 nodes" in views.html()["Graph"] and "<b>" not in views.html()["Graph"]


async def test_a_failed_run_says_why_and_shows_where():
    views = RunViews()
    with pytest.raises(nb.NodeError) as caught:
        await fails_in_view("no layer")
    views.add(caught.value.run)
    assert "failed: LookupError: no layer" in views.why() and "(failed)" in views.html()["Graph"]


async def test_of_many_runs_only_the_first_are_kept():
    views = RunViews()
    for number in range(BARS_MAX + 20):
        views.add(await run_of(viewed(f"many {number}")))
    assert views.why().count("<div>") == run_views.REASONS_MAX
    assert len(views._ended) == BARS_MAX


async def test_of_a_large_run_only_the_first_bars_are_kept():
    views = RunViews()
    views.add(await run_of(*(viewed(f"bar {number}") for number in range(BARS_MAX + 20))))
    assert "timeline" in views.timeline() and len(views._ended[0].bars) == BARS_MAX


async def test_a_large_graph_is_not_drawn_but_it_is_said_how_to_see_it():
    views = RunViews()
    views.add(await run_of(*(viewed(f"large {number}") for number in range(run_views.DRAWN_MAX + 1))))
    assert views.html()["Graph"] == f"<div>{run_views.DRAWN_MAX + 1} nodes: nb.draw(nb.last.graph) shows them.</div>"


async def test_what_a_run_gave_is_not_kept():
    views = RunViews()
    run = await run_of(viewed("kept by nobody"))
    views.add(run)
    views.html()
    gone = weakref.ref(run)
    run = await run_of(viewed("the last run"))
    gc.collect()
    assert gone() is None
