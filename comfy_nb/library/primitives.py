"""Nodes that hold a single value."""

from __future__ import annotations

from typing import Any

from comfy_nb.library.declare import Declaration, string_input

LARGEST = 2**63 - 1


class _Primitive:
    FUNCTION = "execute"
    CATEGORY = "utils/primitive"
    DECLARED: Declaration

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": cls.DECLARED}}

    def execute(self, value: Any) -> tuple[Any]:
        return (value,)


class PrimitiveString(_Primitive):
    """Hold a line of text."""

    RETURN_TYPES = ("STRING",)
    DECLARED = string_input(multiline=False)


class PrimitiveStringMultiline(_Primitive):
    """Hold several lines of text."""

    RETURN_TYPES = ("STRING",)
    DECLARED = string_input()


class PrimitiveInt(_Primitive):
    """Hold an integer."""

    RETURN_TYPES = ("INT",)
    DECLARED = ("INT", {"min": -LARGEST, "max": LARGEST, "control_after_generate": True})


class PrimitiveFloat(_Primitive):
    """Hold a number."""

    RETURN_TYPES = ("FLOAT",)
    DECLARED = ("FLOAT", {"min": -LARGEST, "max": LARGEST})


class PrimitiveBoolean(_Primitive):
    """Hold true or false."""

    RETURN_TYPES = ("BOOLEAN",)
    DECLARED = ("BOOLEAN", {})
