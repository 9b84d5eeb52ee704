"""Mini-batches by number: the images of batch i depend on the seed and i alone."""

from __future__ import annotations

from types import TracebackType

import numpy as np
import torch

from bench import seeds
from bench.contract.context import Batch
from bench.files.memory_map import is_mapped, rows
from bench.networks.common.pixels import to_signed
from bench.train.ahead import Ahead

AHEAD_BYTES, MOST_AHEAD = 2**28, 8  # of images that are read ahead: bytes and batches at most


class Batches:
    """Shuffled passes over a training set, cut into batches of equal size that run across the ends of passes.

    images_u8_NHWC: uint8, any length above zero; a batch may be larger than the set. No history is kept: a
    resumed run asks for its next position and gets the same batch as the uninterrupted run.

    Inside `with`, a thread reads images that lie on disk before they are asked for, so that no step waits for the
    disk; images in memory need none. The batches are the same. What is held in memory is independent of the size of the
    set but for the order of a pass, 8 bytes an image, twice at the end of one: 48 MB for 3 million images.
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
        self._ahead: Ahead[tuple[np.ndarray, np.ndarray]] | None = None

    def __enter__(self) -> Batches:
        if is_mapped(self.images_u8_NHWC):
            fitting = AHEAD_BYTES // max(1, self.batch * self.images_u8_NHWC[:1].nbytes)
            self._ahead = Ahead(self._read, min(max(1, fitting), MOST_AHEAD), "batches")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def at(self, position: int) -> Batch:
        """Batch number `position` (from 0): images (N, C, H, W) in [-1, 1] and their indices (N,)."""
        images_NHWC, index_N = self._read(position) if self._ahead is None else self._ahead.at(position)
        images = torch.from_numpy(images_NHWC).to(self.device).permute(0, 3, 1, 2)
        return Batch(to_signed(images), torch.from_numpy(index_N).to(self.device))

    def _read(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """The images (N, H, W, C) uint8 of a batch and their indices (N,): all of it that needs the disk."""
        # Which images: places in the endless sequence of passes, each with its own order.
        place_N = np.arange(position * self.batch, (position + 1) * self.batch)
        epoch_N, offset_N = np.divmod(place_N, len(self.images_u8_NHWC))
        index_N = np.array([self._order(int(e))[o] for e, o in zip(epoch_N, offset_N, strict=True)])

        # Their pixels, half of them mirrored with `flip`.
        images_NHWC = rows(self.images_u8_NHWC, index_N)
        if self.flip:
            mirrored = seeds.numpy_stream(self.seed, "flip", position).random(self.batch) < 0.5
            images_NHWC[mirrored] = images_NHWC[mirrored, :, ::-1]
        return images_NHWC, index_N

    def _order(self, epoch: int) -> np.ndarray:
        """The order of a pass (M,); those of the last two are kept."""
        order = self._orders.get(epoch)
        if order is None:
            order = seeds.numpy_stream(self.seed, "order", epoch).permutation(len(self.images_u8_NHWC))
            self._orders = {old: kept for old, kept in self._orders.items() if old == epoch - 1} | {epoch: order}
        return order
