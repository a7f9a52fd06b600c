"""Pictures that come with the package, so that an example runs anywhere.

"portrait" is the astronaut Eileen Collins, a NASA photograph in the public domain: `skimage.data.astronaut` of
scikit-image 0.26.0, saved again as JPEG.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from torch import Tensor

from comfy_nb.graph.namespace import nodes
from comfy_nb.library.declare import legacy_combo_input
from comfy_nb.library.pictures import read_picture

SAMPLES = ("portrait",)


def sample(name: str = "portrait") -> Any:
    """Return the handle of a picture that comes with comfy_nb: "portrait" [1, 512, 512, 3]."""
    return nodes.SampleImage(name)


class SampleImage:
    """Give a picture that comes with comfy_nb."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "read"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": legacy_combo_input(*SAMPLES)}}

    def read(self, name: str) -> tuple[Tensor]:
        data = (files("comfy_nb.library") / "sample_pictures" / f"{name}.jpg").read_bytes()
        return (read_picture(data, name)[0],)
