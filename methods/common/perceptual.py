"""Distances of images from their targets, on pixels and on VGG16's layers: the losses of GLANN and BSA."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bench.features.perceptual import VGG16Activations


def l1_distances(perceptual: VGG16Activations, images_NCHW: Tensor, wanted_NCHW: Tensor) -> list[Tensor]:
    """L1 on pixels, then on each of VGG16's layers, each a mean over its entries; no gradient to `wanted_NCHW`."""
    with torch.no_grad():
        aims = perceptual(wanted_NCHW)
    distances = [functional.l1_loss(images_NCHW, wanted_NCHW)]
    for features, aim in zip(perceptual(images_NCHW), aims, strict=True):
        distances.append(functional.l1_loss(features, aim))
    return distances
