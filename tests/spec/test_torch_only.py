"""Which functions are known to write to tensors by torch's operations alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.torch_only import writes_by_torch_only

KERNEL = torch.ones(1, 1, 3, 3)
SIZES = (3, 3)
_kept: list[Any] = []


def _kernel(size: int) -> torch.Tensor:
    return torch.ones(1, 1, size, size) / math.prod(SIZES)


def computes(x, factor: float = 0.5, *, mode: str = "mean"):
    if x.ndim != 4:
        raise ValueError(f"an image has four dimensions, not {x.ndim}")
    rows = [F.conv2d(row[None], _kernel(3)) for row in x.unbind()]
    return torch.stack(sorted(rows, key=lambda row: float(row.mean()))) * factor


def writes_by_torch(x):
    with torch.no_grad():
        x.view(-1)[3:].mul_(2)
    return nn.Conv2d(3, 3, 3)(x)


def defines_a_helper(x):
    total = 0.0

    def add(value):
        nonlocal total
        total += value

    add(x.sum())
    return total


@pytest.mark.parametrize("function", [computes, writes_by_torch, defines_a_helper])
def test_code_of_torch_and_python_is_known(function: Callable[..., Any]) -> None:
    assert _is_known(function)


def calls_numpy(x):
    return np.asarray(x)


def imports_numpy(x):
    import numpy

    return numpy.asarray(x)


def takes_the_data(x):
    return x.data.mul_(2)


def applies(x):
    return x.apply_(abs)


def takes_private_parts(x):
    return torch._C._something(x)


def calls_a_custom_operation(x):
    return torch.ops.mine.blur(x)


def updates_running_means(x):
    return F.batch_norm(x, x.mean(0), x.var(0), training=True)


def updates_running_means_of_a_module(x):
    norm = nn.BatchNorm1d(len(x))
    norm.register_buffer("running_mean", x)
    return norm(torch.rand(2, len(x)))


def updates_running_means_by_the_native_operation(x):
    return torch.native_batch_norm(torch.rand(2, len(x)), None, None, x, x * x, True, 0.1, 1e-5)


def updates_moving_averages(x):
    on, none = torch.ones(1), torch.zeros(1, dtype=torch.int32)
    return torch.fused_moving_avg_obs_fake_quant(x, on, on, x[:1], x[1:2], x[2:3], none, 0.5, 0, 255, -1)


def writes_to_another_tensor_of_its_memory(x):
    torch.empty(0).set_(x)[5:6].fill_(7)


def writes_to_an_unsafe_view(x):
    torch.unsafe_split(x, 1)[0].fill_(7)


def makes_a_sparse_tensor_of_it(x):
    torch.sparse_coo_tensor(torch.arange(len(x))[None], x, is_coalesced=True).values()[0] = 7


def keeps_it_in_a_global(x):
    _kept.append(x)
    return x


def keeps_it_in_an_attribute(x):
    keeps_it_in_an_attribute.last = x
    return x


def keeps_it_in_a_default(x, seen=[]):  # noqa: B006
    return x


def reads_a_tensor_that_others_hold(x):
    return F.conv2d(x, KERNEL)


def asks_by_name(x):
    return getattr(x, "numpy")()  # noqa: B009


def reaches_numpy_in_a_helper(x):
    return calls_numpy(x)


def _with_a_variable() -> Callable[..., Any]:
    last = None

    def keeps_it_in_a_variable(x):
        nonlocal last
        last = x
        return x

    return keeps_it_in_a_variable


@pytest.mark.parametrize(
    "function",
    [
        calls_numpy,
        imports_numpy,
        takes_the_data,
        applies,
        takes_private_parts,
        calls_a_custom_operation,
        updates_running_means,
        updates_running_means_of_a_module,
        updates_running_means_by_the_native_operation,
        updates_moving_averages,
        writes_to_another_tensor_of_its_memory,
        writes_to_an_unsafe_view,
        makes_a_sparse_tensor_of_it,
        keeps_it_in_a_global,
        keeps_it_in_an_attribute,
        keeps_it_in_a_default,
        reads_a_tensor_that_others_hold,
        asks_by_name,
        reaches_numpy_in_a_helper,
        _with_a_variable(),
    ],
)
def test_code_that_may_write_otherwise_or_keep_a_tensor_is_not(function: Callable[..., Any]) -> None:
    assert not _is_known(function)


def _is_known(function: Callable[..., Any]) -> bool:
    spec = spec_from_function(function)
    return writes_by_torch_only(spec, spec.code())
