"""Whether a constant fits its input: of the declared type, within the bounds, one of the choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from comfy_nb.errors import LayoutError
from comfy_nb.graph.link import unwrap_constant
from comfy_nb.spec.coerce import coerce, has_layout
from comfy_nb.spec.node_spec import PLAIN_SOCKETS, InputSpec
from comfy_nb.wording import class_name, error_message, printable, repeats_much, short, suggest

EXPECTED = {"INT": "a whole number", "FLOAT": "a number", "STRING": "text", "BOOLEAN": "true or false"}
SCALARS = (int, float, str, type(None))
LONGEST_COMBO = 20
ELSEWHERE = ("remote", "remote_combo")


class Misfit(ValueError):
    """A constant that does not fit its input.

    Its text is for people; `type`, `message`, `details` and `extra` are what ComfyUI reports, and `advice` says what
    to do. `value` is what is left of the constant.
    """

    def __init__(
        self,
        text: str,
        type: str,
        message: str,
        details: str,
        advice: str,
        extra: Mapping[str, Any],
        value: Any = None,
    ) -> None:
        super().__init__(text)
        self.type = type
        self.message = message
        self.details = details
        self.advice = advice
        self.extra = extra
        self.value = value


def check_constant(entry: InputSpec, value: Any, has_limits: bool = True) -> Any:
    """Return a constant as its node gets it: converted as ComfyUI does, "7" to 7 for an INT. Raises Misfit.

    Without `has_limits` bounds and choices are not checked.
    """
    if type(value) is dict:
        value = unwrap_constant(value)
    if entry.is_list and issubclass(type(value), (list, tuple)):
        return [check_constant(entry, item, has_limits) for item in value]
    value = entry.name_of(value)
    kind = entry.type
    if type(kind) is str:
        convert = PLAIN_SOCKETS.get(kind)
        if convert is not None:
            if type(value) is not convert:
                value = _convert(entry, value, convert)
        elif not issubclass(type(value), SCALARS) and has_layout(kind):
            return _lay_out(entry, value)
    if has_limits and (entry.options or type(kind) is not str or kind == "COMBO"):
        _check_limits(entry, value)
    return value


def check_exactly(entry: InputSpec, value: Any, has_limits: bool = True) -> Any:
    """Return a constant as a person may set it: a number, text or truth value has to be one. Raises Misfit.

    Whole numbers may be written as floats and the other way round; no layout is checked.
    """
    if entry.is_list and issubclass(type(value), (list, tuple)):
        return [check_exactly(entry, item, has_limits) for item in value]
    value = entry.name_of(value)
    kind = entry.socket
    if kind in EXPECTED:
        if not _is_exactly(value, kind):
            raise _wrong_type(entry, value, "")
        value = _convert(entry, value, PLAIN_SOCKETS[kind])
    if has_limits:
        _check_limits(entry, value)
    return value


def _is_exactly(value: Any, kind: str) -> bool:
    if kind in ("BOOLEAN", "STRING"):
        return issubclass(type(value), PLAIN_SOCKETS[kind])
    if issubclass(type(value), bool) or not issubclass(type(value), Real) or value != value:
        return False
    return kind == "FLOAT" or issubclass(type(value), Integral) or float(value).is_integer()


def _convert(entry: InputSpec, value: Any, convert: Callable[[Any], Any]) -> Any:
    if repeats_much(value):
        raise _wrong_type(entry, value, "it holds one thing in many places")
    try:
        return convert(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a live object's conversion raises is the caller's wrong type
        raise _wrong_type(entry, value, error_message(error)) from error


def _wrong_type(entry: InputSpec, value: Any, reason: str) -> Misfit:
    return Misfit(
        f"expected {EXPECTED[entry.socket]} ({entry.socket}), got {short(value)}.",
        "invalid_input_type",
        f"Failed to convert an input value to a {entry.type} value",
        f"{entry.name}, {_in_words(value)}, {reason}",
        f"Expected {entry.type}, got {class_name(value)}.",
        {"input_config": config_of(entry), "received_value": value, "exception_message": reason},
        value,
    )


def _in_words(value: Any) -> str:
    try:
        return f"{printable(value)!s:.80}"
    except ValueError:  # a number of more digits than Python writes
        return short(value, 80)


def _lay_out(entry: InputSpec, value: Any) -> Any:
    try:
        return coerce(value, entry.socket)
    except LayoutError as error:
        raise Misfit(
            str(error),
            "invalid_layout",
            f"The value does not have the layout of {entry.socket}",
            entry.name,
            str(error),
            {"input_config": config_of(entry), "exception_message": str(error)},
            value,
        ) from error


def _check_limits(entry: InputSpec, value: Any) -> None:
    options = entry.options
    for bound, is_wrong, type_, words in _BOUNDS:
        limit = options.get(bound)
        if limit is not None and _compare(is_wrong, value, limit):
            between = f"between {options.get('min', 'any number')} and {options.get('max', 'any number')}."
            raise Misfit(
                f"{short(value, 60)} is out of range; it must lie {between}",
                type_,
                f"Value {short(value, 60)} {words} {limit}",
                entry.name,
                f"It must lie {between}",
                {"input_config": config_of(entry), "received_value": value},
                value,
            )
    choices = _choices(entry)
    if choices is None:
        return
    is_several = bool(options.get("multiselect")) and issubclass(type(value), (list, tuple))
    wrong = [item for item in (value if is_several else [value]) if not _among(item, choices)]
    if wrong:
        raise _not_a_choice(entry, value, wrong, choices)


def _choices(entry: InputSpec) -> Sequence[Any] | None:
    """Return what a value must be among; None for an input that is no combo, or one whose choices a server has."""
    if entry.type == "COMBO" and entry.choices is None:
        return None if any(name in entry.options for name in ELSEWHERE) else []
    return entry.choices


def _not_a_choice(entry: InputSpec, value: Any, wrong: Sequence[Any], choices: Sequence[Any]) -> Misfit:
    listed = str(choices) if len(choices) <= LONGEST_COMBO else f"(list of length {len(choices)})"
    are_not = "is not one of the choices" if len(wrong) == 1 else "are not among the choices"
    advice = suggest(wrong[0] if type(wrong[0]) is str else short(wrong[0]), map(str, choices))
    return Misfit(
        f"{', '.join(map(short, wrong))} {are_not}. {advice}",
        "value_not_in_list",
        "Value not in list",
        f"{entry.name}: {', '.join(short(item, 80) for item in wrong)} not in {listed}",
        advice,
        {"input_config": config_of(entry), "received_value": value},
        value,
    )


_BOUNDS: Sequence[tuple[str, Callable[[Any, Any], bool], str, str]] = (
    ("min", lambda value, limit: bool(value < limit), "value_smaller_than_min", "smaller than min of"),
    ("max", lambda value, limit: bool(value > limit), "value_bigger_than_max", "bigger than max of"),
)


def _compare(is_wrong: Callable[[Any, Any], bool], value: Any, limit: Any) -> bool:
    try:
        return is_wrong(value, limit)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a live object may refuse comparison in any way; then it has no bounds to keep
        return False


def _among(value: Any, choices: Sequence[Any]) -> bool:
    try:
        return value in choices
    except KeyboardInterrupt:
        raise
    except BaseException:  # tensors and arrays refuse `==` as a truth value in several ways
        return False


def config_of(entry: InputSpec) -> list[Any] | None:
    """Return `[type, options]` as ComfyUI reports it; None for a combo of more than 20 choices."""
    if not isinstance(entry.type, str) and len(entry.type) > LONGEST_COMBO:
        return None
    return [entry.type, dict(entry.options)]
