"""A notebook of the test's own, and processes that know nothing of it."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import comfy_nb as nb
from comfy_nb.graph.default_registry import default_registry

ROOT = Path(__file__).parents[2]


class Notebook:
    """A shell in which cells are executed; what they define is an attribute of its items."""

    def __init__(self) -> None:
        self.shell = InteractiveShell(cache_size=0)
        self.registered = dict(default_registry())
        self("import comfy_nb as nb")

    def __call__(self, *cells: str) -> Any:
        for cell in cells:
            done = self.shell.run_cell(cell, store_history=True)
            done.raise_error()
        return done.result

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def export(self, path: Path, *names: str) -> str:
        """Export the nodes of these names, and return the text of the file."""
        return nb.export_nodes(path, [self[name] for name in names]).read_text()

    def close(self) -> None:
        """End the shell, and leave the registry as it was for other tests."""
        registry = default_registry()
        for name in registry:
            if name not in self.registered:
                registry.remove(name)
        for spec in self.registered.values():
            registry.register(spec)
        atexit.unregister(self.shell.atexit_operations)
        self.shell.atexit_operations()


def in_fresh_process(code: str, folder: Path) -> str:
    """Execute code in a process that begins in a folder, and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
