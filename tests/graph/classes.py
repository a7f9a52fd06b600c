"""Node classes that tests of graphs wire."""

from __future__ import annotations


class Source:
    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0, "min": 0, "max": 10})}, "hidden": {"id": "UNIQUE_ID"}}

    def run(self, seed, id=None):
        return (seed, seed + 100)


class Two:
    """Two outputs of the types of its inputs."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "mask": ("MASK",)}, "optional": {"more": ("IMAGE",)}}

    def run(self, image, mask, more=None):
        return (image, mask)


class Turned(Two):
    """Outputs in another order than the inputs."""

    RETURN_TYPES = ("MASK", "IMAGE", "LATENT")


class Three(Two):
    RETURN_TYPES = ("IMAGE", "MASK", "IMAGE")


class Union(Two):
    RETURN_TYPES = ("IMAGE,MASK",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"n": ("INT",), "any": ("IMAGE,MASK",), "mask": ("MASK",)}}


class Sink:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"optional": {"image": ("IMAGE",), "mask": ("MASK",), "any": ("*",), "latent": ("LATENT",)}}

    def run(self, **values):
        return {"ui": {"got": [sorted(values.items())]}}


CLASSES = {"Source": Source, "Two": Two, "Three": Three, "Turned": Turned, "Union": Union, "Sink": Sink}
