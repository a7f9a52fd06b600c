"""Node specs from plain typed functions."""

from __future__ import annotations

import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args, get_origin

import torch

from comfy_nb.errors import SpecError
from comfy_nb.spec.annotations import Parsed, parse_annotation, to_picture
from comfy_nb.spec.attributes import items_of
from comfy_nb.spec.code import code_digest
from comfy_nb.spec.coerce import coerce
from comfy_nb.spec.digest import is_of
from comfy_nb.spec.node_spec import CacheMode, InputSpec, Interface, NodeSpec
from comfy_nb.spec.resource import check_needs, read_needs
from comfy_nb.spec.sockets import SOCKETS
from comfy_nb.spec.type_hints import hints_of, names_around
from comfy_nb.spec.uses import Uses, needs_of
from comfy_nb.wording import class_name, suggest

INJECTED: dict[str, str] = {"Progress": "PROGRESS"}
RESOURCE = "RESOURCE"


def spec_from_function(
    function: Callable[..., Any],
    *,
    class_type: str | None = None,
    title: str = "",
    category: str = "notebook",
    output: bool = False,
    lazy: Collection[str] | Mapping[str, Callable[..., bool]] = (),
    fingerprint: Callable[..., Any] | None = None,
    validate: Callable[..., Any] | None = None,
    thread_safe: bool = False,
    grad: bool = False,
    timeout: float | None = None,
    retries: int = 0,
    backoff: float = 1.0,
    cache: CacheMode = "on",
    uses: Uses = (),
    priority: int = 0,
    list_output: bool | Collection[str] = False,
) -> NodeSpec:
    """Make the spec of a function from its signature.

    Annotations set socket types (see `annotations.parse_annotation`), and defaults make inputs optional. A parameter of
    type `list[T]` takes whole lists; one of type `nb.Progress` gets the progress of its call, one annotated with an
    `nb.resource` gets that. A return annotation of `tuple[...]` or a NamedTuple names several outputs; without one,
    there is a single output of any type.

    `lazy` names inputs that are computed only if needed: a collection (the function gets None for those that are not),
    or a mapping from each name to a predicate over the other inputs. `timeout` is in seconds, for async functions only.
    After an exception the function is called up to `retries` more times, first after `backoff` seconds, then each time
    after twice as long. With `grad`, torch records gradients while it runs, so that it can call `backward()`; a tensor
    that it returns may then hold its graph. `uses` names the pools of which each call needs places, and of ready nodes
    those of higher `priority` are called first. Raises SpecError for a function that cannot be a node.
    """
    if not inspect.isfunction(function) and not inspect.ismethod(function):
        raise SpecError(f"A node is made from a function (def or async def), not from {function!r}.")
    lazy = (lazy,) if isinstance(lazy, str) else lazy
    list_output = (list_output,) if isinstance(list_output, str) else list_output
    name = class_type or function.__name__
    around = names_around(function)
    hints = hints_of(function, name, around)
    parameters = inspect.signature(function).parameters
    _refuse_method(function, name, list(parameters))
    resources = read_needs(name, parameters, hints)
    inputs, hidden = _read_parameters(name, parameters, hints, resources)
    outputs = _read_outputs(name, hints.get("return", Any), list_output, around)
    is_async = inspect.iscoroutinefunction(function)
    check_needs(name, is_async, resources)
    _check_options(name, function, is_async, timeout, retries, backoff, cache, priority)
    _check_names(name, "lazy", lazy, inputs, "inputs")
    if not isinstance(list_output, bool):
        _check_names(name, "list_output", list_output, outputs.names, "outputs")
    declared = {
        parameter: _input_spec(parameter, parsed, parameters[parameter], parameter in lazy)
        for parameter, parsed in inputs.items()
    }
    interface = Interface(declared, hidden)
    takes_lists = any(parsed.is_list for parsed in inputs.values())
    call = _adapt(function, name, inputs, takes_lists)
    return NodeSpec(
        class_type=name,
        interface=lambda: interface,
        function=lambda _node: call,
        return_types=tuple(outputs.types),
        return_names=tuple(outputs.names),
        code=functools.partial(code_digest, function, *_reading(inputs, outputs, lazy, grad)),
        display_name=title or name,
        category=category,
        description=inspect.getdoc(function) or "",
        is_async=is_async,
        is_output=output,
        input_is_list=takes_lists,
        output_is_list=outputs.lists if any(outputs.lists) else (),
        fingerprint=_by_name(fingerprint) if fingerprint else None,
        validate=validate,
        check_lazy=_lazy_check(lazy) if isinstance(lazy, Mapping) else None,
        pack=_packer(outputs),
        thread_safe=thread_safe,
        grad=grad,
        timeout=timeout,
        retries=retries,
        backoff=backoff,
        cache=cache,
        uses=needs_of(uses, name),
        resources=resources,
        priority=priority,
        undeclared_inputs=False,
        is_own=True,
        origin=function,
    )


