"""The statistics of tensors, exact and sampled."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb.ui.inspect import statistics as statistics_module
from comfy_nb.ui.inspect.statistics import Sample, chunks, finish, scan, statistics_of

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape = draw(st.lists(st.integers(0, 5), max_size=4))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))) * 50
    x = x.to(draw(st.sampled_from(DTYPES)))
    if x.ndim > 1 and draw(st.booleans()):
        x = x.transpose(0, -1)
    if x.is_floating_point() and x.numel():
        bad = draw(st.sampled_from((math.nan, math.inf, -math.inf, 1.0)))
        x[(0,) * x.ndim] = bad
    return x


@given(tensors(), st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_the_statistics_are_those_of_a_plain_computation(x, chunk):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(statistics_module, "CHUNK", chunk)
        found = statistics_of(x)
    values = x.double()
    finite = values[torch.isfinite(values)]
    assert found.is_exact and found.total == x.numel()
    assert found.nan == int(values.isnan().sum()) and found.infinite == int(values.isinf().sum())
    assert sum(found.counts) == found.finite == finite.numel()
    if finite.numel():
        assert (found.low, found.high) == (float(finite.min()), float(finite.max()))
        assert found.mean == pytest.approx(float(finite.mean()), rel=1e-6, abs=1e-9)
        assert found.std == pytest.approx(float(finite.std(correction=0)), rel=1e-6, abs=1e-6)
    bad = (~torch.isfinite(values)).nonzero()
    assert found.first_bad == (tuple(bad[0].tolist()) if len(bad) else None)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 30))
@settings(deadline=None)
def test_chunks_are_views_that_cover_everything_in_reading_order(shape, chunk):
    x = torch.arange(math.prod(shape)).reshape(shape)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(statistics_module, "CHUNK", chunk)
        found = list(chunks(x))
    assert torch.equal(torch.cat([part.reshape(-1) for _, part in found]), x.reshape(-1))
    assert all((part.numel() <= chunk and part._base is not None) or part is x for _, part in found)
    assert all(x[start] == part.reshape(-1)[0] for start, part in found)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=3))
@settings(deadline=None)
def test_a_sample_is_a_bounded_view_that_knows_its_places(shape):
    x = torch.zeros(1).expand(shape)
    sample = Sample(x)
    assert sample.values.numel() <= 2 * max(statistics_module.SAMPLE_MAX, len(shape) * statistics_module.RUN)
    assert sample.values.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    last = tuple(size - 1 for size in sample.values.shape)
    assert all(at < size for at, size in zip(sample.place(last), shape, strict=True))


def test_the_places_of_a_sample_hold_its_values(monkeypatch):
    monkeypatch.setattr(statistics_module, "SAMPLE_MAX", 500)
    monkeypatch.setattr(statistics_module, "RUN", 16)
    x = torch.arange(7 * 11 * 50).reshape(7, 11, 50)
    sample = Sample(x)
    assert 100 < sample.values.numel() < x.numel()
    for index in np.ndindex(*sample.values.shape):
        assert x[sample.place(index)] == sample.values[index]


def test_a_large_tensor_is_sampled_and_then_read_in_full(monkeypatch):
    monkeypatch.setattr(statistics_module, "EXACT_MAX", 1_000)
    monkeypatch.setattr(statistics_module, "SAMPLE_MAX", 100)
    x = torch.zeros(100, 100)
    x[57, 31] = math.nan
    sampled = statistics_of(x)
    assert not sampled.is_exact and sampled.total == 10_000 and sampled.seen < 1_000
    full = finish(scan(x))
    assert full.is_exact and full.nan == 1 and full.first_bad == (57, 31)


def test_a_scan_reports_its_progress(monkeypatch):
    monkeypatch.setattr(statistics_module, "CHUNK", 10)
    progress = list(scan(torch.arange(40)))
    assert progress == sorted(progress) and progress[-1] == 1.0 and len(progress) == 8


def test_the_largest_floats_do_not_overflow_the_histogram():
    found = statistics_of(torch.tensor([-1.7e308, 0.0, 1.7e308], dtype=torch.float64))
    assert (found.counts[0], found.counts[32], found.counts[63]) == (1, 1, 1)
