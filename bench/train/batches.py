"""Mini-batches by number: the images of batch i depend on the seed and i alone."""

from __future__ import annotations

from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from bench import seeds
from bench.contract.context import Batch
from bench.contract.numbers import to_device
from bench.files.memory_map import is_mapped, rows
from bench.networks.common.pixels import to_signed
from bench.train.ahead import Ahead

AHEAD_BYTES, MOST_AHEAD = 2**28, 8  # of images that are read ahead: bytes and batches at most
RESIDENT_BYTES = 2**30  # a set of so many bytes at most is kept on a GPU, as uint8
PLACES_AHEAD = 64  # batches whose places in the set go to a GPU at once


class Batches:
    """Shuffled passes over a training set, cut into batches of equal size that run across the ends of passes.

    images_u8_NHWC: uint8, any length above zero; a batch may be larger than the set. No history is kept: a
    resumed run asks for its next position and gets the same batch as the uninterrupted run.

    Inside `with`, a thread reads images that lie on disk before they are asked for, so that no step waits for the
    disk; images in memory need none. The batches are the same. What is held in memory is independent of the size of the
    set but for the order of a pass, 8 bytes an image, twice at the end of one: 48 MB for 3 million images.

    resident: the whole set lies on the device, as uint8, and a batch is picked there; nothing waits for a copy. By
    default on every device but a CPU, for sets of up to `RESIDENT_BYTES`. The batches are the same.
    """

    def __init__(
        self,
        images_u8_NHWC: np.ndarray,
        batch: int,
        seed: int,
        *,
        flip: bool = False,
        device: torch.device | None = None,
        resident: bool | None = None,
    ) -> None:
        self.images_u8_NHWC = images_u8_NHWC
        self.batch = batch
        self.seed = seed
        self.flip = flip
        self.device = device or torch.device("cpu")
        small = self.device.type != "cpu" and images_u8_NHWC.nbytes <= RESIDENT_BYTES
        self.resident = small if resident is None else resident
        self._images_NHWC: Tensor | None = None  # on the device, of a resident set
        self._places: dict[int, tuple[Tensor, Tensor]] = {}
        self._orders: dict[int, np.ndarray] = {}
        self._ahead: Ahead[tuple[np.ndarray, np.ndarray]] | None = None

    def __enter__(self) -> Batches:
        if is_mapped(self.images_u8_NHWC) and not self.resident:
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
        if self.resident:
            return self.picked(*self.places(position))
        images_NHWC, index_N = self._read(position) if self._ahead is None else self._ahead.at(position)
        images = to_device(torch.from_numpy(images_NHWC), self.device).permute(0, 3, 1, 2)
        return Batch(to_signed(images), to_device(torch.from_numpy(index_N), self.device))

    def places(self, position: int) -> tuple[Tensor, Tensor]:
        """Which images a batch of a resident set has, (N,) long, and which of them are mirrored, (N,) bool.

        On the device, where those of the next `PLACES_AHEAD` batches come with them.
        """
        if position not in self._places:
            ahead = range(position, position + PLACES_AHEAD)
            chosen = [self._chosen(number) for number in ahead]
            pairs = (to_device(torch.from_numpy(np.stack(part)), self.device) for part in zip(*chosen, strict=True))
            self._places = dict(zip(ahead, zip(*pairs, strict=True), strict=True))
        return self._places[position]

    def picked(self, index_N: Tensor, mirrored_N: Tensor) -> Batch:
        """A batch of these places of a resident set; nothing waits for the device, but the first time."""
        if self._images_NHWC is None:
            self._images_NHWC = torch.from_numpy(np.array(self.images_u8_NHWC)).to(self.device)
        images_NHWC = self._images_NHWC[index_N]
        if self.flip:
            images_NHWC = torch.where(mirrored_N[:, None, None, None], images_NHWC.flip(2), images_NHWC)
        return Batch(to_signed(images_NHWC.permute(0, 3, 1, 2)), index_N)

    def _chosen(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """The indices (N,) of a batch's images, and whether each is mirrored, (N,)."""
        # Which images: places in the endless sequence of passes, each with its own order.
        place_N = np.arange(position * self.batch, (position + 1) * self.batch)
        epoch_N, offset_N = np.divmod(place_N, len(self.images_u8_NHWC))
        index_N = np.array([self._order(int(e))[o] for e, o in zip(epoch_N, offset_N, strict=True)])

        # With `flip` half of them are mirrored.
        if not self.flip:
            return index_N, np.zeros(self.batch, bool)
        return index_N, seeds.numpy_stream(self.seed, "flip", position).random(self.batch) < 0.5

    def _read(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """The images (N, H, W, C) uint8 of a batch and their indices (N,): all of it that needs the disk."""
        index_N, mirrored_N = self._chosen(position)
        images_NHWC = rows(self.images_u8_NHWC, index_N)
        if self.flip:
            images_NHWC[mirrored_N] = images_NHWC[mirrored_N, :, ::-1]
        return images_NHWC, index_N

    def _order(self, epoch: int) -> np.ndarray:
        """The order of a pass (M,); those of the last two are kept."""
        order = self._orders.get(epoch)
        if order is None:
            order = seeds.numpy_stream(self.seed, "order", epoch).permutation(len(self.images_u8_NHWC))
            self._orders = {old: kept for old, kept in self._orders.items() if old == epoch - 1} | {epoch: order}
        return order
