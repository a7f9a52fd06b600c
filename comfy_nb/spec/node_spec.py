"""Node specs: the inputs, outputs, functions and traits of a node class, however it was written."""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Literal, NamedTuple

from comfy_nb.spec.digest import Digest
from comfy_nb.spec.matching import socket_name
from comfy_nb.spec.resource import Declared
from comfy_nb.spec.sockets import SOCKETS
from comfy_nb.spec.uses import Needs

CacheMode = Literal["on", "off", "node"]

NO_OPTIONS: Mapping[str, Any] = {}
SEEDS = ("seed", "noise_seed")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input. `type` is a socket type or a list of choices; `options` are ComfyUI's.

    With `is_list`, a constant that is a list holds items that each have that type.
    """

    name: str
    type: Any
    options: Mapping[str, Any]
    required: bool
    is_list: bool = False

    @property
    def socket(self) -> str:
        """The name of the socket type; `COMBO` for choices."""
        return socket_name(self.type)

    @property
    def choices(self) -> Sequence[Any] | None:
        """The values to choose from, or None if this is not a combo."""
        if not isinstance(self.type, str):
            return list(self.type)
        listed = self.options.get("options") if self.type == "COMBO" else None
        return list(listed) if listed is not None else None

    def name_of(self, value: Any) -> Any:
        """Return the name of an enum member if it is one of the choices; any other value as it is."""
        if issubclass(type(value), enum.Enum) and not isinstance(self.type, str) and value.name in self.type:
            return value.name
        return value

    @property
    def is_controlled_after_generate(self) -> bool:
        """Whether an editor can change the value after each run, as it does with seeds."""
        return bool(self.options.get("control_after_generate", self.socket == "INT" and self.name in SEEDS))

    @property
    def has_default(self) -> bool:
        """Whether an editor, or a call through `nb.nodes`, can fill this input by itself."""
        return "default" in self.options or bool(self.choices)

    @property
    def default(self) -> Any:
        """The value that an editor would fill in: the declared default, or the first choice."""
        if "default" in self.options:
            return self.options["default"]
        choices = self.choices
        return choices[0] if choices else None

    def to_object_info(self) -> list[Any]:
        """Return the type and options as ComfyUI writes them, without choices and options that JSON cannot hold."""
        kind = self.type if isinstance(self.type, str) else [each for each in self.type if _fits_json(each)]
        return [kind, {name: value for name, value in self.options.items() if _fits_json(value)}]


def _fits_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


class Ordinary(NamedTuple):
    """An input of which most values can be taken at first sight.

    A link from an output of the same `socket` is neither lazy nor raw. A constant of just the class `kind` (None: no
    constant) is what the node gets if it lies between `least` and `most` (None: no bound).
    """

    socket: str
    kind: type | None
    least: Any
    most: Any


PLAIN_SOCKETS: Mapping[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def _ordinary(entry: InputSpec) -> Ordinary | None:
    options = entry.options
    if type(entry.type) is not str or options.get("lazy") or options.get("rawLink"):
        return None
    least, most = options.get("min"), options.get("max")
    kind = None if entry.is_list else PLAIN_SOCKETS.get(entry.type)
    if not {type(least), type(most)} <= {int, float, type(None)} or (kind is str and (least, most) != (None, None)):
        kind = None
    return Ordinary(entry.type, kind, least, most)


class Interface:
    """The inputs of a node class as they are declared now.

    In a pack, `optional` may be a dict subclass that has every name; it is read by `in` and `[]`, never copied.
    """

    __slots__ = (
        "_open",
        "_ordinary",
        "declared",
        "hidden",
        "lazy",
        "listed",
        "raw",
        "raw_links",
        "required",
        "takes_id",
        "takes_prompt",
    )

    def __init__(
        self, declared: Mapping[str, InputSpec], hidden: Mapping[str, Any] = NO_OPTIONS, raw: Any = None
    ) -> None:
        self.declared = dict(declared)
        self.hidden = dict(hidden)
        self.raw = raw
        self.required = tuple(name for name, spec in self.declared.items() if spec.required)
        self.takes_id = "UNIQUE_ID" in self.hidden.values()
        self.takes_prompt = any(kind in ("PROMPT", "DYNPROMPT") for kind in self.hidden.values())
        self.lazy = frozenset(name for name, spec in self.declared.items() if spec.options.get("lazy"))
        self.listed = frozenset(name for name, spec in self.declared.items() if spec.is_list)
        self.raw_links = frozenset(name for name, spec in self.declared.items() if spec.options.get("rawLink"))
        optional = raw.get("optional") if isinstance(raw, dict) else None
        self._open = optional if optional is not None and type(optional) is not dict else None
        self._ordinary: Mapping[str, Ordinary] | None = None

    @property
    def ordinary(self) -> Mapping[str, Ordinary]:
        """The inputs of which most values can be taken at first sight."""
        if self._ordinary is None:
            found = ((name, _ordinary(entry)) for name, entry in self.declared.items())
            self._ordinary = {name: ordinary for name, ordinary in found if ordinary is not None}
        return self._ordinary

    def lookup(self, name: str) -> InputSpec | None:
        """Return the declaration of an input, or None."""
        found = self.declared.get(name)
        if found is None and self._open is not None and name in self._open:
            found = read_input(name, self._open[name], required=False)
        return found

    @property
    def is_open(self) -> bool:
        """Whether optional inputs of any name are accepted."""
        return self._open is not None


def read_input(name: str, declared: Any, *, required: bool) -> InputSpec:
    """Read one entry of a V1 `INPUT_TYPES`: `(type,)`, `(type, options)` or a bare type."""
    if isinstance(declared, str):
        declared = (declared,)
    options = declared[1] if len(declared) > 1 and isinstance(declared[1], Mapping) else NO_OPTIONS
    return InputSpec(name, declared[0], options, required)


@dataclass(frozen=True, slots=True, eq=False)
class NodeSpec:
    """One node class, as the engine knows it.

    `interface()` reads the inputs (a V1 class may declare others once a file has appeared). `function(node object)`
    returns the function to call; `make_object()` makes the object on which packs keep state. `return_types` may accept
    any index. `code()` digests everything that the result depends on beyond the inputs. `pack` turns the function's
    result into what a V1 function would return. `resources` are what it asks for, by parameter. `is_own`: written in
    the notebook or by `@nb.node`, not by a pack. `origin` is the class or function that it was made of, `options` what
    `nb.node` was told besides.
    """

    class_type: str
    interface: Callable[[], Interface]
    function: Callable[[Any], Callable[..., Any]]
    return_types: Sequence[Any]
    return_names: Sequence[str]
    code: Callable[[], Digest]
    display_name: str = ""
    category: str = ""
    description: str = ""
    make_object: Callable[[], Any] | None = None
    is_async: bool = False
    is_output: bool = False
    has_intermediate_output: bool = False
    input_is_list: bool = False
    output_is_list: tuple[bool, ...] = ()
    not_idempotent: bool = False
    fingerprint: Callable[..., Any] | None = None
    validate: Callable[..., Any] | None = None
    check_lazy: Callable[[Any], Callable[..., Any]] | None = None
    still_there: Callable[[Mapping[str, Any]], bool] | None = None
    pack: Callable[[Any], Any] | None = None
    thread_safe: bool = False
    grad: bool = False
    timeout: float | None = None
    retries: int = 0
    backoff: float = 1.0
    cache: CacheMode = "on"
    uses: Needs = ()
    resources: Mapping[str, Declared] = field(default_factory=dict, repr=False)
    priority: int = 0
    deprecated: bool = False
    experimental: bool = False
    undeclared_inputs: bool = True
    is_own: bool = False
    origin: Any = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def function_code(self) -> CodeType | None:
        """The code of the function or method that does the work; None where that is not written in Python."""
        made_of = self.origin
        function = getattr(made_of, getattr(made_of, "FUNCTION", ""), None) if isinstance(made_of, type) else made_of
        code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
        return code if isinstance(code, CodeType) else None

    def socket_of(self, slot: int) -> str | None:
        """Return the socket type of an output slot; None where it is not declared, or a list of choices."""
        kind = self.return_types[slot] if 0 <= slot < len(self.return_types) else None
        return kind if isinstance(kind, str) else None

    def watches(self, slot: int) -> bool:
        """Whether a change of an object that comes out of this slot is noticed: packs patch theirs and mean to."""
        socket = SOCKETS.get(self.socket_of(slot) or "")
        return self.is_own and not (socket is not None and socket.is_patched)

    def output_type(self, slot: int) -> Any:
        """Return the type of output `slot` (negative counts from the end); raises IndexError if there is none."""
        return self.return_types[slot]

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the output slots, in order."""
        types = tuple(self.return_types)
        names = [str(name) for name in self.return_names][: len(types)]
        return tuple(names + [socket_name(kind) for kind in types[len(names) :]])

    def output_name(self, slot: int) -> str:
        """Return the name of output `slot`; its number if a class with open-ended outputs has no name for it."""
        names = self.output_names
        return names[slot] if slot < len(names) else str(slot)

    def slot(self, name: str | int) -> int | None:
        """Return the index of an output by its name or number, or None if there is no such output.

        Names are compared exactly first, then ignoring case.
        """
        if isinstance(name, int):
            index = name if name >= 0 else name + len(self.return_types)
            try:
                self.output_type(index)
            except IndexError:
                return None
            return index if index >= 0 else None
        names = self.output_names
        if name in names:
            return names.index(name)
        folded = [known.casefold() for known in names]
        return folded.index(name.casefold()) if name.casefold() in folded else None

    def to_object_info(self) -> dict[str, Any]:
        """Return the entry for this class in ComfyUI's `GET /object_info`, with the inputs as declared now."""
        interface = self.interface()
        inputs: dict[str, dict[str, Any]] = {"required": {}, "optional": {}, "hidden": dict(interface.hidden)}
        for name, entry in interface.declared.items():
            inputs["required" if entry.required else "optional"][name] = entry.to_object_info()
        inputs = {section: entries for section, entries in inputs.items() if entries or section == "required"}
        types = list(self.return_types)
        info = {
            "input": inputs,
            "input_order": {section: list(entries) for section, entries in inputs.items()},
            "is_input_list": self.input_is_list,
            "output": types,
            "output_is_list": [*self.output_is_list, *[False] * len(types)][: len(types)],
            "output_name": list(self.output_names),
            "name": self.class_type,
            "display_name": self.display_name or self.class_type,
            "description": self.description,
            "python_module": getattr(self.origin, "RELATIVE_PYTHON_MODULE", getattr(self.origin, "__module__", "")),
            "category": self.category,
            "output_node": self.is_output,
        }
        traits = {"deprecated": self.deprecated, "experimental": self.experimental}
        return info | {name: True for name, is_set in traits.items() if is_set}
