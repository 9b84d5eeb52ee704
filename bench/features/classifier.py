"""Supervised classifiers of images: their networks, and what a trained one gives: features, logits, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError, did_you_mean
from bench.features.extractor import Extractor
from bench.features.residual import ResidualEncoder, initialise
from bench.features.resnet50 import SIZE, ResNet50, supervised_resnet50
from bench.files.weights import check_state, fingerprint

Target = Literal["labels", "attributes"]
Encoder = ResidualEncoder | ResNet50
WHERE = "source 'classifier'"
# The residual encoders by name: blocks of a stage, and channels of the stem
RESIDUAL = {"small": (1, 16), "resnet56": (9, 16)}
ENCODERS = (*RESIDUAL, "resnet50")


def make_encoder(network: str, width: int | None, stream: torch.Generator) -> Encoder:
    """A new encoder, images (N, 3, H, W) in [-1, 1] -> features (N, encoder.dim).

    network: "small" (8 layers) and "resnet56" are ResNets for CIFAR (He et al. 2016, section 4.2; with convolutions for
    shortcuts where the shape changes), "resnet50" is the one of ImageNet. width: channels of the stem of the first
    two; None: 16, as there. Raises UserError for an unknown network, and for a width that it does not take.
    """
    if network not in ENCODERS:
        raise UserError(f"unknown network '{network}'; {did_you_mean(network, ENCODERS)}")
    if network in RESIDUAL:
        blocks, usual = RESIDUAL[network]
        return ResidualEncoder(usual if width is None else width, stream, blocks)
    if width is not None:
        raise UserError(f"width is {width}, but {network} has widths of its own; leave it out")
    resnet50 = ResNet50(standardised=False)
    initialise(resnet50, stream)
    return resnet50


def make_head(dim: int, outputs: int, stream: torch.Generator) -> nn.Linear:
    """A new linear layer, features (N, dim) -> logits (N, outputs)."""
    with torch.device("meta"):
        head = nn.Linear(dim, outputs)
    initialise(head, stream)
    return head


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier of images.

    target: what it tells. names: of the K classes or attributes, in the order of the logits. features: the extractor of
    what the last layer reads, (N, D). logits: the extractor of the last layer's outputs, (N, K).
    """

    target: Target
    names: tuple[str, ...]
    features: Extractor
    logits: Extractor

    def probabilities(self, images_u8_NHWC: np.ndarray) -> np.ndarray:
        """(N, K) float64 of uint8 images: of labels a distribution over the classes, of attributes one for each."""
        logits_NK = torch.from_numpy(self.logits(images_u8_NHWC)).double()
        return (logits_NK.softmax(1) if self.target == "labels" else logits_NK.sigmoid()).numpy()


def trained_classifier(weights: Mapping[str, Any], size: int, device: str = "cpu") -> TrainedClassifier:
    """The classifier of the weights of a run of the method `classifier`, or of a user's ResNet-50.

    The first is read at `size`, the pixels it was trained at. The second, a dict with a state dict of torchvision's
    names under `resnet50`, `fc` included, what its outputs are under `names` and "labels" or "attributes" under
    `target`, has a size of its own.

    Raises UserError where the weights hold neither.
    """
    encoder, head_state, holder, size = _read(weights, size)
    target, names = _meaning(holder)
    if head_state is None:
        raise UserError(f"{WHERE}: the ResNet-50 has no fc.weight and fc.bias: it gives features, no {target}")
    check_state(head_state, f"{WHERE}, the last layer")
    expected = {"weight": (len(names), encoder.dim), "bias": (len(names),)}
    if (shapes := {name: tuple(value.shape) for name, value in head_state.items()}) != expected:
        raise UserError(f"{WHERE}: the last layer has {shapes}, must have {expected} for its {len(names)} names")
    head = make_head(encoder.dim, len(names), torch.Generator())
    head.load_state_dict(head_state)
    network = nn.Sequential(encoder, head)
    sha256 = fingerprint(network.state_dict())
    logits = Extractor(f"classifier-logits@{size}", network, size, len(names), sha256, device)
    return TrainedClassifier(target, names, _features(encoder, size, device), logits)


def classifier_features(weights: Mapping[str, Any], size: int, device: str = "cpu") -> Extractor:
    """The features of `trained_classifier`, for which a user's ResNet-50 needs neither `fc` nor names."""
    encoder, _, _, size = _read(weights, size)
    return _features(encoder, size, device)


def _features(encoder: Encoder, size: int, device: str) -> Extractor:
    return Extractor(f"classifier@{size}", encoder, size, encoder.dim, fingerprint(encoder.state_dict()), device)


def _read(weights: Mapping[str, Any], size: int) -> tuple[Encoder, dict[str, Tensor] | None, Mapping[str, Any], int]:
    """The encoder, the state of the last layer, where its names stand, and the size that it sees."""
    if "resnet50" in weights:
        return *supervised_resnet50(weights["resnet50"], WHERE), weights, SIZE
    part = _part(weights)
    return _encoder(part["encoder"]), part["head"], part, size


def _encoder(state: dict[str, Tensor]) -> Encoder:
    """The encoder of these weights, whatever its kind."""
    check_state(state, WHERE)
    if "trunk.conv1.weight" in state:
        network, width = "resnet50", None
    else:
        stem = state.get("stem.weight", torch.empty(0))
        stages = {name.split(".")[1] for name in state if name.startswith("stages.")}
        blocks = {blocks: name for name, (blocks, _) in RESIDUAL.items()}
        if stem.ndim != 4 or len(stages) % 3 or len(stages) // 3 not in blocks:
            raise UserError(f"{WHERE}: the encoder is none of {', '.join(ENCODERS)}")
        network, width = blocks[len(stages) // 3], len(stem)
    encoder = make_encoder(network, width, torch.Generator())
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{WHERE}: {str(error).splitlines()[-1].strip()}") from error
    return encoder


def _part(weights: Mapping[str, Any]) -> dict[str, Any]:
    """What the part of a run's method has saved."""
    parts = weights.get("method")
    for part in parts.values() if isinstance(parts, dict) else ():
        if isinstance(part, dict) and {"encoder", "head", "target", "names"} <= part.keys():
            return part
    raise UserError(
        f"{WHERE}: the weights hold no classifier; they must be of a run of the method classifier, or a dict with a "
        "ResNet-50's state dict under 'resnet50'"
    )


def _meaning(holder: Mapping[str, Any]) -> tuple[Target, tuple[str, ...]]:
    """What the outputs are. UserError where it is not said."""
    target, names = holder.get("target"), holder.get("names")
    if target not in ("labels", "attributes"):
        raise UserError(f"{WHERE}: target is {target!r}, must be labels or attributes")
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{WHERE}: names must be a list of what its outputs are")
    return target, tuple(names)
