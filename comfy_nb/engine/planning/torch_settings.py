"""What torch keeps for the whole process, where a change of it changes results: dtype, precision, determinism."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch

Settings = tuple[torch.dtype, str, str]
"""The default dtype; and in words, empty where all is as usual, the precision of float32 and what is deterministic."""
USUAL_SETTINGS: Settings = (torch.float32, "", "")


def torch_settings() -> Settings:
    """Return the settings as they are: asked after each node, and therefore quick."""
    return (torch.get_default_dtype(), _precision(), _deterministic())


_BACKENDS = ("cuda", "cuda", "cuda", "mkldnn", "mkldnn", "mkldnn")
_OPERATIONS = ("matmul", "conv", "rnn", "matmul", "conv", "rnn")
_UNTOUCHED = ("none", "tf32", "tf32", "none", "none", "none")
# Torch has a precision for each backend since 2.9; the older question raises where somebody has set these.
_precision_of: Callable[[str, str], str] | None = getattr(torch._C, "_get_fp32_precision_getter", None)
_products = torch._C._get_float32_matmul_precision
_cudnn_tf32 = torch._C._get_cudnn_allow_tf32


def _precision() -> str:
    if _precision_of is not None:
        precisions = tuple(map(_precision_of, _BACKENDS, _OPERATIONS))
        return "" if precisions == _UNTOUCHED else _words(precisions)
    products = _products()
    return ("" if products == "highest" else products) + ("" if _cudnn_tf32() else " without TF32 in cuDNN")


@lru_cache
def _words(precisions: tuple[str, ...]) -> str:
    """Say which precisions are not as usual; "none" and "ieee" are the full one."""
    found = zip(_BACKENDS, _OPERATIONS, precisions, _UNTOUCHED, strict=True)
    return ", ".join(
        f"{backend} {operation} {now}"
        for backend, operation, now, usual in found
        if now != usual and {now, usual} != {"none", "ieee"}
    )


_is_on = torch._C._get_deterministic_algorithms
_only_warns = torch._C._get_deterministic_algorithms_warn_only
_fills_memory = torch._C._get_deterministic_fill_uninitialized_memory
_cudnn_is_deterministic = torch._C._get_cudnn_deterministic
HAS_CUDNN: bool = torch._C._has_cudnn


def _deterministic() -> str:
    if not _is_on():
        return "in cuDNN" if HAS_CUDNN and _cudnn_is_deterministic() else ""
    return ("warn" if _only_warns() else "raise") + ("" if _fills_memory() else ", memory is not filled")
