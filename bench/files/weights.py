"""Weights files: nested dicts of tensors and numbers, written atomically, read without executing anything."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError
from bench.files import atomic
from bench.files.foreign import inspect
from bench.files.inert_pickle import shown

NETWORKS = (
    "ema",
    "generator",
    "discriminator",
    "resnet50",
)  # the members of a weights file that are networks


def write_weights(path: Path, state: dict[str, Any], inside: Path | None = None) -> None:
    """Write a nested dict of tensors and numbers, as `atomic.replacing` does."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic.write_bytes(path, buffer.getvalue(), inside)


def read_weights(path: Path) -> dict[str, Any]:
    """A nested dict of tensors and numbers. Raises UserError if the file is damaged or holds anything else.

    Every member's CRC is checked first; unpickling builds tensors and plain containers only (weights_only).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (bad := archive.testzip()) is not None:
                raise UserError(f"checkpoint {path} is damaged: member {bad} fails its checksum")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"weights file {path} does not exist") from error
    except Exception as error:
        raise UserError(f"checkpoint {path} is truncated or not a checkpoint: {str(error).splitlines()[0]}") from error
    if not isinstance(state, dict):
        raise UserError(f"checkpoint {path} holds a {type(state).__name__}, not a dict of weights")
    return state


def read_source(path: Path) -> dict[str, Any]:
    """`read_weights`, for a file from anywhere: its tensors are checked against its bytes first.

    Raises UserError as `bench.files.foreign.inspect`, and naming the first entry of a network (NETWORKS) that is
    not a tensor, or not finite. The states of a method's parts may hold any numbers.
    """
    if not path.is_file():
        raise UserError(f"weights file {path} does not exist")
    inspect(path)
    weights = read_weights(path)
    for member in NETWORKS:
        if member in weights:
            check_state(weights[member], f"weights file {path}, '{member}'")
    return weights


def check_state(state: Any, where: str) -> None:
    """Raises UserError unless this is a dict of names to finite dense tensors, naming the first that is not."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{where}: a {type(state).__name__}, must be a dict of names to tensors")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_complex():
            raise UserError(f"{where}: {shown(name)} is no dense tensor of real numbers")
        if value.nbytes > value.untyped_storage().nbytes():
            raise UserError(f"{where}: {shown(name)} repeats numbers; only dense tensors are read")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"{where}: {shown(name)} holds values that are not finite; all weights must be")


def fingerprint(state: Any) -> str:
    """sha256 over every tensor's name, shape and bytes: equal fingerprints mean bit-equal weights."""
    digest = hashlib.sha256()
    for name, value in sorted(_flat(state)):
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            tensor = value.detach().cpu().contiguous()
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{prefix}.{key}")]
    if isinstance(value, list | tuple):
        return [pair for key, inner in enumerate(value) for pair in _flat(inner, f"{prefix}.{key}")]
    return [(prefix, value)]
