"""Whether code can write to the tensors that it is given only through torch, which counts each write.

Code that calls anything but Python and torch may write to a tensor's memory behind torch's back: through numpy, a
custom operation, an object that it was given. Such code may also keep a tensor and write to it later.
"""

from __future__ import annotations

import builtins
import dis
import math
import types
from collections.abc import Iterator
from typing import Any

import torch

from comfy_nb.spec.digest import PLAIN, Digest, is_of
from comfy_nb.spec.locality import is_local_file
from comfy_nb.spec.names import names_in
from comfy_nb.spec.node_spec import NodeSpec

# What hands out a tensor's memory, writes to a tensor without counting it, or leads to code that is not torch's own.
_WAYS_ROUND = frozenset(
    {"Buffer", "apply_", "autograd", "compile", "cpp_extension", "data", "data_ptr", "distributed", "export"}
    | {"from_dlpack", "from_file", "frombuffer", "functional_call", "hub", "instance_norm", "jit", "library", "load"}
    | {"load_state_dict", "map2_", "map_", "multiprocessing", "numpy", "ops", "overrides", "package"}
    | {"register_buffer", "register_hook", "set_", "share_memory_", "storage", "to_dlpack", "typed_storage"}
    | {"untyped_storage", "utils"}
)
# Running means are written to without a count, and so are the values that a sparse tensor is made of; "unsafe" views of
# a tensor have counts of their own.
_PARTS_OF_WAYS = ("batch_norm", "moving_avg", "sparse_", "unsafe_")
_KEEPS = frozenset({"STORE_ATTR", "STORE_GLOBAL", "STORE_NAME", "DELETE_ATTR", "IMPORT_NAME", "IMPORT_STAR"})
_EXCEPTIONS = {name for name, each in vars(builtins).items() if isinstance(each, type) and issubclass(each, Exception)}
_BUILTINS = _EXCEPTIONS | frozenset(
    {"abs", "all", "any", "bool", "complex", "dict", "divmod", "enumerate", "float", "frozenset", "int", "isinstance"}
    | {"len", "list", "map", "max", "min", "pow", "print", "range", "repr", "reversed", "round", "set", "slice"}
    | {"sorted", "str", "sum", "tuple", "zip"}
)
_UNCHANGEABLE = PLAIN | {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}
MOST_KNOWN = 4096
_known: dict[bytes, bool] = {}


def writes_by_torch_only(spec: NodeSpec, code: Digest) -> bool:
    """Tell of a function of a notebook whether it, and all its code reaches, writes to tensors by torch alone.

    Then a write shows in the tensor's version counter, and none comes after the function has returned, as it keeps
    nothing. That holds as long as all it is given are tensors and plain values. False where this cannot be told. `code`
    is the digest of all that the function reads.
    """
    known = _known.get(code.value)
    if known is None:
        is_readable = spec.is_own and code.reusable and type(spec.origin) is types.FunctionType
        known = _known[code.value] = is_readable and _is_harmless(spec.origin, set())
        if len(_known) > MOST_KNOWN:
            del _known[next(iter(_known))]
    return known


def _is_harmless(value: Any, seen: set[int]) -> bool:
    """Whether code that reads this value can do nothing with it but compute."""
    if is_of(value, _UNCHANGEABLE) or id(value) in seen:
        return True
    seen.add(id(value))
    if type(value) in (tuple, frozenset):
        return all(_is_harmless(item, seen) for item in value)
    if issubclass(type(value), types.ModuleType):
        name = vars(value).get("__name__")
        return value is math or (type(name) is str and _is_of_torch(name))
    if type(value) is types.FunctionType:
        return _is_harmless_code(value, seen) if is_local_file(value.__code__.co_filename) else _is_torchs(value)
    return issubclass(type(value), (type, types.BuiltinFunctionType)) and _is_torchs(value)


def _is_of_torch(name: str) -> bool:
    first, *parts = name.split(".")
    return first == "torch" and not any(_leads_away(part) for part in parts)


def _is_torchs(value: Any) -> bool:
    """Whether a function or class is torch's, and not one of the ways round it."""
    try:
        return _is_of_torch(f"{value.__module__}.{value.__qualname__}")
    except KeyboardInterrupt:
        raise
    except BaseException:  # a class of somebody else's metaclass may refuse in any way
        return False


def _leads_away(name: str) -> bool:
    return name in _WAYS_ROUND or name.startswith("_") or any(part in name for part in _PARTS_OF_WAYS)


def _is_harmless_code(function: types.FunctionType, seen: set[int]) -> bool:
    code, scope = function.__code__, function.__globals__
    held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    try:
        held += [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:  # not set yet
        return False
    variables: set[str] = set()
    for piece in _pieces(code):
        names = names_in(piece)
        if _keeps_something(piece, code.co_freevars) or any(map(_leads_away, {*names.all} - {*names.variables})):
            return False
        variables.update(names.variables)
    held += [scope[name] for name in variables if name in scope]
    return variables - scope.keys() <= _BUILTINS and all(_is_harmless(value, seen) for value in held)


def _pieces(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code object and those of the functions defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _pieces(constant)


def _keeps_something(code: types.CodeType, outside: tuple[str, ...]) -> bool:
    """Whether code sets what outlives its call: an attribute, a global, or a variable of the function around it."""
    steps = dis.get_instructions(code)
    return any(step.opname in _KEEPS or (step.opname == "STORE_DEREF" and step.argval in outside) for step in steps)
