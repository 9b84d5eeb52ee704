"""State dicts of torchvision's networks in files of the user's: read without executing anything, and checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import UserError
from bench.files.digests import file_sha256
from bench.files.foreign import inspect


def read_state(path: Path) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file that `torch.save` wrote, and the file's sha256.

    Raises UserError for a file of another kind, naming a tensor that is sparse, of no real numbers, or not all there.
    """
    inspect(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several types for a file that is damaged or of another kind
        raise UserError(f"{path}: not a state dict that torch.load reads as plain weights") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: must be a state dict, names to tensors")
    return state, file_sha256(path)


def checked(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str, network: str
) -> dict[str, Tensor]:
    """Those tensors of `state` that a module with the state dict `wanted` (of any device) has.

    where, network: name the file and what it should hold. Raises UserError naming the first tensor that is missing,
    superfluous, of another shape or kind, or not finite.
    """
    for name in sorted(wanted.keys() ^ state.keys()):
        what = "missing" if name in wanted else f"not part of a {network}"
        raise UserError(f"{where}: the tensor {name} is {what}; use torchvision's names")
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise UserError(f"{where}: {name} is a {type(value).__name__}, must be a tensor")
        if value.shape != wanted[name].shape:
            raise UserError(
                f"{where}: the tensor {name} has shape {tuple(value.shape)}, "
                f"must be {tuple(wanted[name].shape)}"
            )
        kind = wanted[name].is_floating_point()
        if value.layout != torch.strided or value.is_quantized or value.is_floating_point() != kind:
            raise UserError(
                f"{where}: the tensor {name} holds {value.dtype} ({value.layout}), must be dense "
                f"{'floats' if kind else 'integers'}"
            )
        if not value.isfinite().all():
            raise UserError(f"{where}: the tensor {name} holds NaN or infinite values")
    return dict(state)
