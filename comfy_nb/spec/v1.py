"""Specs from ComfyUI's V1 classes: `INPUT_TYPES`, `RETURN_TYPES`, `FUNCTION` and related attributes."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfy_nb.errors import SpecError
from comfy_nb.spec.code import code_digest
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.locality import module_of
from comfy_nb.spec.node_spec import InputSpec, Interface, NodeSpec, read_input
from comfy_nb.spec.source import source_digest
from comfy_nb.wording import describe_error

SECTIONS = ("required", "optional")


def spec_from_v1(cls: type, class_type: str | None = None, display_name: str = "") -> NodeSpec:
    """Make the spec of a V1 class.

    The class is read again whenever ComfyUI does so: `INPUT_TYPES` may return something else once a file has appeared.
    Raises SpecError if `INPUT_TYPES`, `FUNCTION` or the method that it names is missing.
    """
    name = class_type or cls.__name__
    function_name = _check(cls, name)
    method = inspect.getattr_static(cls, function_name)
    return_types = _sequence(cls, "RETURN_TYPES")
    return NodeSpec(
        class_type=name,
        interface=functools.partial(read_interface, cls, name),
        function=functools.partial(_bound, function_name),
        return_types=return_types,
        return_names=_sequence(cls, "RETURN_NAMES"),
        code=functools.partial(_code_of, cls),
        display_name=display_name or name,
        category=str(getattr(cls, "CATEGORY", "")),
        description=inspect.cleandoc(str(getattr(cls, "DESCRIPTION", "") or cls.__doc__ or "")),
        make_object=cls,
        is_async=inspect.iscoroutinefunction(getattr(method, "__func__", method)),
        is_output=bool(getattr(cls, "OUTPUT_NODE", False)),
        has_intermediate_output=bool(getattr(cls, "HAS_INTERMEDIATE_OUTPUT", False)),
        input_is_list=bool(getattr(cls, "INPUT_IS_LIST", False)),
        output_is_list=tuple(bool(each) for each in _sequence(cls, "OUTPUT_IS_LIST")),
        not_idempotent=bool(getattr(cls, "NOT_IDEMPOTENT", False)),
        fingerprint=getattr(cls, "IS_CHANGED", None),
        validate=getattr(cls, "VALIDATE_INPUTS", None),
        check_lazy=functools.partial(_bound, "check_lazy_status") if hasattr(cls, "check_lazy_status") else None,
        still_there=getattr(cls, "STILL_THERE", None),
        thread_safe=bool(getattr(cls, "THREAD_SAFE", False)),
        deprecated=bool(getattr(cls, "DEPRECATED", False)),
        experimental=bool(getattr(cls, "EXPERIMENTAL", False)),
        is_own=cls.__module__ == "__main__",
        origin=cls,
    )


def is_v1(cls: object) -> bool:
    """Return whether an object is a class written to ComfyUI's V1 contract."""
    return isinstance(cls, type) and hasattr(cls, "INPUT_TYPES") and hasattr(cls, "FUNCTION")


def read_interface(cls: Any, class_type: str) -> Interface:
    """Read the inputs that a V1 class declares now; raises SpecError if they cannot be read."""
    try:
        raw = cls.INPUT_TYPES()
    except Exception as error:  # whatever a class's own code raises
        is_unbound = inspect.isfunction(inspect.getattr_static(cls, "INPUT_TYPES", None)) and _takes_arguments(cls)
        advice = " Write @classmethod above it." if is_unbound else ""
        raise SpecError(f"{class_type}.INPUT_TYPES() failed: {describe_error(error)}.{advice}") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{class_type}.INPUT_TYPES() must return a dict, not {type(raw).__name__}.")
    declared: dict[str, InputSpec] = {}
    for section in SECTIONS:
        entries = raw.get(section) or {}
        if not isinstance(entries, Mapping):
            raise SpecError(f"{class_type}: its {section} inputs are declared as {entries!r}; expected a dict by name.")
        for name, entry in entries.items():
            try:
                declared[name] = read_input(name, entry, required=section == "required")
                iter(declared[name].type)  # a name or choices; anything else is a TypeError
            except (TypeError, IndexError, KeyError) as error:
                raise SpecError(
                    f"{class_type}: the input {name!r} is declared as {entry!r}; expected (type,) or (type, options)."
                ) from error
            _refuse_nested(class_type, name, declared[name])
    return Interface(declared, _read_hidden(raw.get("hidden")), raw)


def _takes_arguments(cls: Any) -> bool:
    return bool(inspect.signature(cls.INPUT_TYPES).parameters)


def _refuse_nested(class_type: str, name: str, entry: InputSpec) -> None:
    """Refuse `(("STRING", {...}), {...})`, whose type and options would be taken for two choices."""
    kind = entry.type
    if isinstance(kind, tuple) and len(kind) == 2 and isinstance(kind[0], str) and isinstance(kind[1], Mapping):
        options = {**kind[1], **entry.options}
        raise SpecError(
            f"{class_type}: the input {name!r} is declared as ({kind!r}, {dict(entry.options)!r}), "
            f"a list of two choices. Put the type and all its options side by side: ({kind[0]!r}, {options!r})."
        )


def _read_hidden(hidden: Any) -> Mapping[str, Any]:
    if not hidden:
        return {}
    if isinstance(hidden, Mapping):
        return {name: kind[0] if isinstance(kind, (tuple, list)) and kind else kind for name, kind in hidden.items()}
    return {str(name): str(name).upper() for name in hidden}


def _check(cls: type, name: str) -> str:
    if not callable(getattr(cls, "INPUT_TYPES", None)):
        raise SpecError(f"{name} is not a ComfyUI node class: it has no INPUT_TYPES(). For a function, use @nb.node.")
    function_name = getattr(cls, "FUNCTION", None)
    if not isinstance(function_name, str):
        raise SpecError(f"{name}.FUNCTION must name the method that does the work, not {function_name!r}.")
    if not callable(getattr(cls, function_name, None)):
        raise SpecError(f"{name}.FUNCTION is {function_name!r}, but the class has no such method.")
    return function_name


def _bound(name: str, node: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(node, name)
    return function


def _sequence(cls: type, attribute: str) -> Sequence[Any]:
    value = getattr(cls, attribute, None)
    if isinstance(value, tuple):
        return value  # a tuple subclass may accept any index, so it is not copied
    if isinstance(value, str):
        return (value,)
    try:
        return tuple(value or ())
    except TypeError:
        raise SpecError(f"{cls.__name__}.{attribute} must be a tuple, not {value!r}.") from None


def _code_of(cls: type) -> Digest:
    """Digest a class: in a notebook with all that it reads now, in a file as ComfyUI does, by its source alone."""
    module = module_of(cls)
    is_in_file = module != "__main__" and module in sys.modules
    return source_digest(cls) if is_in_file else code_digest(cls)