def _reading(
    inputs: Mapping[str, Parsed],
    outputs: _Outputs,
    lazy: Collection[str] | Mapping[str, Callable[..., bool]],
    grad: bool,
) -> list[Any]:
    """Return what the results depend on besides the function: how its signature is read, and the lazy predicates."""
    adapted = [(name, parsed.is_list, parsed.is_picture) for name, parsed in inputs.items()]
    enums = [parsed.enum for parsed in inputs.values() if parsed.enum is not None]
    predicates = list(lazy.values()) if isinstance(lazy, Mapping) else []
    return [repr((adapted, tuple(outputs), grad)), *enums, *predicates]


def _read_parameters(
    name: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any], resources: Collection[str]
) -> tuple[dict[str, Parsed], dict[str, str]]:
    inputs: dict[str, Parsed] = {}
    hidden: dict[str, str] = {}
    for parameter in parameters.values():
        where = f"{name}({parameter.name})"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise SpecError(
                f"{where}: a node's inputs are named: *args, **kwargs and positional-only parameters are not possible."
            )
        hint = hints.get(parameter.name, Any)
        injected = RESOURCE if parameter.name in resources else INJECTED.get(getattr(hint, "__name__", ""))
        if injected:
            hidden[parameter.name] = injected
        else:
            inputs[parameter.name] = parse_annotation(hint, where)
    return inputs, hidden


def _input_spec(name: str, parsed: Parsed, parameter: inspect.Parameter, lazy: bool) -> InputSpec:
    options = dict(parsed.options)
    has_default = parameter.default is not inspect.Parameter.empty
    if has_default:
        default = parameter.default
        options["default"] = default.name if parsed.enum and isinstance(default, parsed.enum) else default
    if lazy:
        options["lazy"] = True
    return InputSpec(name, parsed.type, options, required=not has_default, is_list=parsed.is_list)


class _Outputs(typing.NamedTuple):
    names: tuple[str, ...]
    types: tuple[Any, ...]
    lists: tuple[bool, ...]
    several: bool
    may_be_none: bool = False


def _read_outputs(name: str, annotation: Any, list_output: bool | Collection[str], around: dict[str, Any]) -> _Outputs:
    if annotation is None or annotation is type(None):
        return _Outputs((), (), (), several=False)
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        names = tuple(annotation._fields)
        hints = hints_of(annotation, name, around)
        parsed = [parse_annotation(hints.get(each, Any), f"{name} -> {each}") for each in names]
    elif get_origin(annotation) is tuple and Ellipsis not in get_args(annotation):
        parsed = [parse_annotation(each, f"{name} -> {index}") for index, each in enumerate(get_args(annotation))]
        names = _distinct([_output_name(each) for each in parsed])
    else:
        parsed = [parse_annotation(annotation, f"{name} -> result")]
        single = _output_name(parsed[0])
        whole = bool(list_output)
        kinds = (_output_type(parsed[0], whole),)
        return _Outputs((single,), kinds, (whole,), several=False, may_be_none=kinds == ("*",) or parsed[0].may_be_none)
    lists = tuple(each in list_output if isinstance(list_output, Collection) else list_output for each in names)
    types_ = tuple(_output_type(each, whole) for each, whole in zip(parsed, lists, strict=True))
    return _Outputs(names, types_, lists, several=True)


def _output_name(parsed: Parsed) -> str:
    return (
        "result" if parsed.is_list or parsed.type == "*" else parsed.type if isinstance(parsed.type, str) else "COMBO"
    )


def _output_type(parsed: Parsed, is_list: bool) -> Any:
    return "*" if parsed.is_list and not is_list else parsed.type


