"""Whether and when a failed call is made again: one policy for every caller."""

from __future__ import annotations

from typing import NamedTuple

from comfy_nb.engine.execution.failure import TookTooLong
from comfy_nb.engine.execution.turn import Invocation
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.wording import describe_error


class Retry(NamedTuple):
    """A call is made again after `wait_s` seconds; `reason` is what is reported meanwhile."""

    wait_s: float
    reason: str


def retry_after(error: Exception, attempt: int, spec: NodeSpec, call: Invocation) -> Retry | None:
    """Return the retry to make after failed attempt `attempt` (from 0), or None."""
    if attempt == spec.retries or call.is_check:
        return None
    wait_s = spec.backoff * 2.0**attempt
    cause = f"{spec.timeout:g} s without an answer" if isinstance(error, TookTooLong) else describe_error(error)
    return Retry(wait_s, f"retry {attempt + 1} of {spec.retries} in {wait_s:g} s after {cause}")
