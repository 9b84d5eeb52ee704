"""State dicts in files of the user's: read without executing anything, and checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import UserError
from bench.files.foreign import inspect

COUNTER = "num_batches_tracked"  # of batch norms: files from before 2018 lack it, and evaluation does not read it


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a file that `torch.save` wrote.

    Raises UserError for a file of another kind, naming a tensor that is sparse, of no real numbers, or not all there.
    """
    inspect(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several types for a file that is damaged or of another kind
        raise UserError(f"{path}: not a state dict that torch.load reads as plain weights") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: must be a state dict, names to tensors")
    return state


def checked(
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    where: str,
    network: str,
    names: str = "torchvision's",
) -> dict[str, Tensor]:
    """Those tensors of `state` that a module with the state dict `expected` (of any device) has.

    where, network, names: the file, the network that it should be of, and whose names its tensors should have. The
    counters of batch norms may be left out. Raises UserError naming the first tensor that is missing, superfluous, of
    another shape or kind, or not finite.
    """
    counters = {name for name in expected if name.endswith(COUNTER)} - state.keys()
    state = {**state, **{name: torch.zeros((), dtype=torch.int64) for name in counters}}
    for name in sorted(expected.keys() ^ state.keys()):
        article = "an" if network[0] in "AEIOU" else "a"
        what = "missing" if name in expected else f"not part of {article} {network}"
        raise UserError(f"{where}: the tensor {name} is {what}; use {names} names")
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise UserError(f"{where}: {name} is a {type(value).__name__}, must be a tensor")
        if value.shape != expected[name].shape:
            raise UserError(
                f"{where}: the tensor {name} has shape {tuple(value.shape)}, must be {tuple(expected[name].shape)}"
            )
        kind = expected[name].is_floating_point()
        if value.layout != torch.strided or value.is_quantized or value.is_floating_point() != kind:
            raise UserError(
                f"{where}: the tensor {name} holds {value.dtype} ({value.layout}), must be dense "
                f"{'floats' if kind else 'integers'}"
            )
        if not value.isfinite().all():
            raise UserError(f"{where}: the tensor {name} holds NaN or infinite values")
    return state


def plain_floats(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as a network takes them: floats of 32 bits, and contiguous; counters as they are."""
    return {name: value.float().contiguous() if value.is_floating_point() else value for name, value in state.items()}
