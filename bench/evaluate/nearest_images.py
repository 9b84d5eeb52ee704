"""What `nearest` compares: training images and augmented copies of them, and distances of features."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from bench.evaluate.subject import Subject
from bench.metrics.distances import SquaredDistances

BLOCK = 512  # images whose distances are held at once


class FeatureDistance:
    """Euclidean distances of an extractor's features, with the two functions of `LpipsSpace`."""

    def __init__(self, subject: Subject, extractor: str) -> None:
        self._subject, self._extractor = subject, extractor

    def distances(self, one_NHWC: np.ndarray, other_NHWC: np.ndarray) -> np.ndarray:
        """The distance (N,) of each pair of uint8 images."""
        one, other = (self._subject.features(images, self._extractor) for images in (one_NHWC, other_NHWC))
        far_N: np.ndarray = np.linalg.norm(one.astype(np.float64) - other, axis=1)
        return far_N

    def nearest(self, images_NHWC: np.ndarray, targets_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each image (N) the target (M) that is nearest, the first of equals: distance (N,), and its index (N,)."""
        found = self._subject.features(targets_NHWC, self._extractor, keep=True)
        made = self._subject.features(images_NHWC, self._extractor)
        far_N = np.sqrt(SquaredDistances(found, made).smallest(0))
        return far_N, nearest_of(made, found)


def nearest_of(points_ND: np.ndarray, targets_MD: np.ndarray) -> np.ndarray:
    """The index (N,) of the target that is nearest to each point, the first of equals."""
    targets = targets_MD.astype(np.float64)
    squares_M, index = np.square(targets).sum(1), []
    for start in range(0, len(points_ND), BLOCK):
        block = points_ND[start : start + BLOCK].astype(np.float64)
        index.append((squares_M - 2 * block @ targets.T).argmin(1))
    return np.concatenate(index)


def augmented(images_NHWC: np.ndarray, crop: float, stream: torch.Generator) -> np.ndarray:
    """uint8 images, half of them mirrored, of each a random square of this share of its area, at the old size.

    Enlarged by the bicubic filter, and rounded to uint8 as they were.
    """
    resolution = images_NHWC.shape[1]
    side = max(1, round(resolution * crop**0.5))
    made = np.empty_like(images_NHWC)
    for place, image in enumerate(images_NHWC):
        mirror = torch.rand((), generator=stream) < 0.5
        top, left = torch.randint(resolution - side + 1, (2,), generator=stream).tolist()
        cut = (image[:, ::-1] if mirror else image)[top : top + side, left : left + side]
        x_NCHW = torch.from_numpy(np.array(cut, order="C")).permute(2, 0, 1)[None].float()
        size = (resolution, resolution)
        large = functional.interpolate(x_NCHW, size, mode="bicubic", antialias=True, align_corners=False)
        made[place] = large[0].permute(1, 2, 0).round().clamp(0, 255).numpy().astype(np.uint8)
    return made
