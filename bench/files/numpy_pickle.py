"""Reading pickles that hold numpy arrays in dicts, and nothing else, without unpickling them.

Nothing that a file names is imported or called, not even numpy's own functions: `numpy.ndarray` and `numpy.dtype` can
be made to reserve memory at will and to read beyond an array. bench.files.inert_pickle notes what the file would call;
the four names below are known, any other one ends the reading. An array is made here, of a plain type of number, from
as many bytes as the file has of it, so that a file takes no more memory than its size.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from bench.files.inert_pickle import Damaged, Note, failure, read_inert

# `_reconstruct` has moved between numpy versions.
_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_ARRAY, _DTYPE = "numpy.ndarray", "numpy.dtype"
_NAMES = {*_RECONSTRUCT, _ARRAY, _DTYPE}
_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_DEEPEST = 50  # dicts in one another; the files that are read have two


def load_numpy_pickle(data: bytes, source: str) -> dict[str, Any]:
    """The nested dict of arrays in `data`, which cannot be written to; `source` names it in errors.

    Values may be plain numbers and texts too. Raises UserError for anything else, whatever it refers to.
    """
    try:
        value = read_inert(io.BytesIO(data), _NAMES.__contains__)
        if not isinstance(value, dict):
            raise Damaged(f"a {type(value).__name__} in place of a dict")
        arrays: dict[str, Any] = _made(value, {}, 0)
    except Exception as error:  # a damaged pickle raises nearly anything
        raise failure(source, error, "a pickle of numpy arrays") from error
    return arrays


def _made(value: Any, known: dict[int, Any], depth: int) -> Any:
    """A value with arrays in place of their notes. What a file holds many times is made once: known, by identity."""
    if isinstance(value, str | int | float | bytes | None):
        return value
    if id(value) not in known:
        if isinstance(value, Note):
            known[id(value)] = _array(value)
        elif isinstance(value, dict) and depth < _DEEPEST:
            made = known[id(value)] = {}
            made.update((key, _made(entry, known, depth + 1)) for key, entry in value.items())
        else:
            raise Damaged(f"a {type(value).__name__} among the arrays" if depth < _DEEPEST else "dicts without an end")
    return known[id(value)]


def _array(note: Note) -> np.ndarray:
    """The array that `_reconstruct` would make: its state is (version, shape, type, Fortran order, bytes)."""
    state = note.state
    if note.name not in _RECONSTRUCT or not isinstance(state, tuple) or len(state) != 5:
        raise Damaged(f"what {note.name} makes")
    _, shape, kind, fortran, content = state
    dtype = _dtype(kind)
    lengths = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    if not lengths or not isinstance(content, bytes) or type(fortran) not in (bool, int):
        raise Damaged("an array without shape or bytes")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise Damaged(f"an array of shape {shape} in {len(content):,} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _dtype(kind: Any) -> np.dtype:
    """A plain number's type: `numpy.dtype(code)`, its byte order in the state, without fields or a size of its own."""
    code = kind.args[0] if isinstance(kind, Note) and kind.name == _DTYPE and kind.args else None
    state = kind.state if isinstance(kind, Note) else None
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    if code not in _NUMBERS or order not in ("<", ">", "|", "="):
        raise Damaged("an array of what are no plain numbers")
    return np.dtype(f"{order}{code}")
