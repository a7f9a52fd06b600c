"""Hidden inputs: what a node class may ask for beside its declared inputs, by ComfyUI's names.

`PROGRESS`, which function nodes ask for, belongs to one call: `execution/turn.py` fills it in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.prompts import prompt_of
from comfy_nb.engine.planning.step import Step

FROM_EXTRA_DATA = {
    "AUTH_TOKEN_COMFY_ORG": "auth_token_comfy_org",
    "API_KEY_COMFY_ORG": "api_key_comfy_org",
    "COMFY_USAGE_SOURCE": "comfy_usage_source",
}
KNOWN_HIDDEN = frozenset({"PROMPT", "DYNPROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", *FROM_EXTRA_DATA})


class HiddenInputs:
    """The hidden inputs of the nodes of one plan.

    `extra_data` is what a client posts beside a prompt; `workflow` is the editor's file that came with the graph.
    """

    def __init__(
        self,
        plan: Plan,
        dynamic_prompt: Callable[[], Any],
        extra_data: Mapping[str, Any] | None = None,
        workflow: Mapping[str, Any] | None = None,
    ) -> None:
        self._plan = plan
        self._dynamic_prompt = dynamic_prompt
        self._extra_data = extra_data or {}
        self._workflow = workflow
        self._prompt: dict[str, Any] | None = None

    @property
    def prompt(self) -> dict[str, Any]:
        """The prompt as it is run: converted values, bypassed and muted nodes left out."""
        if self._prompt is None:
            self._prompt = prompt_of(self._plan)
        return self._prompt

    @property
    def extra_pnginfo(self) -> Any:
        """What pictures carry beside the prompt: what was submitted, else the workflow that came with the graph."""
        given = self._extra_data.get("extra_pnginfo")
        return given if given is not None else {"workflow": self._workflow} if self._workflow else None

    def value(self, step: Step, kind: Any) -> Any:
        """Return the value of a hidden input of a known kind."""
        if kind == "UNIQUE_ID":
            return step.id
        if kind == "PROMPT":
            return self.prompt
        if kind == "DYNPROMPT":
            return self._dynamic_prompt()
        if kind == "EXTRA_PNGINFO":
            return self.extra_pnginfo
        return self._extra_data.get(FROM_EXTRA_DATA[kind])


def hidden_for_hooks(step: Step) -> dict[str, Any]:
    """Return the hidden inputs that VALIDATE_INPUTS and IS_CHANGED get, by name: the node's id, and nothing of the run.

    A class may make its fingerprint of all that it is given, which is not to change with every run.
    """
    known = ((name, kind) for name, kind in step.interface.hidden.items() if kind in KNOWN_HIDDEN)
    return {name: step.id if kind == "UNIQUE_ID" else {} if kind == "PROMPT" else None for name, kind in known}
