"""The safetensors format, without its package: a length, a header in JSON, the bytes of the tensors; no pickle.

The first 8 bytes are the header's length (little endian); it has name -> {"dtype", "shape", "data_offsets"}, offsets
counted from its end, and texts under "__metadata__" (https://github.com/huggingface/safetensors, README: Format).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.files import atomic

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.bool: "BOOL",
}  # fmt: skip
DTYPES = {name: dtype for dtype, name in NAMES.items()}
METADATA = "__metadata__"
ALIGNED = 8  # bytes; the header is filled up with blanks
MOST_HEADER = 100_000_000  # bytes, as the format's own reader allows


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors by name, in the order of their names, with texts, as `atomic.replacing` does.

    Raises ValueError for a type of numbers that no generator has.
    """
    header: dict[str, Any] = {METADATA: dict(metadata)}
    at, ordered = 0, sorted(tensors.items())
    for name, tensor in ordered:
        if tensor.dtype not in NAMES:
            raise ValueError(f"{name}: numbers of type {tensor.dtype}")
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNED)
    with atomic.replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in ordered:
            file.write(bytes_of(tensor))


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors by name and the texts. UserError for a file that is cut off, or whose header does not fit it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER, size - 8):
            raise UserError(f"{path}: is no safetensors file, or cut off")
        try:
            header = json.loads(file.read(length))
            metadata = header.pop(METADATA, {})
            _check(header, metadata, size - 8 - length)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: its header is damaged ({error})") from error
        tensors = {}
        for name, entry in header.items():
            first, end = entry["data_offsets"]
            file.seek(8 + length + first)
            data = bytearray(file.read(end - first))
            flat = torch.frombuffer(data, dtype=DTYPES[entry["dtype"]]) if data else torch.empty(0)
            tensors[name] = flat.to(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def bytes_of(tensor: Tensor) -> bytes:
    """The numbers of a tensor, row by row."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _check(header: dict[str, Any], metadata: Any, size: int) -> None:
    """ValueError or another error for a header whose parts are not those of the format, or not the file's."""
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("texts that are none")
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        counts = [first, end, *entry["shape"]]
        if not all(type(number) is int and number >= 0 for number in counts):
            raise ValueError(f"{name}: lengths that are no counts")
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{name}: numbers of type {entry['dtype']!r:.20}")
        if end > size or end - first != math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize:
            raise ValueError(f"{name}: another size than its shape's, or beyond the file")
