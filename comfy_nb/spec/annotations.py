"""What the annotations of a node function mean: its socket types, choices and widget options."""

from __future__ import annotations

import builtins
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import torch

from comfy_nb.errors import SpecError
from comfy_nb.spec.hints import HINTS
from comfy_nb.spec.matching import socket_name
from comfy_nb.spec.sockets import ANY, socket_of_annotation


class Parsed(typing.NamedTuple):
    """An annotation taken apart: its socket type (a str, or a list of choices), widget options and traits."""

    type: str | list[Any]
    options: dict[str, Any]
    is_list: bool = False
    enum: builtins.type[enum.Enum] | None = None
    is_picture: bool = False
    may_be_none: bool = False


def parse_annotation(annotation: Any, where: str) -> Parsed:
    """Turn an annotation into a socket type.

    `list[T]` is T with `is_list`; `T | None` is T; `Literal` and `Enum` are choices; an unknown class is a socket type
    of its own name. Raises SpecError, naming `where`, for an annotation that has no meaning as a socket.
    """
    options: dict[str, Any] = {}
    if get_origin(annotation) is Annotated:
        annotation, *hints = get_args(annotation)
        for hint in hints:
            options.update(_hint_options(hint, where))
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        members = get_args(annotation)
        inner = _parse_union([arg for arg in members if arg is not type(None)], where)
        return inner._replace(options={**inner.options, **options}, may_be_none=type(None) in members)
    if origin in (list, Sequence) and get_args(annotation):
        inner = parse_annotation(get_args(annotation)[0], where)
        return inner._replace(options={**inner.options, **options}, is_list=True)
    if origin is Literal:
        return Parsed(list(get_args(annotation)), options)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Parsed([member.name for member in annotation], options, enum=annotation)
    return Parsed(_socket_of(annotation, where), options, is_picture=_is_pil_image(annotation))


def _hint_options(hint: Any, where: str) -> Mapping[str, Any]:
    if isinstance(hint, Mapping):
        return hint
    make = getattr(hint, "options", None)
    if make is None or isinstance(hint, type):
        raise SpecError(
            f"{where}: {hint!r} is not a widget hint. Use nb.Range(), nb.Multiline(), nb.Tooltip() or a dict."
        )
    return typing.cast("Mapping[str, Any]", make())


def _parse_union(members: list[Any], where: str) -> Parsed:
    if len(members) == 1:
        return parse_annotation(members[0], where)
    names = [socket_name(parse_annotation(member, where).type) for member in members]
    return Parsed(ANY if ANY in names else ",".join(dict.fromkeys(names)), {})


def _socket_of(annotation: Any, where: str) -> str:
    if isinstance(annotation, str):
        return annotation
    known = socket_of_annotation(annotation)
    if known is not None:
        return known
    origin = get_origin(annotation) or annotation
    if isinstance(annotation, HINTS) or any(annotation is hint for hint in HINTS):
        raise SpecError(
            f"{where}: {annotation!r} is a hint, not a type. Write it after one: Annotated[str, nb.Multiline()]."
        )
    if origin is dict or origin is Mapping or origin is list or origin is tuple:
        return ANY
    if isinstance(origin, type):
        return "IMAGE" if _is_pil_image(origin) else origin.__name__
    if isinstance(annotation, types.FunctionType):
        name = annotation.__name__
        raise SpecError(f"{where}: {name} is a function, not a type. Is it nb.{name.capitalize()} that is meant?")
    if isinstance(annotation, typing.TypeVar) or callable(annotation):
        return ANY
    raise SpecError(f"{where}: {annotation!r} cannot be read as a socket type. Use a class, Literal, Enum or Any.")


def _is_pil_image(annotation: Any) -> bool:
    return getattr(annotation, "__name__", "") == "Image" and getattr(annotation, "__module__", "") == "PIL.Image"


def to_picture(value: Any, where: str) -> Any:
    """Turn an IMAGE of one picture, [1, H, W, C] or [H, W, C] in 0..1, into a PIL image; others stay as they are."""
    if not isinstance(value, torch.Tensor):
        return value
    from PIL import Image as Pictures

    single = value[0] if value.ndim == 4 and value.shape[0] == 1 else value
    if single.ndim != 3:
        raise ValueError(f"{where} takes one picture, got a batch of shape {tuple(value.shape)}. Split it first.")
    pixels = (single.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Pictures.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
