"""What shows the runs of a session, and what its faults may not do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine.planning.planned import planned
from comfy_nb.engine.presenter import NoPresenter
from tests.engine.signs import PATIENCE_S
from tests.engine.support import Pack, made

pytestmark = pytest.mark.usefixtures("zoo")


class Failing(NoPresenter):
    """Fails with one error in one of its methods."""

    def __init__(self, method: str, error: BaseException) -> None:
        def fail(*_: Any) -> Any:
            raise error

        setattr(self, method, fail)


FAULTS = [RuntimeError("no screen"), asyncio.CancelledError("no screen")]


@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.parametrize("method", ["place", "show_run"])
async def test_a_display_that_fails_does_not_hurt_the_run(pack: Pack, method: str, error: BaseException) -> None:
    session = nb.Session(presenter=Failing(method, error))
    graph = pack.graph({"1": made("Number", value=1)})
    with pytest.warns(nb.ComfyNBWarning, match=r"display of .* failed: .*no screen"):
        run = await asyncio.wait_for(session.run(graph), PATIENCE_S)
    assert run["1"] == 1 and run.place is None
    assert planned(graph).plan.users == 0


async def test_a_refusal_that_cannot_be_shown_is_a_warning(pack: Pack) -> None:
    session = nb.Session(presenter=Failing("show_refusal", RuntimeError("no screen")))
    job = session.start(pack.graph({"1": made("Nowhere")}))
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    job._task.add_done_callback(lambda task: over.set_result(None))  # called after the job's own
    with pytest.warns(nb.ComfyNBWarning, match="display of a run failed: RuntimeError: no screen"):
        await asyncio.wait_for(over, PATIENCE_S)


@pytest.mark.parametrize("view", ["panel", "timeline"])
async def test_without_a_display_there_are_no_views(pack: Pack, view: str) -> None:
    run = await nb.Session(presenter=NoPresenter()).run(pack.graph({"1": made("Number", value=1)}))
    with pytest.raises(nb.GraphError, match="No display is installed"):
        _ = run.panel if view == "panel" else run.timeline()
