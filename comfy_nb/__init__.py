"""Node graphs in Jupyter: write a node in one cell, wire it in the next, watch it run, look inside.

>>> import comfy_nb as nb
>>> picture = nb.nodes.EmptyImage(width=64, height=64, color=0xFF8800)
>>> nb.nodes.ImageInvert(picture).run_sync().shape
torch.Size([1, 64, 64, 3])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_nb.api import (
    breakpoint,
    cache,
    configure,
    doctor,
    draw,
    export_nodes,
    inspect,
    interact,
    pool,
    pools,
    stop_all,
    sweep,
)
from comfy_nb.api import load_ipython_extension as load_ipython_extension
from comfy_nb.engine.execution.resources import resource
from comfy_nb.engine.job import Job
from comfy_nb.engine.node_api.context import CurrentNodeContext, ExecutionBlocker
from comfy_nb.engine.node_api.graph_builder import GraphBuilder
from comfy_nb.engine.node_api.progress import Progress, ProgressBar
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import Session, default_session, use_session
from comfy_nb.errors import (
    ComfyNBError,
    ComfyNBWarning,
    GraphError,
    Interrupted,
    InterruptProcessingException,
    LayoutError,
    NodeError,
    NodeErrors,
    NodeTimeout,
    NotKept,
    PromptError,
    ResourceError,
    RunTimeout,
    SpecError,
    Stopped,
    UnknownName,
    ValidationError,
)
from comfy_nb.graph.handle import Handle
from comfy_nb.graph.link import is_link
from comfy_nb.graph.model import Graph, load
from comfy_nb.graph.namespace import node, register
from comfy_nb.graph.node import Node
from comfy_nb.library.any_picture import image
from comfy_nb.library.samples import sample
from comfy_nb.spec.declared import constant
from comfy_nb.spec.hints import Audio, Conditioning, Image, Latent, Mask, Multiline, Range, Tooltip

if TYPE_CHECKING:
    from comfy_nb.builtin_nodes import nodes

    last: Run | None
else:
    from comfy_nb.graph.namespace import nodes

    def __getattr__(name: str):
        """`last`, the run that was awaited last, in this cell if there was one, or None."""
        if name == "last":
            return default_session().last
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "last"]


__version__ = "0.1.0"

__all__ = [
    "Audio",
    "ComfyNBError",
    "ComfyNBWarning",
    "Conditioning",
    "CurrentNodeContext",
    "ExecutionBlocker",
    "Graph",
    "GraphBuilder",
    "GraphError",
    "Handle",
    "Image",
    "InterruptProcessingException",
    "Interrupted",
    "Job",
    "Latent",
    "LayoutError",
    "Mask",
    "Multiline",
    "Node",
    "NodeError",
    "NodeErrors",
    "NodeTimeout",
    "NotKept",
    "Progress",
    "ProgressBar",
    "PromptError",
    "Range",
    "ResourceError",
    "Run",
    "RunTimeout",
    "Session",
    "SpecError",
    "Stopped",
    "Tooltip",
    "UnknownName",
    "ValidationError",
    "breakpoint",
    "cache",
    "configure",
    "constant",
    "default_session",
    "doctor",
    "draw",
    "export_nodes",
    "image",
    "inspect",
    "interact",
    "is_link",
    "load",
    "node",
    "nodes",
    "pool",
    "pools",
    "register",
    "resource",
    "sample",
    "stop_all",
    "sweep",
    "use_session",
]
