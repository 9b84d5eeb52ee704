"""What a trace sees of a training at one of its snapshots: its networks, the images that were scored, and real ones."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bench.contract.context import Context
from bench.data import imageset
from bench.data.draws import held_out_images


class AtSnapshot:
    """A training at a snapshot.

    ctx: its networks, as they are between two steps, and its training images. images_NHWC: the images of G's average
    that were scored, uint8. batch: how many images are looked at at once.
    """

    def __init__(self, ctx: Context, batch: int) -> None:
        self.ctx, self.batch = ctx, batch
        self.images_NHWC = np.empty((0, 1, 1, 3), np.uint8)

    @property
    def train_images(self) -> np.ndarray:
        """The images (M, H, W, 3) uint8 that are trained on."""
        return self.ctx.images_u8_NHWC

    @cached_property
    def held_out(self) -> np.ndarray:
        """Real images (N, H, W, 3) uint8 that are not trained on: the draw's `holdout`, else the test split."""
        data = self.ctx.spec.data
        if data.holdout is not None:
            return held_out_images(data, self.ctx.spec.seed)
        return imageset.load(data.name, data.resolution).test
