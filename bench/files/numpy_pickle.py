"""Reading pickles that hold numpy arrays in dicts, and nothing else."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from bench.errors import UserError

# `_reconstruct` has moved between numpy versions; this takes it from where it is.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _ALLOWED[module, name]


def load_numpy_pickle(data: bytes, source: str) -> dict[str, Any]:
    """The nested dict of arrays in `data`; `source` names it in errors.

    Raises UserError for anything that is not a pickle of plain containers and numpy arrays; nothing else that
    the pickle refers to is imported or called.
    """
    try:
        value = _NumpyUnpickler(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{source}: not a pickle of numpy arrays ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{source}: holds a {type(value).__name__}, must hold a dict of numpy arrays")
    return value
