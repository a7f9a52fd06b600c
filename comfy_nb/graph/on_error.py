"""What a run does when a node fails: it stops, or it continues with all that does not depend on the node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.wording import short

STOP, CONTINUE = "stop", "continue"
CHOICES = (STOP, CONTINUE)
POLICY = "node_failure_policy"
POLICIES: Mapping[str, str] = {"fail_fast": STOP, "continue_independent": CONTINUE}  # ComfyUI's names


class HasPolicy(Protocol):
    """A graph, as far as it says what its runs do when a node fails."""

    on_error: str


def policy_in(extra_data: Any) -> str | None:
    """Return what `node_failure_policy` asks for in what a client posts: "stop", "continue" or None.

    Raises UnknownName for a policy that is neither of ComfyUI's.
    """
    policy = extra_data.get(POLICY) if isinstance(extra_data, Mapping) else None
    if policy is None:
        return None
    if not isinstance(policy, str) or policy not in POLICIES:
        raise UnknownName.of(POLICY, policy, POLICIES)
    return POLICIES[policy]


def posted(on_error: str) -> dict[str, str]:
    """Return what a client posts for a choice; nothing for "stop", which is the default. Raises GraphError."""
    policies = {choice: policy for policy, choice in POLICIES.items()}
    return {} if chosen(on_error) == STOP else {POLICY: policies[on_error]}


def chosen(on_error: Any) -> str:
    """Return the choice for `on_error`; raises GraphError for another value."""
    if on_error not in CHOICES:
        raise GraphError(f"on_error is {short(on_error)}, but it must be 'stop' or 'continue'.")
    return str(on_error)


def policy_of(graph: HasPolicy, options: Mapping[str, Any]) -> str:
    """Return what a run does when a node fails: as its option says, else as its client asked, else as its graph."""
    asked, on_error = policy_in(options.get("extra_data")), options.get("on_error")
    return chosen(on_error if on_error is not None else asked or graph.on_error)
