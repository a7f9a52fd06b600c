"""The benchmark harness: timing, fitting and reporting, independent of the figures."""

from __future__ import annotations

import asyncio
import inspect
import json
import time

import pytest

from tests.benchmarks.case import Case, Seconds, measure
from tests.benchmarks.fit import fit
from tests.benchmarks.floors import FLOORS
from tests.benchmarks.peers import peers
from tests.benchmarks.shapes import CHAIN, WIDE
from tests.benchmarks.table import run


def case_that_takes(seconds: float, **options) -> Case:
    return Case("fixed", CHAIN, (100, 1_000, 10_000), lambda n: lambda: Seconds(seconds * n), **options)


def test_a_fit_recovers_the_line_it_was_made_from():
    line = fit({n: 0.002 + 3e-6 * n for n in (100, 1_000, 10_000, 100_000)})
    assert (line.a, line.b, line.growth) == pytest.approx((0.002, 3e-6, 1.0))


def test_growth_is_the_last_slope_over_the_first():
    assert fit({100: 100.0, 200: 200.0, 300: 500.0}).growth == pytest.approx(3.0)


def test_one_size_has_no_line():
    assert fit({100: 1.0}) is None


def test_each_repeat_is_prepared_anew_and_the_least_counts():
    prepared = []

    def prepare(n):
        prepared.append(n)
        return lambda: Seconds(1.0 / len(prepared))

    assert measure(Case("c", CHAIN, (7,), prepare), 7) == pytest.approx(1 / 3)
    assert prepared == [7, 7, 7]


def test_a_coroutine_function_is_awaited_and_preparation_is_not_timed():
    def prepare(n):
        time.sleep(0.2)

        async def call():
            await asyncio.sleep(0)

        return call

    assert 0 < measure(Case("c", CHAIN, (1,), prepare), 1, quick=True) < 0.2


def test_memory_is_the_peak_for_each_node():
    def prepare(n):
        return lambda: len([bytearray(1_000) for _ in range(n)])

    case = Case("memory", CHAIN, (1_000,), prepare, unit="B/node")
    assert case.figure(measure(case, 1_000), 1_000) == pytest.approx(1_060, rel=0.1)


@pytest.mark.long
def test_rows_say_whether_their_target_is_met():
    rows = run([case_that_takes(5e-6, target=lambda n: 6 if n == 100 else 4)], quick=True)
    assert [(row.n, row.figure, row.met) for row in rows] == [
        (100, pytest.approx(5.0), True),
        (1_000, pytest.approx(5.0), False),
    ]


@pytest.mark.long
def test_a_floor_is_measured_in_the_same_run():
    (row, _) = run([case_that_takes(1.0, floor="plain loop")], quick=True)
    assert row.floor is not None and row.floor > 0
    assert row.ratio == pytest.approx(row.figure / row.floor)


def test_the_json_holds_rows_fits_and_machine(tmp_path):
    path = tmp_path / "bench.json"
    run([case_that_takes(2e-6, target=3.0)], path, quick=True)
    report = json.loads(path.read_text())
    assert [row["met"] for row in report["rows"]] == [True, True]
    assert report["fits"][0]["b_us"] == pytest.approx(2.0)
    assert report["python"] and report["date"] and "cores" in report["machine"]


@pytest.mark.parametrize("shape", [CHAIN, WIDE])
@pytest.mark.parametrize("floor", FLOORS)
def test_floors_compute_every_node(floor, shape):
    call = FLOORS[floor](shape, 5)
    values = asyncio.run(call()) if inspect.iscoroutinefunction(call) else call()
    assert values == [0, 1, 1, 1, 1]


NO_PEER = pytest.param(None, marks=pytest.mark.skip(reason="no peer is installed"), id="none")
PEERS = [pytest.param(case, id=f"{case.name}-{case.shape}") for case in peers()]


@pytest.mark.parametrize("case", PEERS or [NO_PEER])
def test_peers_run_the_same_graphs(case):
    assert measure(case, 10, quick=True) > 0
