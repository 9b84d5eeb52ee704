"""LPIPS between many images: nearest ones, and all pairs of a group, without a pass of the network for each pair.

LPIPS (Zhang et al. 2018, Eq. 1) is a sum over layers of the mean over positions of sum_c w_c (a_c - b_c)^2, a and b
normalised over channels. With a_c scaled by sqrt(w_c / positions) and all layers in one vector that is a squared
Euclidean distance: a pass for each image, and a matrix product for the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import lpips
import numpy as np
import torch
from torch import Tensor

from bench.features.extractor import without_tf32
from bench.features.perceptual import lpips_distance
from bench.features.resize import resize_u8

BUDGET = 2**28  # bytes of vectors that are held at once, of either side
ON_GPU = 8  # times as many there: the more, the fewer passes of the targets
BATCH = 16  # images in a pass of the network


class LpipsSpace:
    """Images as vectors whose squared distances are LPIPS.

    net: alex or vgg. size: pixels to which images are resized before (clean-fid's filter); None: their own size.
    pause: called between batches; an exception of it ends the work. Raises UserError as `lpips_distance`.
    """

    def __init__(
        self, net: str, size: int | None = None, device: str = "cpu", pause: Callable[[], None] = lambda: None
    ) -> None:
        self._module: Any = lpips_distance(net, device)  # of a package without types
        self._size, self._device, self._pause = size, device, pause

    @torch.inference_mode()
    def vectors(self, images_NHWC: np.ndarray) -> Tensor:
        """Vectors (N, D) float32 of uint8 images (N, H, W, 3), on the device: 2.5 MB an image of 256 px (alex)."""
        parts = []
        with without_tf32():
            for start in range(0, len(images_NHWC), BATCH):
                x_NCHW = self._module.scaling_layer(self._signed(images_NHWC[start : start + BATCH]))
                layers = []
                for map_NCHW, head in zip(self._module.net(x_NCHW), self._module.lins, strict=True):
                    weights_C = head.model[-1].weight.flatten()  # at least 0, by LPIPS' training
                    scale_C11 = (weights_C / map_NCHW.shape[2:].numel()).sqrt()[:, None, None]
                    layers.append((lpips.normalize_tensor(map_NCHW) * scale_C11).flatten(1))
                parts.append(torch.cat(layers, 1))
                self._pause()
        return torch.cat(parts)

    @torch.inference_mode()
    def distances(self, one_NHWC: np.ndarray, other_NHWC: np.ndarray) -> np.ndarray:
        """LPIPS (N,) float64 of each pair of uint8 images, by the network itself: exactly 0 for equal images."""
        parts = []
        with without_tf32():
            for start in range(0, len(one_NHWC), BATCH):
                pair = (self._signed(images[start : start + BATCH]) for images in (one_NHWC, other_NHWC))
                parts.append(self._module(*pair).flatten().double().cpu())
                self._pause()
        return torch.cat(parts).numpy()

    def nearest(self, images_NHWC: np.ndarray, targets_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each image (N) the target (M) that is nearest, the first of equals: LPIPS (N,), and its index (N,).

        Of both sides only so many vectors are held that they fit into memory: targets are passed through the network
        again for every block of images.
        """
        index_N = np.concatenate([self._nearest(block, targets_NHWC) for block in self._blocks(images_NHWC)])
        return self.distances(images_NHWC, targets_NHWC[index_N]), index_N

    def mean_of_pairs(self, images_NHWC: np.ndarray) -> float:
        """The mean LPIPS of all pairs of N >= 2 images, whose vectors are held at once."""
        vectors = self.vectors(images_NHWC).double()
        # The sum over pairs of |a - b|^2 is N times the sum of squares about the mean.
        about_mean = (vectors - vectors.mean(0)).square().sum()
        return float(2 * about_mean / (len(vectors) - 1))

    def _nearest(self, images_NHWC: np.ndarray, targets_NHWC: np.ndarray) -> np.ndarray:
        """The index of the target nearest to each image of one block."""
        of_images, first = self.vectors(images_NHWC), 0
        best_N = torch.full((len(of_images),), torch.inf, device=of_images.device)
        index_N = torch.zeros(len(of_images), dtype=torch.long, device=of_images.device)
        for block_NHWC in self._blocks(targets_NHWC):
            with without_tf32():
                closest = squared_distances(of_images, self.vectors(block_NHWC)).min(1)
            nearer = closest.values < best_N
            best_N[nearer], index_N[nearer] = closest.values[nearer], closest.indices[nearer] + first
            first += len(block_NHWC)
        return index_N.cpu().numpy()

    def _blocks(self, images_NHWC: np.ndarray) -> Iterator[np.ndarray]:
        """The images in blocks whose vectors are at most BUDGET bytes, on a GPU ON_GPU times as many."""
        budget = BUDGET * (ON_GPU if torch.device(self._device).type == "cuda" else 1)
        count = max(1, budget // self.vectors(images_NHWC[:1]).nbytes)
        return (images_NHWC[start : start + count] for start in range(0, len(images_NHWC), count))

    def _signed(self, images_NHWC: np.ndarray) -> Tensor:
        """Float images (N, 3, size, size) in [-1, 1] on the device."""
        pixels_NHWC = resize_u8(images_NHWC, self._size or images_NHWC.shape[1])
        return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).to(self._device) / 127.5 - 1


def squared_distances(a_ND: Tensor, b_MD: Tensor) -> Tensor:
    """(N, M), by one matrix product: their last digits decide between distances that differ by rounding alone."""
    products = a_ND @ b_MD.T
    return (a_ND.square().sum(1)[:, None] + b_MD.square().sum(1) - 2 * products).clamp_(min=0)
