"""Self-supervised features: the encoder of a run of the method `simclr`, or a user's ResNet-50."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.features.extractor import Extractor
from bench.features.residual import ResidualEncoder


def trained_extractor(weights: Mapping[str, Any], size: int, device: str = "cpu") -> Extractor:
    """The extractor `simclr` from the weights of a run of the method `simclr`, or from a user's ResNet-50.

    The first is read at the size it was trained at. The second, under the key `resnet50`, has a size of its own.

    Raises UserError where the weights hold neither.
    """
    from bench.features.resnet50 import resnet50_extractor
    from bench.files.weights import check_state, fingerprint

    if "resnet50" in weights:
        return resnet50_extractor(weights["resnet50"], device)

    state = _encoder_state(weights)
    check_state(state, "source 'simclr'")
    if state["stem.weight"].ndim != 4:
        shape = tuple(state["stem.weight"].shape)
        raise UserError(f"source 'simclr': stem.weight has shape {shape}, must have 4 axes")
    encoder = ResidualEncoder(len(state["stem.weight"]), torch.Generator())
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"source 'simclr': {str(error).splitlines()[-1].strip()}") from error
    return Extractor(f"simclr@{size}", encoder, size, encoder.dim, fingerprint(state), device)


def _encoder_state(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    parts = weights.get("method")
    for part in parts.values() if isinstance(parts, dict) else ():
        encoder = part.get("encoder") if isinstance(part, dict) else None
        # A classifier has the same encoder, trained with labels: it is no self-supervised one.
        if isinstance(encoder, dict) and "stem.weight" in encoder and "target" not in part:
            state: dict[str, Tensor] = encoder
            return state
    raise UserError(
        "source 'simclr': the weights hold no encoder; they must be of a run of the method simclr, or a dict "
        "with a ResNet-50's state dict under 'resnet50'"
    )
