"""A notebook of cells, for stories of a person who edits them."""

from __future__ import annotations

import asyncio
import textwrap
import types
from typing import Any

import comfy_nb as nb
from tests.engine.support import names_of, ran

STUCK_S = 30.0


class Shown:
    """A run of a story: its value, the classes of the nodes that ran, and why; each node must have a reason."""

    def __init__(self, run: nb.Run, value: Any = None) -> None:
        self.run = run
        self.value = value
        self.ran = names_of(run, ran(run))
        for node_id in {*run.plan.steps, *run.task.executor.scheduler.node_runs}:
            assert run.why(node_id), f"node {node_id} has no reason"

    def why(self, class_type: str) -> str:
        """Why the only node of a class ran or did not."""
        (node_id,) = [step.id for step in self.run.plan.steps.values() if step.class_type == class_type]
        return self.run.why(node_id)


class Notebook:
    """A kernel's namespace, that of its `module`, in which cells are executed one after the other."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.names: dict[str, Any] = self.module.__dict__
        self._count = 0
        self.cell("import comfy_nb as nb\nimport numpy as np\nimport torch")

    def cell(self, source: str) -> None:
        """Execute a cell."""
        self._count += 1
        exec(compile(textwrap.dedent(source), f"<cell {self._count}>", "exec"), self.names)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    async def show(self, name: str) -> Shown:
        """Execute `await <name>` for a variable that holds a handle."""
        job = self.names[name].start()
        async with asyncio.timeout(STUCK_S):
            value = await job
        return Shown(job.run, value)

    async def run(self, name: str, **options: Any) -> Shown:
        """Execute `await <name>.run()` for a variable that holds a graph."""
        async with asyncio.timeout(STUCK_S):
            return Shown(await self.names[name].run(**options))


PHOTO = """
@nb.node
def photo(size: int = 4) -> torch.Tensor:
    return torch.ones(size)
"""
BRIGHTEN = """
GAIN = 2
@nb.node
def brighten(image: torch.Tensor, by: float = 1.0) -> torch.Tensor:
    return image * GAIN + by
"""
BRIGHT = "picture = photo(4)\nbright = brighten(picture, by=1.0)"
