"""Pictures that come with the package, so that an example runs anywhere."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from torch import Tensor

from comfy_nb.library.declare import legacy_combo_input
from comfy_nb.library.pictures import read_picture

SAMPLES = ("portrait",)


class SampleImage:
    """Give a picture that comes with comfy_nb; "portrait" is a NASA photograph, in the public domain."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "read"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": legacy_combo_input(*SAMPLES)}}

    def read(self, name: str) -> tuple[Tensor]:
        data = (files("comfy_nb.library") / "sample_pictures" / f"{name}.jpg").read_bytes()
        return (read_picture(data, name)[0],)
