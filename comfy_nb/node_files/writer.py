"""What a file of nodes holds: each name that they read with its source, found from the nodes on."""

from __future__ import annotations

import builtins
import inspect
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from comfy_nb.engine.execution.resources import Resource
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.node_files.declared import check_defaults, check_names_around, names_at_once, with_decorators
from comfy_nb.node_files.origins import (
    Scope,
    function_below,
    import_by_name,
    is_own,
    name_of_node,
    place_of,
    scope_of,
)
from comfy_nb.node_files.source import (
    FUTURE_ANNOTATIONS,
    Unwritable,
    definition_of_class,
    definition_of_function,
    import_of,
)
from comfy_nb.node_files.values import expression
from comfy_nb.spec.code import globals_read
from comfy_nb.spec.digest import is_plain
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.texts import names_in_hints
from comfy_nb.wording import short

PACKAGE = __name__.partition(".")[0]
MODULE_NAMES = ("__name__", "__file__", "__doc__", "__package__", "__spec__", "__builtins__")


@dataclass
class Item:
    """What is written under one name. `at_once` are the names that it needs to be defined, `later` those it reads."""

    name: str
    text: str = ""
    at_once: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)


class Writer:
    """Collects the source of nodes with all that they read.

    `items` and `imports` are by the names that they bind; `classes` has the names of node classes by class type, and
    `titles` those that differ. `refused` says what cannot be written; `needs_future`: hints are not evaluated.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.imports: dict[str, list[str]] = {}
        self.classes: dict[str, str] = {}
        self.titles: dict[str, str] = {}
        self.refused: list[str] = []
        self.needs_future = False
        self._bound: dict[str, Any] = {}
        self._path: list[str] = []
        self._first_names: dict[int, str] = {}

    def add_node(self, spec: NodeSpec) -> None:
        """Add a node with all that it reads; what cannot be written is noted in `refused`."""
        self._path = [spec.class_type]
        try:
            scope = scope_of(spec)
            if not isinstance(spec.origin, type):
                self._bind(name_of_node(spec, scope), spec, scope)
                return
            self._bind(spec.origin.__name__, spec.origin, scope)
        except Unwritable as reason:
            self.refused.append(f"{spec.class_type}: it {reason}.")
            return
        self.package(scope)
        self.classes[spec.class_type] = spec.origin.__name__
        if spec.display_name != spec.class_type:
            self.titles[spec.class_type] = spec.display_name

    def package(self, scope: Scope) -> str:
        """Return the name that this package has in the file, which is that of the scope if it can be."""
        package = sys.modules[PACKAGE]
        is_free = scope.get("nb", package) is package and self._bound.get("nb", package) is package
        name = "nb" if is_free else PACKAGE
        self._bound[name], self.imports[name] = package, [f"import {PACKAGE} as nb" if is_free else f"import {PACKAGE}"]
        return name

    # Names ------------------------------------------------------------------------------------------------------------

    def _bind(self, name: str, value: Any, scope: Scope) -> None:
        """See to it that a name gives a value in the file; raises Unwritable."""
        value = value.spec if type(value) is NodeFactory else value
        if name in self._bound:
            if self._bound[name] is not value:
                raise Unwritable("is another thing elsewhere in what is to be written")
            return
        self._bound[name] = value
        if not is_own(value, scope) and (lines := import_of(name, value, scope) or import_by_name(name, value)):
            self.imports[name] = lines
            return
        item = self.items[name] = Item(name)
        self._path.append(name)
        try:
            item.text = self._source(item, value, scope)
        finally:
            self._path.pop()

    def _require(self, name: str, value: Any, scope: Scope) -> None:
        """Bind a name that is read, or note why it cannot be."""
        try:
            self._bind(name, value, scope)
        except Unwritable as reason:
            node, *readers = dict.fromkeys(self._path)
            by = f", which {readers[-1]} reads," if readers else ""
            self.refused.append(f"{node}: {name!r}{by} {reason}.")

    def _read(
        self, item: Item, text: str, scope: Scope, flags: int, hints: Iterable[Any], known: Iterable[str]
    ) -> set[str]:
        """Bind the globals that a piece of source reads, and return those that it reads while it is executed."""
        code = compile(text, f"<{item.name}>", "exec", flags, dont_inherit=True)
        found: dict[str, Any] = {}
        names = names_at_once(code)
        for each in (code, *names_in_hints(hints)):
            read, anything = globals_read(each, scope)
            if anything is not None:
                raise Unwritable(f"reads {anything}, so nobody can tell what it needs")
            found |= read
            names |= read.keys() if each is not code else set()
        without = {*MODULE_NAMES, item.name, *known}
        for name in [name for name in found if name not in without]:
            (item.at_once if name in names else item.later).add(name)
            self._require(name, found[name], scope)
        return names

    # Sources ----------------------------------------------------------------------------------------------------------

    def _source(self, item: Item, value: Any, scope: Scope) -> str:
        """Return the source that binds an item's name to a value."""
        if isinstance(value, NodeSpec):
            return self._node(item, value, scope)
        if isinstance(value, Resource):
            return self._resource(item, value, scope)
        if not is_own(value, scope):
            return f"{item.name} = {self._value(item, value, scope)}"
        name = _name_of(value)
        if name != item.name and scope.get(name) is value:
            self._bind_at_once(item, name, value, scope)
            return f"{item.name} = {name}"
        return self._class(item, value, scope) if isinstance(value, type) else self._function(item, value, scope)

    def _value(self, item: Item, value: Any, scope: Scope) -> str:
        """Return the expression for a global: what two names share, such as a list, is made once."""
        first = item.name if is_plain(value) else self._first_names.setdefault(id(value), item.name)
        if first == item.name:
            return self._expression(item, value, scope)
        item.at_once.add(first)
        return first

    def _expression(self, item: Item, value: Any, scope: Scope) -> str:
        return expression(value, lambda thing: self._reference(item, thing, scope))

    def _reference(self, item: Item, thing: Any, scope: Scope) -> str:
        """Return the expression for a class, function or module in a value, with its name bound."""
        names = [name for name, held in scope.items() if held is thing and name != item.name and name[0] != "_"]
        if is_own(thing, scope):
            name = _name_of(thing)
            return self._own(item, name if scope.get(name) is thing or not names else names[0], thing, scope)
        if isinstance(thing, types.ModuleType):
            root = thing.__name__.partition(".")[0]
            self._bind_at_once(item, *((names[0], thing) if names else (root, sys.modules[root])), scope)
            return names[0] if names else thing.__name__
        found = place_of(thing)
        if found is None:
            raise Unwritable(f"is or has {short(thing)}, which cannot be imported")
        module, name = found
        if module is builtins:
            return name
        if not names:
            return f"{self._reference(item, module, scope)}.{name}"
        self._bind_at_once(item, names[0], thing, scope)
        return names[0]

    def _own(self, item: Item, name: str, thing: Any, scope: Scope) -> str:
        if name == "<lambda>":
            return self._lambda(item, thing, scope)
        if scope.get(name, thing) is not thing:
            raise Unwritable(f"is the {name} below a decorator, which has to use functools.wraps")
        try:
            self._bind_at_once(item, name, thing, scope)
        except Unwritable as reason:
            raise Unwritable(f"has {name!r}, which {reason}") from None
        return name

    def _bind_at_once(self, item: Item, name: str, value: Any, scope: Scope) -> None:
        self._bind(name, value, scope)
        item.at_once.add(name)

    def _lambda(self, item: Item, function: types.FunctionType, scope: Scope) -> str:
        definition = definition_of_function(function)
        if function.__closure__:
            raise Unwritable(f"has a lambda that reads {', '.join(function.__code__.co_freevars)} of what is around it")
        text = definition.segment(definition.node)
        text = f"({text})" if "\n" in text else text
        self._read(item, text, scope, 0, (), ())
        return text

    def _function(self, item: Item, function: Any, scope: Scope, decorator: str = "") -> str:
        """Return the source of a function with its decorators, `decorator` in the place of `nb.node`."""
        below = function_below(function)
        assert below is not None
        if below.__name__ == "<lambda>":
            text = self._lambda(item, below, scope)
            return f"{item.name} = {decorator}({text})" if decorator else f"{item.name} = {text}"
        definition = definition_of_function(below)
        flags = below.__code__.co_flags & FUTURE_ANNOTATIONS
        self.needs_future |= bool(flags)
        text = with_decorators(definition, decorator, scope)
        is_made = "<locals>" in below.__qualname__
        closed_over = below.__code__.co_freevars
        whole = f"if True:\n{text}" if definition.is_indented else text
        hints = [hint for hint in below.__annotations__.values() if isinstance(hint, str)]
        names = self._read(item, whole, scope, flags, hints, {below.__name__, *closed_over})
        if is_made:
            check_names_around(definition, names, closed_over)
            return self._made(item, below, function, text, scope)
        check_defaults(definition, below, scope)
        return whole if below.__name__ == item.name else f"{whole}\n\n\n{item.name} = {below.__name__}"

    def _made(self, item: Item, below: types.FunctionType, function: Any, text: str, scope: Scope) -> str:
        """Return the source of a function that another one made: made again, with what it closed over."""
        values = []
        for name, cell in zip(below.__code__.co_freevars, below.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
                if all(value is not each for each in (function, below)) and not self._is_node_itself(value, item):
                    values.append((name, self._expression(item, value, scope)))
            except ValueError:  # it is not set yet
                raise Unwritable(f"is made by a function whose {name!r} is not set") from None
            except Unwritable as reason:
                raise Unwritable(f"is made by a function whose {name!r} {reason}") from None
        maker = f"_make_{item.name}"
        indent = text[: len(text) - len(text.lstrip())]
        head = f"def {maker}({', '.join(name for name, _ in values)}):"
        call = f"{item.name} = {maker}({', '.join(value for _, value in values)})"
        return f"{head}\n{text}\n{indent}return {below.__name__}\n\n\n{call}"

    def _is_node_itself(self, value: Any, item: Item) -> bool:
        """Whether a value is the node itself, which its function reads from around it."""
        return type(value) is NodeFactory and value.spec is self._bound[item.name]

    def _class(self, item: Item, cls: type, scope: Scope) -> str:
        if "<locals>" in cls.__qualname__:
            raise Unwritable("is a class that a function made, whose variables cannot be written")
        definition = definition_of_class(cls, scope)
        functions = [each for each in vars(cls).values() if isinstance(each, types.FunctionType)]
        flags = next((flag for each in functions if (flag := each.__code__.co_flags & FUTURE_ANNOTATIONS)), 0)
        self.needs_future |= bool(flags)
        text = with_decorators(definition, "", scope)
        whole = f"if True:\n{text}" if definition.is_indented else text
        hints = [hint for hint in inspect.get_annotations(cls).values() if isinstance(hint, str)]
        self._read(item, whole, scope, flags, hints, {cls.__name__})
        return whole if cls.__name__ == item.name else f"{whole}\n\n\n{item.name} = {cls.__name__}"

    def _node(self, item: Item, spec: NodeSpec, scope: Scope) -> str:
        package = self.package(scope)
        item.at_once.add(package)
        if isinstance(spec.origin, type):
            if not spec.origin.__module__.startswith(f"{PACKAGE}."):
                raise Unwritable("is a node class; write nb.nodes and its name where it is read")
            return f"{item.name} = {package}.nodes[{spec.class_type!r}]"
        function = function_below(spec.origin)
        if function is None or not inspect.isfunction(spec.origin):
            raise Unwritable("is made of a method, whose object cannot be written")
        decorator = f"{package}.node{self._options(item, spec, function.__name__, scope)}"
        if scope.get(function.__name__) is not spec.origin:
            return self._function(item, spec.origin, scope, decorator)
        self._bind_at_once(item, function.__name__, spec.origin, scope)
        return f"{item.name} = {decorator}({function.__name__})"

    def _resource(self, item: Item, resource: Resource, scope: Scope) -> str:
        item.at_once.add(package := self.package(scope))
        decorator = f"{package}.resource(idle={self._expression(item, resource.idle, scope)})"
        if resource.is_superseded:
            raise Unwritable("was defined again since: define the node again, too")
        return self._function(item, resource.function, scope, decorator)

    def _options(self, item: Item, spec: NodeSpec, name: str, scope: Scope) -> str:
        """Return the options of `nb.node` that make this node: as they were given, with the name that it has."""
        options = {"class_type": "", **spec.options, "title": spec.display_name}
        options["class_type"] = spec.class_type  # which may be NAME_2, and comes first
        if spec.class_type == name:
            del options["class_type"]
        if options["title"] == spec.class_type:
            del options["title"]
        written = [f"{option}={self._expression(item, value, scope)}" for option, value in options.items()]
        return f"({', '.join(written)})" if written else ""


def _name_of(own: Any) -> str:
    """Return the name by which a class or function was written."""
    function = None if isinstance(own, type) else function_below(own)
    return str(function.__name__ if function is not None else own.__name__)
