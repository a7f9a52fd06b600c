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
        """Make images of one plain colour.

        Inputs:
            width: INT, 1 to 16384, default 512
            height: INT, 1 to 16384, default 512
            batch_size: INT, 1 to 4096, default 1
            color: INT, 0 to 16777215, default 0
        Outputs: IMAGE
        """

    def EmptyLatentImage(self, width: int | Handle = 512, height: int | Handle = 512, batch_size: int | Handle = 1) -> Handle:
        """Make a batch of latents of zeros, to be filled by a sampler.

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
        """Get a picture over HTTP as images, one for each frame, and a mask of where it is transparent.

        Inputs:
            url: STRING, default ''. http:// or https:// address.
            timeout: FLOAT, 0.1 to 3600.0, default 30.0. Seconds after which the call is given up.
        Outputs: IMAGE, MASK
        """

    def FetchJSON(self, url: str | Handle = '', timeout: float | Handle = 30.0) -> Handle:
        """Get JSON over HTTP as a Python value, and as the text it came as.

        Inputs:
            url: STRING, default ''. http:// or https:// address.
            timeout: FLOAT, 0.1 to 3600.0, default 30.0. Seconds after which the call is given up.
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
        """Put two batches of images one after the other; the second takes the size of the first.

        Inputs:
            image1: IMAGE
            image2: IMAGE
        Outputs: IMAGE
        """

    def ImageBlend(self, image1: Any, image2: Any, blend_factor: float | Handle = 0.5, blend_mode: str | Handle = ...) -> Handle:
        """Blend a second image into a first one, which gives the size, in one of the usual modes.

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
        """Mark the pixels that have one exact colour.

        Inputs:
            image: IMAGE
            color: INT, 0 to 16777215, default 0
        Outputs: MASK
        """

    def ImageCompositeMasked(self, destination: Any, source: Any, x: int | Handle = 0, y: int | Handle = 0, resize_source: bool | Handle = False, mask: Any = ...) -> Handle:
        """Lay an image on another one at (x, y), where a mask lets it show.

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
        """Cut a rectangle out of images; what lies outside of them is left off.

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
        """Take some images out of a batch; a start or length beyond its end is cut to what there is.

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
        """Add grey margins to images, with a mask that is 1 where something is to be painted.

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
        """Reduce images to a palette of some colours each, with or without dithering.

        Inputs:
            image: IMAGE
            colors: INT, 1 to 256, default 256
        Outputs: IMAGE
        """

    def ImageRotate(self, image: Any, rotation: str | Handle = ...) -> Handle:
        """Turn images clockwise by quarter turns.

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
        """Sharpen images: what a Gaussian would take away is added, `alpha` times ten.

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
        """Swap what a mask covers and what it leaves free.

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
        """Add two latents; the second takes the size and batch of the first.

        Inputs:
            samples1: LATENT
            samples2: LATENT
        Outputs: LATENT
        """

    def LatentBlend(self, samples1: Any, samples2: Any, blend_factor: float | Handle = 0.5) -> Handle:
        """Mix two latents: `blend_factor` is the share of the first, which gives the size.

        Inputs:
            samples1: LATENT
            samples2: LATENT
            blend_factor: FLOAT, 0 to 1, default 0.5
        Outputs: LATENT
        """

    def LatentComposite(self, samples_to: Any, samples_from: Any, x: int | Handle = 0, y: int | Handle = 0, feather: int | Handle = 0) -> Handle:
        """Lay a latent on another one at (x, y) in pixels, its inner edges faded over `feather` pixels.

        Inputs:
            samples_to: LATENT
            samples_from: LATENT
            x: INT, 0 to 16384, default 0
            y: INT, 0 to 16384, default 0
            feather: INT, 0 to 16384, default 0
        Outputs: LATENT
        """

    def LatentCompositeMasked(self, destination: Any, source: Any, x: int | Handle = 0, y: int | Handle = 0, resize_source: bool | Handle = False, mask: Any = ...) -> Handle:
        """Lay a latent on another one at (x, y) in pixels, where a mask lets it show.

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
        """Take some latents out of a batch, which keep their noise by their batch indices.

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
        """Turn latents clockwise by quarter turns.

        Inputs:
            samples: LATENT
        Outputs: LATENT
        """

    def LatentSubtract(self, samples1: Any, samples2: Any) -> Handle:
        """Subtract a second latent, in the size and batch of the first, from the first.

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
        """Load a picture from the input folder: an image for each frame, and a mask of what is transparent.

        Inputs:
        Outputs: IMAGE, MASK
        """

    def LoadImageMask(self, image: str | Handle, channel: str | Handle = ...) -> Handle:
        """Load one channel of a picture from the input folder as a mask; of alpha, 1 is transparent.

        Inputs:
        Outputs: MASK
        """

    def MaskComposite(self, destination: Any, source: Any, x: int | Handle = 0, y: int | Handle = 0, operation: str | Handle = ...) -> Handle:
        """Combine a mask with another one laid on it at (x, y).

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
        """Show images: they are saved in the temp folder only.

        Inputs:
            images: IMAGE
        Outputs: none
        """

    def PrimitiveBoolean(self, value: bool | Handle) -> Handle:
        """Hold yes or no.

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
        """Hold a whole number.

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
        """Hold a text of several lines.

        Inputs:
            value: STRING
        Outputs: STRING
        """

    def RateLimitedCall(self, value: Any, calls_per_second: float | Handle = 1.0) -> Handle:
        """Pass any value on when it is its turn: all of these nodes together let so many through per second.

        Inputs:
            value: *
            calls_per_second: FLOAT, 0.001 to 1000.0, default 1.0
        Outputs: value (*)
        """

    def RebatchImages(self, images: Any, batch_size: int | Handle = 1) -> Handle:
        """Deal a list of image batches out again in batches of one size; the last one may be smaller.

        Inputs:
            images: IMAGE
            batch_size: INT, 1 to 4096, default 1
        Outputs: IMAGE
        """

    def RebatchLatents(self, latents: Any, batch_size: int | Handle = 1) -> Handle:
        """Deal a list of latents out again in batches of one size; another picture size starts a new batch.

        Inputs:
            latents: LATENT
            batch_size: INT, 1 to 4096, default 1
        Outputs: LATENT
        """

    def RegexExtract(self, string: str | Handle, regex_pattern: str | Handle, mode: str | Handle = ..., case_insensitive: bool | Handle = True, multiline: bool | Handle = False, dotall: bool | Handle = False, group_index: int | Handle = 1) -> Handle:
        """Take out what a regular expression finds in a text, one find per line.

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
        """Tell whether a regular expression is found in a text; one that cannot be read is not found.

        Inputs:
            string: STRING
            regex_pattern: STRING
            case_insensitive: BOOLEAN, default True
            multiline: BOOLEAN, default False
            dotall: BOOLEAN, default False
        Outputs: matches (BOOLEAN)
        """

    def RegexReplace(self, string: str | Handle, regex_pattern: str | Handle, replace: str | Handle, case_insensitive: bool | Handle = True, multiline: bool | Handle = False, dotall: bool | Handle = False, count: int | Handle = 0) -> Handle:
        """Replace what a regular expression finds in a text.

        Inputs:
            string: STRING
            regex_pattern: STRING
            replace: STRING
            case_insensitive: BOOLEAN, default True, optional
            multiline: BOOLEAN, default False, optional
            dotall: BOOLEAN, default False, optional. Whether a dot also stands for the end of a line.
            count: INT, 0 to 100, default 0, optional. How many finds to replace, from the first; 0 for all.
        Outputs: STRING
        """

    def RepeatImageBatch(self, image: Any, amount: int | Handle = 1) -> Handle:
        """Repeat a batch of images a number of times.

        Inputs:
            image: IMAGE
            amount: INT, 1 to 4096, default 1
        Outputs: IMAGE
        """

    def RepeatLatentBatch(self, samples: Any, amount: int | Handle = 1) -> Handle:
        """Repeat a batch of latents a number of times, with masks and fresh batch indices.

        Inputs:
            samples: LATENT
            amount: INT, 1 to 64, default 1
        Outputs: LATENT
        """

    def SaveImage(self, images: Any, filename_prefix: str | Handle = 'ComfyUI') -> Handle:
        """Save images as PNG files in the output folder, with the graph that made them inside.

        Inputs:
            images: IMAGE
            filename_prefix: STRING, default 'ComfyUI'. How the file names start. Takes subfolders, and fills in %width%, %height%, %year%, %month%, %day%, %hour%, %minute%, %second% and %batch_num%.
        Outputs: none
        """

    def SleepWithProgress(self, value: Any, seconds: float | Handle = 1.0, steps: int | Handle = 10) -> Handle:
        """Pass any value on after some seconds, reporting progress step by step; other nodes go on meanwhile.

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
        """Take images apart into their colours and a mask that is 1 where they are transparent.

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
        """Join two texts, with a delimiter between them.

        Inputs:
            string_a: STRING
            string_b: STRING
            delimiter: STRING, default ''
        Outputs: STRING
        """

    def StringContains(self, string: str | Handle, substring: str | Handle, case_sensitive: bool | Handle = True) -> Handle:
        """Tell whether a text occurs within another.

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
        """Take the characters from `start` up to, not with, `end`; negative numbers count from the end.

        Inputs:
            string: STRING
            start: INT
            end: INT
        Outputs: STRING
        """

    def StringTrim(self, string: str | Handle, mode: str | Handle = ...) -> Handle:
        """Take the blanks off the ends of a text.

        Inputs:
            string: STRING
        Outputs: STRING
        """

    def ThresholdMask(self, mask: Any, value: float | Handle = 0.5) -> Handle:
        """Turn masks into all or nothing: 1 where they are above a value.

        Inputs:
            mask: MASK
            value: FLOAT, 0.0 to 1.0, default 0.5
        Outputs: MASK
        """

nodes: BuiltinNodes
