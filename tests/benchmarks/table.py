"""Run cases; print the table and write it as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.case import Case, measure
from tests.benchmarks.fit import Fit, fit
from tests.benchmarks.floors import FLOORS

QUICK_MAX_N = 1_000
WIDTH = 110
PACKAGES = ("torch", "dask", "sf-hamilton", "pocketflow")


@dataclass(frozen=True)
class Row:
    """One figure and its floor, both in `unit`; `ratio` is figure over floor, `met` None without a target."""

    name: str
    shape: str
    n: int
    figure: float
    unit: str
    floor: float | None
    ratio: float | None
    target: float | None
    met: bool | None


@dataclass(frozen=True)
class FitRow:
    """The line through all sizes of a case in us/node: `a_us` a run, `b_us` a node; see `Fit`."""

    name: str
    shape: str
    a_us: float
    b_us: float
    growth: float | None


def run(cases: Sequence[Case], json_path: Path | None = None, quick: bool = False) -> list[Row]:
    """Measure the cases, print two tables and write them to `json_path`.

    `quick` stops at 1,000 nodes and repeats twice. A floor is measured once for each shape and size.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    floors: dict[tuple[str, str, int], float] = {}
    rows: list[Row] = []
    fits: list[FitRow] = []
    for case in cases:
        seconds: dict[int, float] = {}
        sizes = [n for n in case.sizes if not quick or n <= QUICK_MAX_N]
        for n in sizes:
            with console.status(f"{case.name}, {case.shape}, {n:,}"):
                seconds[n] = measure(case, n, quick)
                rows.append(_row(case, n, seconds[n], _floor(case, n, quick, floors)))
        if case.unit == "us/node" and (line := fit(seconds)):
            fits.append(_fit_row(case, line))
    console.print(_rows_table(rows))
    if fits:
        console.print(_fits_table(fits))
    if json_path:
        json_path.write_text(json.dumps(_report(rows, fits, quick), indent=1) + "\n", encoding="utf-8")
    return rows


def _floor(case: Case, n: int, quick: bool, known: dict[tuple[str, str, int], float]) -> float | None:
    if case.floor is None:
        return None
    key = case.floor, case.shape, n
    if key not in known:
        prepare = FLOORS[case.floor]
        floor_case = Case(case.floor, case.shape, (n,), lambda size: prepare(case.shape, size))
        known[key] = measure(floor_case, n, quick)
    return known[key]


def _row(case: Case, n: int, measured: float, floor: float | None) -> Row:
    figure, target = case.figure(measured, n), case.target_at(n)
    return Row(
        name=case.name,
        shape=case.shape,
        n=n,
        figure=figure,
        unit=case.unit,
        floor=None if floor is None else case.figure(floor, n),
        ratio=None if floor is None else measured / floor,
        target=target,
        met=None if target is None else figure <= target,
    )


def _fit_row(case: Case, line: Fit) -> FitRow:
    return FitRow(case.name, case.shape, a_us=line.a * 1e6, b_us=line.b * 1e6, growth=line.growth)


def _report(rows: Sequence[Row], fits: Sequence[FitRow], quick: bool) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "quick": quick,
        "rows": [asdict(row) for row in rows],
        "fits": [asdict(row) for row in fits],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rows_table(rows: Sequence[Row]) -> Table:
    table = Table("case", "shape", title="Benchmarks")
    for heading in ("N", "figure", "floor", "ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    table.add_column("met")
    for row in rows:
        met = {None: "", True: "[green]yes[/]", False: "[red]NO[/]"}[row.met]
        numbers = [_short(value) for value in (row.figure, row.floor, row.ratio, row.target)]
        table.add_row(row.name, row.shape, f"{row.n:,}", *numbers, row.unit, met)
    return table


def _fits_table(fits: Sequence[FitRow]) -> Table:
    table = Table("case", "shape", title="Fitted as a + b N")
    for heading in ("a, us a run", "b, us a node", "b, largest / smallest N"):
        table.add_column(heading, justify="right")
    for row in fits:
        table.add_row(row.name, row.shape, _short(row.a_us), _short(row.b_us), _short(row.growth))
    return table


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
