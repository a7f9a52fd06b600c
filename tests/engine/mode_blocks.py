"""Blocks of code that set a mode, by what they set."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def set_autocast(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Autocast for a device that this machine may not have; torch's own block would switch itself off."""
    before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, dtype)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device, before[0])
        torch.set_autocast_dtype(device, before[1])


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def precision(name: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def precision_of(backend: Any, name: str) -> Iterator[None]:
    """The precision of one backend's operation, which torch has no older name for."""
    before = backend.fp32_precision
    backend.fp32_precision = name
    try:
        yield
    finally:
        backend.fp32_precision = before


@contextmanager
def deterministic(warn_only: bool = False, fill: bool = True) -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True


class Silent(TorchFunctionMode):
    """A function mode that changes nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class SilentDispatch(TorchDispatchMode):
    """A dispatch mode that changes nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


Block = Callable[[], AbstractContextManager[Any]]
BLOCKS: dict[str, Block] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast, float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "autocast without a cache": lambda: torch.autocast("cpu", cache_enabled=False),
    "autocast of cuda": lambda: set_autocast("cuda", torch.bfloat16),
    "autocast of mps": lambda: set_autocast("mps", torch.bfloat16),
    "a device": lambda: torch.device("meta"),
    "a default device": lambda: default_device("meta"),
    "inference mode": torch.inference_mode,
    "a default dtype": lambda: default_dtype(torch.float64),
}
OTHERS: dict[str, Block] = {
    "a precision": lambda: precision("medium"),
    "a high precision": lambda: precision("high"),
    "deterministic algorithms": deterministic,
    "deterministic algorithms, or a warning": lambda: deterministic(warn_only=True),
    "deterministic algorithms on memory as it is": lambda: deterministic(fill=False),
    "the decimal context": lambda: decimal.localcontext(prec=5),
    "decimal rounding": lambda: decimal.localcontext(rounding=decimal.ROUND_UP),
    "a decimal trap": lambda: decimal.localcontext(traps=[decimal.Inexact]),
    "floating-point errors of numpy": lambda: np.errstate(divide="raise"),
    "a function mode": Silent,
    "a dispatch mode": SilentDispatch,
}
if hasattr(torch.backends, "fp32_precision"):
    OTHERS["a precision of cuda"] = lambda: precision_of(torch.backends.cuda.matmul, "tf32")
    OTHERS["a precision of convolutions"] = lambda: precision_of(torch.backends.mkldnn.conv, "bf16")