def _distinct(names: list[str]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    result = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        result.append(name if names.count(name) == 1 else f"{name}_{counts[name]}")
    return tuple(result)


def _refuse_method(function: Callable[..., Any], name: str, parameters: list[str]) -> None:
    """Raise SpecError for a function in the body of a class that takes the object: no node would have one."""
    owner = function.__qualname__.rpartition("<locals>.")[2].rpartition(".")[0]
    if owner and parameters[:1] in (["self"], ["cls"]):
        raise SpecError(
            f"{name} is a method of {owner}, and a node has no `{parameters[0]}`. Write a function outside of the "
            "class that takes what it needs as inputs, or make a node of the method of one object: "
            f"nb.node(obj.{function.__name__})."
        )


def _check_options(
    name: str,
    function: Callable[..., Any],
    is_async: bool,
    timeout: float | None,
    retries: int,
    backoff: float,
    cache: str,
    priority: int,
) -> None:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise SpecError(
            f"{name} is a generator function. A node returns its result; report partial work by nb.Progress."
        )
    if timeout is not None and not is_async:
        raise SpecError(
            f"{name}: a timeout needs an async function, which can be cancelled where it awaits. A plain function may "
            "be in C code, which nothing interrupts. Limit the run: graph.run(timeout=...), or make it `async def`."
        )
    if timeout is not None and not timeout > 0:
        raise SpecError(f"{name}: timeout must be seconds above 0, not {timeout!r}.")
    if retries < 0:
        raise SpecError(f"{name}: retries must be 0 or more, not {retries!r}.")
    if not backoff >= 0:
        raise SpecError(f"{name}: backoff must be seconds, 0 or more, not {backoff!r}.")
    if cache not in get_args(CacheMode):
        raise SpecError(f'{name}: cache must be "on", "off" or "node" (bound to the node\'s id), not {cache!r}.')
    if type(priority) is not int:
        raise SpecError(f"{name}: priority must be a whole number, not {priority!r}.")


def _check_names(name: str, option: str, given: Collection[str], known: Collection[str], kind: str) -> None:
    for each in given:
        if each not in known:
            raise SpecError(f"{name}: {option} names {each!r}, which is not among its {kind}. {suggest(each, known)}")


def _adapt(
    function: Callable[..., Any], name: str, inputs: Mapping[str, Parsed], takes_lists: bool
) -> Callable[..., Any]:
    """Convert a call's inputs to what the annotations promise: enum members, PIL pictures, one value of a list."""
    convert: dict[str, Callable[[Any], Any]] = {}
    for parameter, parsed in inputs.items():
        if parsed.enum is not None:
            convert[parameter] = functools.partial(_member, parsed.enum)
        elif parsed.is_picture:
            convert[parameter] = functools.partial(to_picture, where=f"{name}({parameter})")
    if not convert and not takes_lists:
        return function
    whole = {parameter for parameter, parsed in inputs.items() if parsed.is_list}

    def call(**given: Any) -> Any:
        if takes_lists:
            given = {each: value if each in whole else _only(value, f"{name}({each})") for each, value in given.items()}
        for each, change in convert.items():
            if each in given:
                value = given[each]
                given[each] = [change(item) for item in value] if each in whole else change(value)
        return function(**given)

    return call


def _member(kind: type[enum.Enum], value: Any) -> Any:
    return kind[value] if isinstance(value, str) else value


def _only(items: list[Any], where: str) -> Any:
    if len(items) != 1:
        raise ValueError(
            f"{where} takes one value, got a list of {len(items)}. Annotate it list[...] to take them all."
        )
    return items[0]


def _by_name(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a fingerprint function with only the inputs that it names."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return function
    names = {parameter.name for parameter in parameters}

    @functools.wraps(function)
    def call(**inputs: Any) -> Any:
        return function(**{name: value for name, value in inputs.items() if name in names})

    return call


def _lazy_check(lazy: Mapping[str, Callable[..., bool]]) -> Callable[[Any], Callable[..., Any]]:
    wanted_by = {name: (predicate, set(inspect.signature(predicate).parameters)) for name, predicate in lazy.items()}

    def check(**inputs: Any) -> list[str]:
        return [
            name
            for name, (predicate, names) in wanted_by.items()
            if predicate(**{each: value for each, value in inputs.items() if each in names})
        ]

    return lambda _node: check


SPECIAL_KEYS = {"ui", "result", "expand"}
UNFINISHED = (types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)


def _pack(outputs: _Outputs, result: Any) -> Any:
    """Turn a function's result into V1's tuple; a dict with `ui` or `expand` is what V1 returns already."""
    if type(result) is dict and result and SPECIAL_KEYS.issuperset(result) and ("ui" in result or "expand" in result):
        return result
    if issubclass(type(result), UNFINISHED):
        raise TypeError(f"it returned a {class_name(result)}, not a value; collect or await it before returning.")
    count = len(outputs.types)
    if not outputs.several:
        if count == 0 and result is not None:
            raise TypeError(f"it is declared to return nothing, but returned a value of type {class_name(result)}.")
        if count == 1 and result is None and not outputs.may_be_none:
            raise TypeError(f"it is declared to return {outputs.types[0]!r}, but returned None. Is a `return` missing?")
        return (_as_output(outputs, 0, result),) if count else ()
    if not issubclass(type(result), (tuple, list)):
        raise TypeError(
            f"it must return {count} values ({', '.join(outputs.names)}), "
            f"but returned a value of type {class_name(result)}."
        )
    values = items_of(result)
    if len(values) != count:
        raise TypeError(f"it must return {count} values ({', '.join(outputs.names)}), but returned {len(values)}.")
    return tuple(_as_output(outputs, index, value) for index, value in enumerate(values))


PASSED_ON = frozenset({int, float, str, bool, bytes, torch.Tensor})


def _packer(outputs: _Outputs) -> Callable[[Any], Any]:
    if outputs.several or len(outputs.types) != 1 or outputs.lists[0]:
        return functools.partial(_pack, outputs)

    def pack(result: Any) -> Any:
        return (result,) if is_of(result, PASSED_ON) else _pack(outputs, result)

    return pack


def _as_output(outputs: _Outputs, index: int, value: Any) -> Any:
    if outputs.lists[index]:
        if not issubclass(type(value), (list, tuple)):
            raise TypeError(
                f"output {outputs.names[index]!r} must be a list of values, got a value of type {class_name(value)}."
            )
        return items_of(value)
    kind = outputs.types[index]
    if issubclass(type(value), (torch.Tensor, dict)) or not isinstance(kind, str):
        return value
    return coerce(value, kind) if kind in SOCKETS and SOCKETS[kind].is_picture else value
