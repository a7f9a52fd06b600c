"""The built-in nodes, for type checkers and editors. Written by comfy_nb.library.stubs; do not edit."""

# ruff: noqa: E501
# fmt: off
from typing import Any

from comfy_nb.graph.handle import Handle
from comfy_nb.graph.namespace import Nodes

class BuiltinNodes(Nodes):
    def CaseConverter(self, string: str | Handle, mode: str | Handle = ...) -> Handle:
        """Change the case of the letters of a text.

        Inputs:
            string: STRING
        Outputs: STRING
        """

    def CropMask(self, mask: Any, x: int | Handle = 0, y: int | Handle = 0, width: int | Handle = 512, height: int | Handle = 512) -> Handle:
        """Cut a rectangle out of masks.

        Inputs:
            mask: MASK
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
            width: INT, 1 to 16384, default 512
            height: INT, 1 to 16384, default 512
        Outputs: MASK
        """

    def EmptyImage(self, width: int | Handle = 512, height: int | Handle = 512, batch_size: int | Handle = 1, color: int | Handle = 0) -> Handle:
        """Make images of a single colour.

        Inputs:
            width: INT, 1 to 16384, default 512
            height: INT, 1 to 16384, default 512
            batch_size: INT, 1 to 4096, default 1
            color: INT, 0 to 16777215, default 0
        Outputs: IMAGE
        """

    def EmptyLatentImage(self, width: int | Handle = 512, height: int | Handle = 512, batch_size: int | Handle = 1) -> Handle:
        """Make a batch of all-zero latents for a sampler to fill.

        Inputs:
            width: INT, 16 to 16384, default 512
            height: INT, 16 to 16384, default 512
            batch_size: INT, 1 to 4096, default 1
        Outputs: LATENT
        """

    def FeatherMask(self, mask: Any, left: int | Handle = 0, top: int | Handle = 0, right: int | Handle = 0, bottom: int | Handle = 0) -> Handle:
        """Fade masks out towards their edges.

        Inputs:
            mask: MASK
            left: INT, 0 to 16384, default 0
            top: INT, 0 to 16384, default 0
            right: INT, 0 to 16384, default 0
            bottom: INT, 0 to 16384, default 0
        Outputs: MASK
        """

    def FetchImage(self, url: str | Handle = '', timeout: float | Handle = 30.0) -> Handle:
        """Download an image over HTTP: one image per frame, and a mask that is 1 where it is transparent.

        Inputs:
            url: STRING, default ''. http:// or https:// address. It is downloaded once; .fresh() does it anew.
            timeout: FLOAT, 0.1 to 3600.0, default 30.0. Seconds until the request is given up.
        Outputs: IMAGE, MASK
        """

    def FetchJSON(self, url: str | Handle = '', timeout: float | Handle = 30.0) -> Handle:
        """Download JSON over HTTP, as a Python value and as the text itself.

        Inputs:
            url: STRING, default ''. http:// or https:// address. It is downloaded once; .fresh() does it anew.
            timeout: FLOAT, 0.1 to 3600.0, default 30.0. Seconds until the request is given up.
        Outputs: value (*), text (STRING)
        """

    def GrowMask(self, mask: Any, expand: int | Handle = 0, tapered_corners: bool | Handle = True) -> Handle:
        """Grow masks by some pixels, or shrink them by a negative number.

        Inputs:
            mask: MASK
            expand: INT, -16384 to 16384, default 0
            tapered_corners: BOOLEAN, default True
        Outputs: MASK
        """

    def ImageBatch(self, image1: Any, image2: Any) -> Handle:
        """Join two batches of images; the second is resized to the size of the first.

        Inputs:
            image1: IMAGE
            image2: IMAGE
        Outputs: IMAGE
        """

    def ImageBlend(self, image1: Any, image2: Any, blend_factor: float | Handle = 0.5, blend_mode: str | Handle = ...) -> Handle:
        """Blend a second image into the first one and its size, in one of the usual modes.

        Inputs:
            image1: IMAGE
            image2: IMAGE
            blend_factor: FLOAT, 0.0 to 1.0, default 0.5
        Outputs: IMAGE
        """

    def ImageBlur(self, image: Any, blur_radius: int | Handle = 1, sigma: float | Handle = 1.0) -> Handle:
        """Soften images with a Gaussian of a given radius in pixels.

        Inputs:
            image: IMAGE
            blur_radius: INT, 1 to 31, default 1
            sigma: FLOAT, 0.1 to 10.0, default 1.0
        Outputs: IMAGE
        """

    def ImageColorToMask(self, image: Any, color: int | Handle = 0) -> Handle:
        """Mark the pixels that have exactly one colour.

        Inputs:
            image: IMAGE
            color: INT, 0 to 16777215, default 0
        Outputs: MASK
        """

    def ImageCompositeMasked(self, destination: Any, source: Any, x: int | Handle = 0, y: int | Handle = 0, resize_source: bool | Handle = False, mask: Any = ...) -> Handle:
        """Paste an image onto another at (x, y), where the mask is 1.

        Inputs:
            destination: IMAGE
            source: IMAGE
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
            resize_source: BOOLEAN, default False
            mask: MASK, optional
        Outputs: IMAGE
        """

    def ImageCrop(self, image: Any, width: int | Handle = 512, height: int | Handle = 512, x: int | Handle = 0, y: int | Handle = 0) -> Handle:
        """Cut a rectangle out of images; parts outside of them are left off.

        Inputs:
            image: IMAGE
            width: INT, 1 to 16384, default 512
            height: INT, 1 to 16384, default 512
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
        Outputs: IMAGE
        """

    def ImageFlip(self, image: Any, flip_method: str | Handle = ...) -> Handle:
        """Mirror images top to bottom ("x-axis") or left to right ("y-axis").

        Inputs:
            image: IMAGE
        Outputs: IMAGE
        """

    def ImageFromBatch(self, image: Any, batch_index: int | Handle = 0, length: int | Handle = 1) -> Handle:
        """Take images out of a batch; a start or length beyond its end is limited to the images there are.

        Inputs:
            image: IMAGE
            batch_index: INT, 0 to 4095, default 0
            length: INT, 1 to 4096, default 1
        Outputs: IMAGE
        """

    def ImageInvert(self, image: Any) -> Handle:
        """Turn images into their negatives.

        Inputs:
            image: IMAGE
        Outputs: IMAGE
        """

    def ImagePadForOutpaint(self, image: Any, left: int | Handle = 0, top: int | Handle = 0, right: int | Handle = 0, bottom: int | Handle = 0, feathering: int | Handle = 40) -> Handle:
        """Add grey margins to images, and return a mask that is 1 where they are to be painted.

        Inputs:
            image: IMAGE
            left: INT, 0 to 16384, default 0
            top: INT, 0 to 16384, default 0
            right: INT, 0 to 16384, default 0
            bottom: INT, 0 to 16384, default 0
            feathering: INT, 0 to 16384, default 40
        Outputs: IMAGE, MASK
        """

    def ImageQuantize(self, image: Any, colors: int | Handle = 256, dither: str | Handle = ...) -> Handle:
        """Reduce each image to a palette of a few colours, with or without dithering.

        Inputs:
            image: IMAGE
            colors: INT, 1 to 256, default 256
        Outputs: IMAGE
        """

    def ImageRotate(self, image: Any, rotation: str | Handle = ...) -> Handle:
        """Rotate images clockwise by quarter turns.

        Inputs:
            image: IMAGE
        Outputs: IMAGE
        """

    def ImageScale(self, image: Any, upscale_method: str | Handle = ..., width: int | Handle = 512, height: int | Handle = 512, crop: str | Handle = ...) -> Handle:
        """Resize images to a width and height; 0 for one of them keeps the proportions.

        Inputs:
            image: IMAGE
            width: INT, 0 to 16384, default 512
            height: INT, 0 to 16384, default 512
        Outputs: IMAGE
        """

    def ImageScaleBy(self, image: Any, upscale_method: str | Handle = ..., scale_by: float | Handle = 1.0) -> Handle:
        """Resize images by a factor.

        Inputs:
            image: IMAGE
            scale_by: FLOAT, 0.01 to 8.0, default 1.0
        Outputs: IMAGE
        """

    def ImageSharpen(self, image: Any, sharpen_radius: int | Handle = 1, sigma: float | Handle = 1.0, alpha: float | Handle = 1.0) -> Handle:
        """Sharpen images: the detail that a Gaussian would remove is added, ten times `alpha`.

        Inputs:
            image: IMAGE
            sharpen_radius: INT, 1 to 31, default 1
            sigma: FLOAT, 0.1 to 10.0, default 1.0
            alpha: FLOAT, 0.0 to 5.0, default 1.0
        Outputs: IMAGE
        """

    def ImageToMask(self, image: Any, channel: str | Handle = ...) -> Handle:
        """Take one channel of images as a mask.

        Inputs:
            image: IMAGE
        Outputs: MASK
        """

    def InvertMask(self, mask: Any) -> Handle:
        """Invert masks: 0 becomes 1, and 1 becomes 0.

        Inputs:
            mask: MASK
        Outputs: MASK
        """

    def JoinImageWithAlpha(self, image: Any, alpha: Any) -> Handle:
        """Give images an alpha channel: transparent where the mask is 1.

        Inputs:
            image: IMAGE
            alpha: MASK
        Outputs: IMAGE
        """

    def LatentAdd(self, samples1: Any, samples2: Any) -> Handle:
        """Add two latents; the second is fitted to the size and batch of the first.

        Inputs:
            samples1: LATENT
            samples2: LATENT
        Outputs: LATENT
        """

    def LatentBlend(self, samples1: Any, samples2: Any, blend_factor: float | Handle = 0.5) -> Handle:
        """Mix two latents in the size of the first; `blend_factor` is the share of the first.

        Inputs:
            samples1: LATENT
            samples2: LATENT
            blend_factor: FLOAT, 0 to 1, default 0.5
        Outputs: LATENT
        """

    def LatentComposite(self, samples_to: Any, samples_from: Any, x: int | Handle = 0, y: int | Handle = 0, feather: int | Handle = 0) -> Handle:
        """Paste a latent onto another at (x, y), in pixels, its inner edges faded over `feather` pixels.

        Inputs:
            samples_to: LATENT
            samples_from: LATENT
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
            feather: INT, 0 to 16384, default 0
        Outputs: LATENT
        """

    def LatentCompositeMasked(self, destination: Any, source: Any, x: int | Handle = 0, y: int | Handle = 0, resize_source: bool | Handle = False, mask: Any = ...) -> Handle:
        """Paste a latent onto another at (x, y), in pixels, where the mask is 1.

        Inputs:
            destination: LATENT
            source: LATENT
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
            resize_source: BOOLEAN, default False
            mask: MASK, optional
        Outputs: LATENT
        """

    def LatentCrop(self, samples: Any, width: int | Handle = 512, height: int | Handle = 512, x: int | Handle = 0, y: int | Handle = 0) -> Handle:
        """Cut a rectangle, given in pixels, out of latents; its corner stays 64 pixels from the far edges.

        Inputs:
            samples: LATENT
            width: INT, 64 to 16384, default 512
            height: INT, 64 to 16384, default 512
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
        Outputs: LATENT
        """

    def LatentFlip(self, samples: Any, flip_method: str | Handle = ...) -> Handle:
        """Mirror latents top to bottom ("x-axis") or left to right ("y-axis").

        Inputs:
            samples: LATENT
        Outputs: LATENT
        """

    def LatentFromBatch(self, samples: Any, batch_index: int | Handle = 0, length: int | Handle = 1) -> Handle:
        """Take latents out of a batch; their batch indices let them keep their noise.

        Inputs:
            samples: LATENT
            batch_index: INT, 0 to 63, default 0
            length: INT, 1 to 64, default 1
        Outputs: LATENT
        """

    def LatentMultiply(self, samples: Any, multiplier: float | Handle = 1.0) -> Handle:
        """Multiply latents by a number.

        Inputs:
            samples: LATENT
            multiplier: FLOAT, -10.0 to 10.0, default 1.0
        Outputs: LATENT
        """

    def LatentRotate(self, samples: Any, rotation: str | Handle = ...) -> Handle:
        """Rotate latents clockwise by quarter turns.

        Inputs:
            samples: LATENT
        Outputs: LATENT
        """

    def LatentSubtract(self, samples1: Any, samples2: Any) -> Handle:
        """Subtract the second latent, fitted to the size and batch of the first, from the first.

        Inputs:
            samples1: LATENT
            samples2: LATENT
        Outputs: LATENT
        """

    def LatentUpscale(self, samples: Any, upscale_method: str | Handle = ..., width: int | Handle = 512, height: int | Handle = 512, crop: str | Handle = ...) -> Handle:
        """Resize latents to a width and height in pixels; 0 for one of them keeps the proportions.

        Inputs:
            samples: LATENT
            width: INT, 0 to 16384, default 512
            height: INT, 0 to 16384, default 512
        Outputs: LATENT
        """

    def LatentUpscaleBy(self, samples: Any, upscale_method: str | Handle = ..., scale_by: float | Handle = 1.5) -> Handle:
        """Resize latents by a factor.

        Inputs:
            samples: LATENT
            scale_by: FLOAT, 0.01 to 8.0, default 1.5
        Outputs: LATENT
        """

    def LoadImage(self, image: str | Handle) -> Handle:
        """Load an image from the input folder: one image per frame, and a mask that is 1 where it is transparent.

        Inputs:
        Outputs: IMAGE, MASK
        """

    def LoadImageMask(self, image: str | Handle, channel: str | Handle = ...) -> Handle:
        """Load one channel of an image from the input folder as a mask; for alpha, 1 is transparent.

        Inputs:
        Outputs: MASK
        """

    def MaskComposite(self, destination: Any, source: Any, x: int | Handle = 0, y: int | Handle = 0, operation: str | Handle = ...) -> Handle:
        """Combine a mask with another one placed on it at (x, y).

        Inputs:
            destination: MASK
            source: MASK
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
        Outputs: MASK
        """

    def MaskToImage(self, mask: Any) -> Handle:
        """Show masks as grey images.

        Inputs:
            mask: MASK
        Outputs: IMAGE
        """

    def PorterDuffImageComposite(self, source: Any, source_alpha: Any, destination: Any, destination_alpha: Any, mode: str | Handle = ...) -> Handle:
        """Combine two images with alpha by one of the Porter-Duff operators.

        Inputs:
            source: IMAGE
            source_alpha: MASK
            destination: IMAGE
            destination_alpha: MASK
        Outputs: IMAGE, MASK
        """

    def PreviewImage(self, images: Any) -> Handle:
        """Show images; they are saved only in the temp folder.

        Inputs:
            images: IMAGE
        Outputs: none
        """

    def PrimitiveBoolean(self, value: bool | Handle) -> Handle:
        """Hold true or false.

        Inputs:
            value: BOOLEAN
        Outputs: BOOLEAN
        """

    def PrimitiveFloat(self, value: float | Handle) -> Handle:
        """Hold a number.

        Inputs:
            value: FLOAT, -9223372036854775807 to 9223372036854775807
        Outputs: FLOAT
        """

    def PrimitiveInt(self, value: int | Handle) -> Handle:
        """Hold an integer.

        Inputs:
            value: INT, -9223372036854775807 to 9223372036854775807
        Outputs: INT
        """

    def PrimitiveString(self, value: str | Handle) -> Handle:
        """Hold a line of text.

        Inputs:
            value: STRING
        Outputs: STRING
        """

    def PrimitiveStringMultiline(self, value: str | Handle) -> Handle:
        """Hold several lines of text.

        Inputs:
            value: STRING
        Outputs: STRING
        """

    def RateLimitedCall(self, value: Any, calls_per_second: float | Handle = 1.0) -> Handle:
        """Pass a value on when it is its turn: all nodes of this class share one limit of calls per second.

        Inputs:
            value: *
            calls_per_second: FLOAT, 0.001 to 1000.0, default 1.0
        Outputs: value (*)
        """

    def RebatchImages(self, images: Any, batch_size: int | Handle = 1) -> Handle:
        """Regroup a list of image batches into batches of one size; the last one may be smaller.

        Inputs:
            images: IMAGE
            batch_size: INT, 1 to 4096, default 1
        Outputs: IMAGE
        """

    def RebatchLatents(self, latents: Any, batch_size: int | Handle = 1) -> Handle:
        """Regroup a list of latents into batches of one size; another image size starts a new batch.

        Inputs:
            latents: LATENT
            batch_size: INT, 1 to 4096, default 1
        Outputs: LATENT
        """

    def RegexExtract(self, string: str | Handle, regex_pattern: str | Handle, mode: str | Handle = ..., case_insensitive: bool | Handle = True, multiline: bool | Handle = False, dotall: bool | Handle = False, group_index: int | Handle = 1) -> Handle:
        """Extract the matches of a regular expression from a text, one per line.

        Inputs:
            string: STRING
            regex_pattern: STRING
            case_insensitive: BOOLEAN, default True
            multiline: BOOLEAN, default False
            dotall: BOOLEAN, default False
            group_index: INT, 0 to 100, default 1
        Outputs: STRING
        """

    def RegexMatch(self, string: str | Handle, regex_pattern: str | Handle, case_insensitive: bool | Handle = True, multiline: bool | Handle = False, dotall: bool | Handle = False) -> Handle:
        """Tell whether a regular expression matches in a text; an invalid one never does.

        Inputs:
            string: STRING
            regex_pattern: STRING
            case_insensitive: BOOLEAN, default True
            multiline: BOOLEAN, default False
            dotall: BOOLEAN, default False
        Outputs: matches (BOOLEAN)
        """

    def RegexReplace(self, string: str | Handle, regex_pattern: str | Handle, replace: str | Handle, case_insensitive: bool | Handle = True, multiline: bool | Handle = False, dotall: bool | Handle = False, count: int | Handle = 0) -> Handle:
        """Replace the matches of a regular expression in a text.

        Inputs:
            string: STRING
            regex_pattern: STRING
            replace: STRING
            case_insensitive: BOOLEAN, default True, optional
            multiline: BOOLEAN, default False, optional
            dotall: BOOLEAN, default False, optional. Whether a dot also matches a line break.
            count: INT, 0 to 100, default 0, optional. The number of matches to replace, from the first; 0 for all.
        Outputs: STRING
        """

    def RepeatImageBatch(self, image: Any, amount: int | Handle = 1) -> Handle:
        """Repeat a batch of images.

        Inputs:
            image: IMAGE
            amount: INT, 1 to 4096, default 1
        Outputs: IMAGE
        """

    def RepeatLatentBatch(self, samples: Any, amount: int | Handle = 1) -> Handle:
        """Repeat a batch of latents, with its masks and with new batch indices.

        Inputs:
            samples: LATENT
            amount: INT, 1 to 64, default 1
        Outputs: LATENT
        """

    def SampleImage(self, name: str | Handle = ...) -> Handle:
        """Give a picture that comes with comfy_nb.

        Inputs:
        Outputs: IMAGE
        """

    def SaveImage(self, images: Any, filename_prefix: str | Handle = 'ComfyUI') -> Handle:
        """Save images as PNG files in the output folder, with the graph that made them embedded.

        Inputs:
            images: IMAGE
            filename_prefix: STRING, default 'ComfyUI'. The beginning of the file names. May name subfolders, and contain %width%, %height%, %year%, %month%, %day%, %hour%, %minute%, %second%, %batch_num%, %date:yyyy-MM-dd% and the value of an input, %Node.input%.
        Outputs: none
        """

    def SleepWithProgress(self, value: Any, seconds: float | Handle = 1.0, steps: int | Handle = 10) -> Handle:
        """Pass a value on after some seconds and report progress step by step; other nodes run meanwhile.

        Inputs:
            value: *
            seconds: FLOAT, 0.0 to 86400.0, default 1.0
            steps: INT, 1 to 10000, default 10
        Outputs: value (*)
        """

    def SolidMask(self, value: float | Handle = 1.0, width: int | Handle = 512, height: int | Handle = 512) -> Handle:
        """Make a mask of one value.

        Inputs:
            value: FLOAT, 0.0 to 1.0, default 1.0
            width: INT, 1 to 16384, default 512
            height: INT, 1 to 16384, default 512
        Outputs: MASK
        """

    def SplitImageWithAlpha(self, image: Any) -> Handle:
        """Split images into their colours and a mask that is 1 where they are transparent.

        Inputs:
            image: IMAGE
        Outputs: IMAGE, MASK
        """

    def StringCompare(self, string_a: str | Handle, string_b: str | Handle, mode: str | Handle = ..., case_sensitive: bool | Handle = True) -> Handle:
        """Tell whether a text equals, starts with or ends with another.

        Inputs:
            string_a: STRING
            string_b: STRING
            case_sensitive: BOOLEAN, default True
        Outputs: BOOLEAN
        """

    def StringConcatenate(self, string_a: str | Handle, string_b: str | Handle, delimiter: str | Handle = '') -> Handle:
        """Join two texts with a delimiter between them.

        Inputs:
            string_a: STRING
            string_b: STRING
            delimiter: STRING, default ''
        Outputs: STRING
        """

    def StringContains(self, string: str | Handle, substring: str | Handle, case_sensitive: bool | Handle = True) -> Handle:
        """Tell whether a text contains another.

        Inputs:
            string: STRING
            substring: STRING
            case_sensitive: BOOLEAN, default True
        Outputs: contains (BOOLEAN)
        """

    def StringLength(self, string: str | Handle) -> Handle:
        """Count the characters of a text.

        Inputs:
            string: STRING
        Outputs: length (INT)
        """

    def StringReplace(self, string: str | Handle, find: str | Handle, replace: str | Handle) -> Handle:
        """Replace every occurrence of a text within another.

        Inputs:
            string: STRING
            find: STRING
            replace: STRING
        Outputs: STRING
        """

    def StringSubstring(self, string: str | Handle, start: int | Handle, end: int | Handle) -> Handle:
        """Take the characters from `start` up to but not including `end`; negative numbers count from the end.

        Inputs:
            string: STRING
            start: INT
            end: INT
        Outputs: STRING
        """

    def StringTrim(self, string: str | Handle, mode: str | Handle = ...) -> Handle:
        """Remove whitespace from the ends of a text.

        Inputs:
            string: STRING
        Outputs: STRING
        """

    def ThresholdMask(self, mask: Any, value: float | Handle = 0.5) -> Handle:
        """Make masks binary: 1 where they are above a value, else 0.

        Inputs:
            mask: MASK
            value: FLOAT, 0.0 to 1.0, default 0.5
        Outputs: MASK
        """

nodes: BuiltinNodes
