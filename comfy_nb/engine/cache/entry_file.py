"""An entry as one safetensors file: its tensors, and in the header its tree, its label and a checksum of all.

Nothing in such a file can run code. Reading checks every byte, so a file that was cut short or altered is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from xxhash import xxh3_128

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.tree import flatten, unflatten
from comfy_nb.spec.contents.tensors import bytes_in_pieces

FORMAT = "comfy_nb 1"
# The safetensors reader takes headers of up to 100 MB.
HEADER_MAX_BYTES = 50_000_000
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Damaged(Exception):
    """The file is not a whole entry of this format under this key."""


class Unstorable(ValueError):
    """The entry cannot be written to such a file; the message says why."""


def pack(entry: Entry) -> tuple[bytes, list[torch.Tensor]]:
    """Return an entry's file header and the tensors whose bytes follow it, in order.

    Raises `NotATree` or `Unstorable`.
    """
    tree, tensors = flatten([list(entry.outputs), None if entry.ui is None else dict(entry.ui)])
    unknown = {tensor.dtype for tensor in tensors} - _DTYPES.keys()
    if unknown:
        raise Unstorable(f"it holds a tensor of {unknown.pop()}")
    label = json.dumps([entry.class_type, entry.node_id, entry.title, entry.seconds, entry.made_at])
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT,
            "label": label,
            "tree": tree,
            "checksum": _checksum(entry.key, label, tree, tensors),
        }
    }
    # The widest elements come first, so that each tensor's bytes start at a multiple of its element's size.
    order = sorted(range(len(tensors)), key=lambda number: -tensors[number].element_size())
    end = 0
    for number in order:
        tensor = tensors[number]
        start, end = end, end + tensor.nbytes
        header[str(number)] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > HEADER_MAX_BYTES:
        raise Unstorable("it holds more text or numbers than a file's header can take")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, [tensors[number] for number in order]


def write(path: Path, header: bytes, tensors: Sequence[torch.Tensor]) -> int:
    """Write a packed entry to a new file and return its bytes; raises `OSError`."""
    with open(path, "xb") as file:
        file.write(header)
        for tensor in tensors:
            file.writelines(bytes_in_pieces(tensor))
    return os.path.getsize(path)


def read(path: Path, key: bytes) -> Entry:
    """Read the entry under `key` from a file and check it in full; raises `OSError` or `Damaged`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise Damaged("it has another format")
            tensors = [file.get_tensor(str(number)) for number in range(len(file.keys()))]
        if metadata["checksum"] != _checksum(key, metadata["label"], metadata["tree"], tensors):
            raise Damaged("its checksum does not match")
        slots, ui = unflatten(metadata["tree"], tensors)
        class_type, node_id, title, seconds, made_at = json.loads(metadata["label"])
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Damaged(str(error)) from error
    except RuntimeError as error:  # torch opens the file once more, and another kernel may have removed it meanwhile
        raise OSError(str(error)) from error
    entry = Entry(key, tuple(slots), ui, seconds, class_type, node_id, title, durable=True, source="disk")
    entry.made_at = made_at
    return entry


def read_class_type(path: Path) -> str | None:
    """Return the node class of the entry in a file, from its header alone; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, HEADER_MAX_BYTES)))
        return str(json.loads(header["__metadata__"]["label"])[0])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _checksum(key: bytes, label: str, tree: str, tensors: Sequence[torch.Tensor]) -> str:
    digest = xxh3_128()
    for part in (FORMAT.encode(), key, label.encode(), tree.encode()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        for piece in bytes_in_pieces(tensor):
            digest.update(piece)
    return digest.hexdigest()
