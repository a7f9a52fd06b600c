"""What the values of each known class hold, as digests read it; importing this registers all readers."""

from comfy_nb.spec.contents import (
    arrays,
    caches,
    compiled,
    coordination,
    modules,
    pictures,
    schemas,
    standard,
    tables,
    tensors,
)

__all__ = [
    "arrays",
    "caches",
    "compiled",
    "coordination",
    "modules",
    "pictures",
    "schemas",
    "standard",
    "tables",
    "tensors",
]
