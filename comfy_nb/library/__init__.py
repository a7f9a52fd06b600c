"""The built-in nodes: those of ComfyUI that need no model, under the same names, and a few async ones."""

from __future__ import annotations

from comfy_nb.library import (
    compositing,
    filters,
    image_files,
    images,
    latents,
    masks,
    primitives,
    samples,
    strings,
    web,
)
from comfy_nb.library.folders import Folders, current_folders, set_default_folders, use_folders

__all__ = [
    "NODE_CLASS_MAPPINGS",
    "NODE_DISPLAY_NAME_MAPPINGS",
    "Folders",
    "current_folders",
    "set_default_folders",
    "use_folders",
]

_MODULES = (image_files, images, filters, compositing, masks, latents, primitives, strings, samples, web)

NODE_CLASS_MAPPINGS: dict[str, type] = {
    name: member
    for module in _MODULES
    for name, member in vars(module).items()
    if isinstance(member, type) and member.__module__ == module.__name__ and hasattr(member, "INPUT_TYPES")
    if not name.startswith("_")
}

NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "SampleImage": "Sample Image",
    "SaveImage": "Save Image",
    "PreviewImage": "Preview Image",
    "ImageScale": "Upscale Image",
    "ImageScaleBy": "Upscale Image By",
    "ImageInvert": "Invert Image",
    "ImageBatch": "Batch Images",
    "ImagePadForOutpaint": "Pad Image for Outpainting",
    "ImageCrop": "Image Crop",
    "RebatchImages": "Rebatch Images",
    "PorterDuffImageComposite": "Porter-Duff Image Composite",
    "SplitImageWithAlpha": "Split Image with Alpha",
    "JoinImageWithAlpha": "Join Image with Alpha",
    "MaskToImage": "Convert Mask to Image",
    "ImageToMask": "Convert Image to Mask",
    "EmptyLatentImage": "Empty Latent Image",
    "LatentUpscale": "Upscale Latent",
    "LatentUpscaleBy": "Upscale Latent By",
    "LatentBlend": "Latent Blend",
    "LatentComposite": "Latent Composite",
    "LatentCrop": "Crop Latent",
    "LatentFlip": "Flip Latent",
    "LatentRotate": "Rotate Latent",
    "RepeatLatentBatch": "Repeat Latent Batch",
    "LatentFromBatch": "Latent From Batch",
    "RebatchLatents": "Rebatch Latents",
    "PrimitiveString": "String",
    "PrimitiveStringMultiline": "String (Multiline)",
    "PrimitiveInt": "Int",
    "PrimitiveFloat": "Float",
    "PrimitiveBoolean": "Boolean",
    "StringConcatenate": "Concatenate",
    "StringSubstring": "Substring",
    "StringLength": "Length",
    "CaseConverter": "Case Converter",
    "StringTrim": "Trim",
    "StringReplace": "Replace",
    "StringContains": "Contains",
    "StringCompare": "Compare",
    "RegexMatch": "Regex Match",
    "RegexExtract": "Regex Extract",
    "RegexReplace": "Regex Replace",
    "FetchImage": "Fetch Image",
    "FetchJSON": "Fetch JSON",
    "SleepWithProgress": "Sleep with Progress",
    "RateLimitedCall": "Rate-limited Call",
}
