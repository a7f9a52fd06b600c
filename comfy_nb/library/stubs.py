"""Writes `comfy_nb/builtin_nodes.pyi`, from which an editor completes the built-in nodes without running anything.

python -m comfy_nb.library.stubs
"""

from __future__ import annotations

import inspect
from pathlib import Path

from comfy_nb.graph.documentation import describe, signature_of
from comfy_nb.library import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from comfy_nb.spec.node_spec import InputSpec, NodeSpec
from comfy_nb.spec.v1 import spec_from_v1

STUB = Path(__file__).parents[1] / "builtin_nodes.pyi"
PYTHON_TYPES = {"INT": "int", "FLOAT": "float", "STRING": "str", "BOOLEAN": "bool"}

HEAD = '''\
"""The built-in nodes, for type checkers and editors. Written by comfy_nb.library.stubs; do not edit."""

# ruff: noqa: E501
# fmt: off
from typing import Any

from comfy_nb.graph.handle import Handle
from comfy_nb.graph.namespace import Nodes

class BuiltinNodes(Nodes):
'''


def stub() -> str:
    """Return the text of the stub: a class with a method for each built-in node."""
    specs = [
        spec_from_v1(cls, name, NODE_DISPLAY_NAME_MAPPINGS.get(name, "")) for name, cls in NODE_CLASS_MAPPINGS.items()
    ]
    methods = [_method(spec) for spec in sorted(specs, key=lambda spec: spec.class_type)]
    return HEAD + "\n".join(methods) + "\nnodes: BuiltinNodes\n"


def _method(spec: NodeSpec) -> str:
    declared = spec.interface().declared
    parameters = ["self"]
    keyword_only = False
    for parameter in signature_of(spec).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            parameters.append("*")
            keyword_only = True
        parameters.append(_parameter(declared[parameter.name], parameter))
    # The choices may be files of this machine, so they are left out.
    lines = [line for line in describe(spec).splitlines() if ": one of " not in line]
    text = "\n".join(f"        {line}".rstrip() for line in lines).strip()
    return f'    def {spec.class_type}({", ".join(parameters)}) -> Handle:\n        """{text}\n        """\n'


def _parameter(entry: InputSpec, parameter: inspect.Parameter) -> str:
    kind = "str" if entry.socket == "COMBO" else PYTHON_TYPES.get(entry.socket)
    annotation = "Any" if kind is None else f"{kind} | Handle"
    if parameter.default is parameter.empty:
        return f"{entry.name}: {annotation}"
    shown = "..." if entry.choices is not None or parameter.default is None else repr(parameter.default)
    return f"{entry.name}: {annotation} = {shown}"


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
