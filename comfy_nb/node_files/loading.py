"""Nodes of a file or module, as `--nodes` names them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from comfy_nb.errors import ComfyNBError
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.namespace import register
from comfy_nb.wording import describe_error


def load_nodes(source: str) -> None:
    """Execute a file or folder of Python, or import a module, so that its nodes are registered.

    A file is executed again each time, as its text is then. What it imports may lie beside it. Function nodes register
    themselves; the classes in `NODE_CLASS_MAPPINGS` are registered as ComfyUI does. Raises ComfyNBError.
    """
    path = Path(os.path.expanduser(source))
    try:
        module = _execute(path) if path.exists() else _import(source)
    except ComfyNBError:
        raise
    except (Exception, SystemExit) as error:  # the code of a file may raise anything
        if isinstance(error, SyntaxError):
            where = ""
        else:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}, line {place.lineno}: "
        raise ComfyNBError(f"The nodes of {source} cannot be loaded: {where}{describe_error(error)}") from error
    classes, titles = map(vars(module).get, ("NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"))
    if isinstance(classes, Mapping):
        known = default_registry()
        new = {name: cls for name, cls in classes.items() if name not in known or known[name].origin is not cls}
        register(new, titles if isinstance(titles, Mapping) else None)


def _execute(path: Path) -> ModuleType:
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise ComfyNBError(f"There are no nodes in {path}: it is a folder without an __init__.py.")
    if file.suffix != ".py":
        raise ComfyNBError(f"Nodes are read from a Python file, not from {path}.")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = _name_for(path.stem, file)
    folders = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:  # not by the loader, which takes what it compiled a moment ago for the file of the same size
        exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), vars(module))
    except BaseException:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def _name_for(stem: str, file: Path) -> str:
    """Return the name of a file's module: its own, unless another module has that."""
    there = sys.modules.get(stem)
    known = getattr(there, "__file__", None)
    is_free = there is None or (isinstance(known, str) and Path(known).resolve() == file.resolve())
    return stem if is_free else f"nodes_of_{stem}"


def _import(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
    except (TypeError, ValueError):  # it is no name of a module, such as "./nodes"
        pass
    raise ComfyNBError(f"There are no nodes at {name!r}: it is neither a file nor a module that can be imported.")
