"""What a node may know and do while it runs: who it is, its progress, blockers and graph builders.

Everything here answers from the context of the running call, which travels with it to its lane or task, so several runs
may be under way at once. Names and behaviour are ComfyUI's.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

import torch

from comfy_nb.engine.events import Event, NodePreview, NodeProgress, NodeText
from comfy_nb.errors import InterruptProcessingException
from comfy_nb.graph.prompt import is_link

__all__ = [
    "CurrentNodeContext",
    "ExecutionBlocker",
    "ExecutionContext",
    "GraphBuilder",
    "Progress",
    "ProgressBar",
    "check_interrupt",
    "get_executing_context",
    "is_link",
]

PREVIEW_MAX_PX = 256
JPEG_QUALITY = 75


class ExecutionBlocker:
    """Returned in place of a value: what would receive it is skipped, with an error report if it has a message."""

    __slots__ = ("message",)

    def __init__(self, message: str | None = None) -> None:
        self.message = message

    def __repr__(self) -> str:
        return f"ExecutionBlocker({self.message!r})"


class RunSide(Protocol):
    """What a call needs of its run."""

    id: str
    stopping: bool

    def emit(self, event: Event) -> None:
        """Tell the subscribers."""
        ...

    def log(self, node_id: str, stream: str, text: str) -> None:
        """Tell them what a node printed."""
        ...


class CallContext:
    """One call of a node: its run, its node's id, and its place in the node's list."""

    __slots__ = ("builders", "calls", "index", "node_id", "run")

    def __init__(self, run: RunSide, node_id: str, index: int = 0, calls: int = 1) -> None:
        self.run = run
        self.node_id = node_id
        self.index = index
        self.calls = calls
        self.builders = 0


current_call: ContextVar[CallContext | None] = ContextVar("comfy_nb_call", default=None)


class ExecutionContext(NamedTuple):
    """Who is running: the run's prompt id, the node's id, and the index of the list call."""

    prompt_id: str
    node_id: str
    list_index: int | None


def get_executing_context() -> ExecutionContext | None:
    """Return who is running in this context, or None outside a node."""
    call = current_call.get()
    return None if call is None else ExecutionContext(call.run.id, call.node_id, call.index)


class _Apart:
    """The run of a context that was set by hand: nobody listens to it and nobody stops it."""

    stopping = False

    def __init__(self, prompt_id: str) -> None:
        self.id = prompt_id

    def emit(self, event: Event) -> None:
        """Drop the event."""

    def log(self, node_id: str, stream: str, text: str) -> None:
        """Drop the text."""


@contextmanager
def CurrentNodeContext(prompt_id: str, node_id: str, list_index: int | None = None) -> Iterator[None]:
    """Set who is running, for a `with` block; within a run the block still reports to that run."""
    outer = current_call.get()
    run: RunSide = outer.run if outer is not None and outer.run.id == prompt_id else _Apart(prompt_id)
    token = current_call.set(CallContext(run, node_id, list_index or 0))
    try:
        yield
    finally:
        current_call.reset(token)


def check_interrupt() -> None:
    """Raise InterruptProcessingException if the run of the calling node is to stop."""
    call = current_call.get()
    if call is not None and call.run.stopping:
        raise InterruptProcessingException


class Progress:
    """The progress of one call; a function node gets it by a parameter annotated `nb.Progress`.

    `progress(3, 10)` says that 3 of 10 steps are done, with `preview=` shows a picture and with `text=` a line of text.
    Each report raises InterruptProcessingException if the run is to stop.
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
        """Say that `steps` more are done."""
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
        raise TypeError("Say what to go over: for step in progress.over(range(20)).")

    def over(self, items: Any) -> Iterator[Any]:
        """Go over `items` (with a length), reporting each as a step."""
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
        """Say how far it is; `preview` is ComfyUI's `(format, picture, max size)`."""
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        if self._progress is not None:
            picture = preview[1] if isinstance(preview, tuple) and len(preview) > 1 else preview
            self._progress(self.current, self.total, preview=picture)

    def update(self, value: float) -> None:
        """Say that `value` more steps are done."""
        self.update_absolute(self.current + value)


def make_preview(call: CallContext, picture: Any) -> NodePreview | None:
    """Encode a small JPEG of a picture: every n-th pixel of a tensor, so that the cost does not grow with its size."""
    small = _thumbnail(picture)
    if small is None:
        return None
    buffer = io.BytesIO()
    small.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    width, height = small.size
    return NodePreview(
        call.run.id, time.perf_counter(), call.node_id, "jpeg", buffer.getvalue(), int(width), int(height)
    )


def _thumbnail(picture: Any) -> Any:
    from PIL import Image

    if isinstance(picture, torch.Tensor):
        pixels = picture.detach()
        while pixels.ndim > 3:
            pixels = pixels[0]
        if pixels.ndim == 2:
            pixels = pixels.unsqueeze(-1).expand(-1, -1, 3)
        if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4) or 0 in pixels.shape:
            return None
        stride = max(1, -(-max(pixels.shape[0], pixels.shape[1]) // PREVIEW_MAX_PX))
        part = pixels[::stride, ::stride, :3].float().nan_to_num(0).clamp(0, 1)
        if part.shape[-1] == 1:
            part = part.expand(-1, -1, 3)
        return Image.fromarray((part * 255).to(torch.uint8).cpu().numpy())
    if hasattr(picture, "thumbnail"):
        small = picture.copy()
        small.thumbnail((PREVIEW_MAX_PX, PREVIEW_MAX_PX))
        return small
    return None


class _BuilderNode:
    """A node that a GraphBuilder makes."""

    def __init__(self, node_id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = node_id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """Return the link to an output."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input, or with None take it away."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        """Return an input, or None."""
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show the node under another one than its parent."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """Return the node as a prompt has it."""
        entry: dict[str, Any] = {"class_type": self.class_type, "inputs": dict(self.inputs)}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


class GraphBuilder:
    """Builds the prompt that a node expands into, with ids that are the same each time the node runs.

    Without a prefix ids are `"<node id>.<list index>.<builder number in this call>."` and the given id or 1, 2, 3 ...
    """

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = self.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, _BuilderNode] = {}
        self.id_gen = 1

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """Return the prefix for the next builder of the running call."""
        call = current_call.get()
        root = root if root is not None else call.node_id if call is not None else ""
        call_index = call_index if call_index is not None else call.index if call is not None else 0
        graph_index = graph_index if graph_index is not None else call.builders if call is not None else 0
        if call is not None:
            call.builders += 1
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type: str, id: str | None = None, **inputs: Any) -> _BuilderNode:
        """Add a node, or return the one that has this id already."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        node_id = self.prefix + id
        if node_id not in self.nodes:
            self.nodes[node_id] = _BuilderNode(node_id, class_type, inputs)
        return self.nodes[node_id]

    def lookup_node(self, id: str) -> _BuilderNode | None:
        """Return the node of this id, or None."""
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> dict[str, dict[str, Any]]:
        """Return the prompt."""
        return {node_id: node.serialize() for node_id, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Put a value in place of every link to an output; None takes the inputs away."""
        target = self.prefix + node_id
        for node in self.nodes.values():
            for name, value in list(node.inputs.items()):
                if is_link(value) and value[0] == target and value[1] == index:
                    node.set_input(name, new_value)

    def remove_node(self, id: str) -> None:
        """Take a node away."""
        self.nodes.pop(self.prefix + id, None)
