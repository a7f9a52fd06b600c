"""Node classes for tests of what runs again and what is taken from the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.support import Pack, made

INT = ("INT", {})
NAN = float("nan")


def choosing(pack: Pack) -> None:
    """Register Choose(which, even, odd), which asks for one of its two lazy inputs."""

    def choose(self: Any, which: int, even: Any = None, odd: Any = None) -> tuple[Any]:
        return (odd if which % 2 else even,)

    def ask(self: Any, which: int, even: Any = None, odd: Any = None) -> list[str]:
        return ["odd" if which % 2 else "even"]

    lazy = {"which": INT, "even": ("INT", {"lazy": True}), "odd": ("INT", {"lazy": True})}
    pack.node("Choose", choose, lazy, check_lazy_status=ask)


def marked(pack: Pack, fingerprint: Callable[..., Any], **declared: Any) -> None:
    """Register Marked(n), with this IS_CHANGED."""
    traits = {"IS_CHANGED": classmethod(fingerprint), **declared}
    pack.node("Marked", lambda self, n: (n,), {"n": INT}, **traits)


def one(class_type: str = "Number", **inputs: Any) -> dict[str, Any]:
    return {"1": made(class_type, **(inputs or {"n": 1}))}
