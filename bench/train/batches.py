"""Mini-batches by number: the images of batch i depend on the seed and i alone."""

from __future__ import annotations

import numpy as np
import torch

from bench import seeds
from bench.contract.context import Batch
from bench.files.memory_map import rows


class Batches:
    """Shuffled passes over a training set, cut into batches of equal size that run across the ends of passes.

    images_u8_NHWC: uint8, any length above zero; a batch may be larger than the set. No history is kept: a
    resumed run asks for its next position and gets the same batch as the uninterrupted run.
    """

    def __init__(
        self,
        images_u8_NHWC: np.ndarray,
        batch: int,
        seed: int,
        *,
        flip: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.images_u8_NHWC = images_u8_NHWC
        self.batch = batch
        self.seed = seed
        self.flip = flip
        self.device = device or torch.device("cpu")
        self._orders: dict[int, np.ndarray] = {}

    def at(self, position: int) -> Batch:
        """Batch number `position` (from 0): images (N, C, H, W) in [-1, 1] and their indices (N,)."""
        # Which images: places in the endless sequence of passes, each with its own order.
        place_N = np.arange(position * self.batch, (position + 1) * self.batch)
        epoch_N, offset_N = np.divmod(place_N, len(self.images_u8_NHWC))
        index_N = np.array([self._order(int(e))[o] for e, o in zip(epoch_N, offset_N, strict=True)])

        # Their pixels, half of them mirrored with `flip`.
        images_NHWC = rows(self.images_u8_NHWC, index_N)
        if self.flip:
            mirrored = seeds.numpy_stream(self.seed, "flip", position).random(self.batch) < 0.5
            images_NHWC[mirrored] = images_NHWC[mirrored, :, ::-1]
        images = torch.from_numpy(images_NHWC).to(self.device).permute(0, 3, 1, 2)
        return Batch(to_signed(images), torch.from_numpy(index_N).to(self.device))

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {old: order for old, order in self._orders.items() if old == epoch - 1}
            stream = seeds.numpy_stream(self.seed, "order", epoch)
            self._orders[epoch] = stream.permutation(len(self.images_u8_NHWC))
        return self._orders[epoch]


def to_signed(images_u8: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 to contiguous float32 in [-1, 1]."""
    return images_u8.contiguous().float().div_(127.5).sub_(1.0)
