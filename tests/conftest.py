"""Shared by all tests: hypothesis profiles, and browser tests only where there is a browser.

HYPOTHESIS_PROFILE=thorough tries several thousand examples a property. COMFY_NB_REQUIRE_BROWSER=1 makes a
missing Chromium an error; otherwise the browser tests are deselected without one.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.browser.chromium import find_chromium

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("ci"), derandomize=False, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

NO_BROWSER = (
    "The {count} browser tests were NOT run: no Chromium was found. "
    "Install one (apt-get install chromium) or set CHROMIUM to its path."
)
left_out = pytest.StashKey[int]()


def pytest_sessionstart() -> None:
    """Take the lock of coverage.py away, which an interrupt of a node's thread in its Python code would keep for ever.

    The interpreter's own lock protects what that protects while tests run.
    """
    from coverage.collector import Collector

    for collector in Collector._collectors:
        collector.data_lock = None


@pytest.hookimpl(trylast=True)  # of what -m and -k have left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen_slow = "slow" in config.option.markexpr
    slow = [item for item in items if item.get_closest_marker("slow") and not chosen_slow]
    browser = [item for item in items if item.get_closest_marker("browser") and item not in slow]
    if find_chromium():
        browser = []
    elif browser and os.environ.get("COMFY_NB_REQUIRE_BROWSER") == "1":
        raise pytest.UsageError(NO_BROWSER.format(count=len(browser)) + " COMFY_NB_REQUIRE_BROWSER=1 requires them.")
    config.stash[left_out] = len(browser)
    gone = {*slow, *browser}
    if gone:
        config.hook.pytest_deselected(items=sorted(gone, key=lambda item: item.nodeid))
        items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if count := config.stash.get(left_out, 0):
        print("\n" + NO_BROWSER.format(count=count))
