"""How a node reports its progress: steps, pictures and lines of text."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import torch

from comfy_nb.engine.events import NodePreview, NodeProgress, NodeText
from comfy_nb.engine.node_api.context import CallContext, current_call, warn_in_call
from comfy_nb.errors import InterruptProcessingException
from comfy_nb.spec.contents.tensors import has_storage
from comfy_nb.spec.pixels import levels_of, pixels_of
from comfy_nb.wording import error_message

PREVIEW_MAX_PX = 256
JPEG_QUALITY = 75


class Progress:
    """The progress of one call; a function node gets it by a parameter annotated `nb.Progress`.

    `progress(3, 10)` reports that 3 of 10 steps are done; `preview=` adds a picture, `text=` a line of text. It raises
    InterruptProcessingException if the run is to stop.
    """

    __slots__ = ("_call", "_total", "_value")

    def __init__(self, call: CallContext) -> None:
        self._call = call
        self._value = 0.0
        self._total = 1.0

    def __call__(
        self,
        value: float | None = None,
        total: float | None = None,
        *,
        preview: Any = None,
        text: str | None = None,
    ) -> None:
        call = self._call
        if call.run.stopping:
            raise InterruptProcessingException
        if total is not None:
            self._total = total
        if value is not None:
            self._value = value
            call.run.emit(
                NodeProgress(
                    call.run.id,
                    time.perf_counter(),
                    call.node_id,
                    self._value,
                    self._total,
                    call.index,
                    call.calls,
                )
            )
        if preview is not None:
            self.preview(preview)
        if text is not None:
            self.text(text)

    def update(self, steps: float = 1) -> None:
        """Report that `steps` more are done."""
        self(self._value + steps)

    def preview(self, picture: Any) -> None:
        """Show a picture of the work so far: an IMAGE tensor [B, H, W, C] or [H, W, C] in 0..1, or a PIL image."""
        event = make_preview(self._call, picture)
        if event is not None:
            self._call.run.emit(event)

    def text(self, text: str, *, append: bool = False) -> None:
        """Show a line of text, or a further piece of it."""
        call = self._call
        call.run.emit(NodeText(call.run.id, time.perf_counter(), call.node_id, str(text), append))

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("Progress is not iterable. Pass what to iterate over: for step in progress.over(range(20)).")

    def over(self, items: Any) -> Iterator[Any]:
        """Iterate over `items` (which have a length), reporting each as a step."""
        total = len(items)
        for done, item in enumerate(items):
            self(done, total)
            yield item
        self(total, total)


class ProgressBar:
    """ComfyUI's progress bar of a node: `ProgressBar(total)`, then `update(1)` or `update_absolute(value)`."""

    def __init__(self, total: float, node_id: Any | None = None) -> None:
        self.total = total
        self.current = 0.0
        self.node_id = node_id
        call = current_call.get()
        if call is not None and node_id is not None and str(node_id) != call.node_id:
            call = CallContext(call.run, str(node_id), call.index, call.calls)
        self._progress = None if call is None else Progress(call)

    def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
        """Report that `value` steps are done; `preview` is ComfyUI's `(format, picture, max size)`."""
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        if self._progress is not None:
            picture = preview[1] if isinstance(preview, tuple) and len(preview) > 1 else preview
            self._progress(self.current, self.total, preview=picture)

    def update(self, value: float) -> None:
        """Report that `value` more steps are done."""
        self.update_absolute(self.current + value)


def make_preview(call: CallContext, picture: Any) -> NodePreview | None:
    """Encode a small JPEG of a picture or tensor: every n-th pixel, so that the cost does not grow with its size.

    None for what is no picture, and after a warning for one that cannot be read: a preview never fails its node.
    """
    try:
        small = _thumbnail(picture)
    except Exception as error:  # sparse, fake and quantised tensors, closed files, whatever a subclass raises
        warn_in_call(f"A preview of class {type(picture).__name__} was left out: {error_message(error)}")
        return None
    if small is None:
        return None
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY)
    width, height = small.size
    return NodePreview(
        call.run.id, time.perf_counter(), call.node_id, "jpeg", buffer.getvalue(), int(width), int(height)
    )


def _thumbnail(picture: Any) -> Any:
    from PIL import Image

    if isinstance(picture, Image.Image):
        pixels = pixels_of(picture, max(1, max(picture.size) // (2 * PREVIEW_MAX_PX)))
        small = _as_picture(pixels[..., :3])
        small.thumbnail((PREVIEW_MAX_PX, PREVIEW_MAX_PX))
        return small
    if not isinstance(picture, torch.Tensor):
        return None
    if 0 in picture.shape or not has_storage(picture):
        return None
    pixels = picture.detach()
    while pixels.ndim > 3:
        pixels = pixels[0]
    if pixels.ndim == 2:
        pixels = pixels.unsqueeze(-1)
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4):
        return None
    stride = max(1, -(-max(pixels.shape[0], pixels.shape[1]) // PREVIEW_MAX_PX))
    part = pixels[::stride, ::stride, :3]
    return _as_picture(part.expand(-1, -1, 3) if part.shape[-1] == 1 else part)


def _as_picture(pixels: torch.Tensor) -> Any:
    from PIL import Image

    return Image.fromarray(levels_of(pixels))
