"""What makes handles: `nb.nodes`, `@nb.node` and `nb.register`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, overload

from comfy_nb.errors import SpecError, UnknownName
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.graph.variants import free_name, in_use
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.node_spec import CacheMode, NodeSpec
from comfy_nb.spec.reading import spec_of
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.uses import Uses


class Nodes:
    """Every registered node class as an attribute: `nb.nodes.ImageBlur(image, blur_radius=6)`."""

    def __init__(self, registry: Callable[[], Registry] = default_registry) -> None:
        self._registry_of = registry
        self._made: dict[str, NodeFactory] = {}

    def __getattr__(self, name: str) -> NodeFactory:
        if name.startswith("__") or name in ("_ipython_display_", "_repr_mimebundle_"):
            raise AttributeError(name)
        try:
            return self[name]
        except UnknownName as error:
            raise AttributeError(str(error), name=name, obj=self) from None

    def __getitem__(self, class_type: str) -> NodeFactory:
        registry = self._registry_of()
        made = self._made.get(class_type)
        spec = registry.find(class_type)
        if made is not None and made.spec is spec:
            return made
        made = NodeFactory(registry[class_type], registry)
        self._made[class_type] = made
        return made

    def __contains__(self, class_type: object) -> bool:
        return class_type in self._registry_of()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._registry_of()))

    def __len__(self) -> int:
        return len(self._registry_of())

    def __dir__(self) -> list[str]:
        return [name for name in self if name.isidentifier()]

    def __repr__(self) -> str:
        categories: dict[str, list[str]] = {}
        for name, spec in sorted(self._registry_of().items()):
            categories.setdefault(spec.category or "other", []).append(name)
        lines = [f"<{len(self)} node classes>"]
        lines += [f"  {category}: {', '.join(names)}" for category, names in sorted(categories.items())]
        return "\n".join(lines)


nodes = Nodes()


@overload
def node(function: Callable[..., Any], /) -> NodeFactory: ...
@overload
def node(
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
) -> Callable[[Callable[..., Any]], NodeFactory]: ...
def node(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a typed function a node: `@nb.node` or `@nb.node(timeout=10, retries=2)`.

    The options are those of `spec_from_function`: class_type, title, category, output, lazy, fingerprint, validate,
    thread_safe, grad, timeout, retries, backoff, cache ("on", "off", or "node": bound to the node's id), uses (pools),
    priority, list_output.
    Nodes run without gradients, as ComfyUI's do; `grad=True` switches them on, for a loss and an optimiser inside.
    Defining it again replaces it. Where one function makes several nodes of one name, the later ones are registered as
    NAME_2 and so on while the earlier are in use. Raises SpecError for a signature that cannot be a node.
    """
    if function is None:
        return lambda later: _declare(later, options)
    return _declare(function, options)


def _declare(function: Callable[..., Any], options: Mapping[str, Any]) -> NodeFactory:
    if isinstance(function, type):
        raise SpecError(f"@nb.node takes a function, not {function!r}. Register a ComfyUI class by nb.register(cls).")
    registry = default_registry()
    spec = spec_from_function(function, **options)
    name = free_name(spec, registry)
    spec = registry.register(replace(spec, class_type=name, options=options))
    made = in_use[name] = NodeFactory(spec, registry)
    return made


def register(classes: Any, display_names: Mapping[str, str] | None = None, registry: Registry | None = None) -> Any:
    """Register a ComfyUI node class, or a `NODE_CLASS_MAPPINGS` dict of them, and return it; also a decorator.

    Raises SpecError for what is no node class, and for one whose inputs cannot be read; the other classes of a dict are
    registered all the same. Inputs that a file or folder still lacks are read when they are needed.
    """
    target = registry if registry is not None else default_registry()
    mapping = classes if isinstance(classes, Mapping) else {getattr(classes, "__name__", repr(classes)): classes}
    faults: list[SpecError] = []
    for class_type, cls in mapping.items():
        try:
            spec = spec_of(cls, class_type, (display_names or {}).get(class_type, ""))
            _check_inputs(spec)
        except SpecError as error:
            faults.append(error)
        else:
            target.register(spec)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        head = f"{len(faults)} classes cannot be registered:"
        raise SpecError("\n".join([head, *(f"  - {each}" for each in faults)]))
    return classes


def _check_inputs(spec: NodeSpec) -> None:
    """Read the inputs once; raises SpecError where that will never work."""
    try:
        spec.interface()
    except SpecError as error:
        if not isinstance(error.__cause__, OSError):  # what a file or folder lacks may come
            raise
