"""What methods, properties and wrappers are made of; functions and classes themselves are read in `spec.code`."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from comfy_nb.spec.attributes import as_told_by
from comfy_nb.spec.locality import is_local
from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads, reads_named


def _method(value: types.MethodType) -> tuple[Any, ...]:
    return (value.__func__, value.__self__)


def _built_in(value: types.BuiltinFunctionType) -> tuple[Any, ...]:
    owner: Any = value.__self__
    # A function of a compiled module that pybind11 made is bound to what tells it how to call itself.
    is_of_module = type(owner).__name__.startswith("pybind11_detail_function_record")
    return (value.__module__, value.__qualname__, None if is_of_module and not is_local(value.__module__) else owner)


def _wrapper(value: Any) -> tuple[Any, ...]:
    return (value.__func__,)


def _property(value: property) -> tuple[Any, ...]:
    return (*[as_told_by(property, name, value) for name in ("fget", "fset", "fdel")], value.__doc__)


def _cached_property(value: functools.cached_property[Any]) -> tuple[Any, ...]:
    return (value.func,)


def _partial(value: functools.partial[Any]) -> tuple[Any, ...]:
    return tuple([as_told_by(functools.partial, name, value) for name in ("func", "args", "keywords")])


def _cached_function(value: Any) -> tuple[Any, ...]:
    return (value.__wrapped__, value.cache_parameters())


def _descriptor(value: Any) -> tuple[Any, ...]:
    return (value.__objclass__, value.__name__)


def _bound_descriptor(value: Any) -> tuple[Any, ...]:
    return (value.__self__, value.__name__)


PARTS_OF_CALLABLES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    types.MethodType: _method,
    types.BuiltinFunctionType: _built_in,
    staticmethod: _wrapper,
    classmethod: _wrapper,
    property: _property,
    functools.cached_property: _cached_property,
    functools.partial: _partial,
    type(functools.lru_cache(lambda: None)): _cached_function,
    types.MethodDescriptorType: _descriptor,
    types.ClassMethodDescriptorType: _descriptor,
    types.WrapperDescriptorType: _descriptor,
    types.GetSetDescriptorType: _descriptor,
    types.MemberDescriptorType: _descriptor,
    types.MethodWrapperType: _bound_descriptor,
}

for _kind, _reader in PARTS_OF_CALLABLES.items():
    reads(_kind)(_reader)


@reads_named("torch", "OpOverload", "OpOverloadPacket")
def _(value: Any) -> Parts:
    return Whole((str(value),))


@reads_named("torch", "OptimizedModule", "_TorchDynamoContext")
def _(_value: Any) -> Parts:
    raise Unreadable("a compiled function or module (torch.compile)")
