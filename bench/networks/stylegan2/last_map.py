"""What the discriminators of StyleGAN and StyleGAN2 do with their last map: minibatch deviation, one more layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.networks.common import sharing
from bench.networks.common.conditioning import ProjectionDiscriminator
from bench.networks.interface import BatchStatistics, JudgesInGroups
from bench.networks.stylegan2.layers import EPSILON, activate


def append_minibatch_std(x_NCHW: Tensor, group: int) -> Tensor:
    """(N, C, H, W) -> (N, C+1, H, W): a channel with the mean standard deviation over groups of images.

    Images n, n+M, n+2M, ... with M = N / size form a group; size is the largest divisor of N up to `group`,
    so every batch size works (the original refuses an N that `group` does not divide). Karras et al. 2018,
    section 3. Where a pass is shared out among ranks, no group is parted, and N is that of the pass.
    """
    _, _, height, width = x_NCHW.shape
    size = group_size(sharing.whole(len(x_NCHW)), group)
    members = x_NCHW.unflatten(0, (size, -1))  # (size, M, C, H, W)
    variance_MCHW = (members - members.mean(dim=0)).square().mean(dim=0)
    deviation_M = (variance_MCHW + EPSILON).sqrt().mean(dim=(1, 2, 3))
    channel = deviation_M.repeat(size)[:, None, None, None].expand(-1, 1, height, width)  # (N, 1, H, W)
    return torch.cat([x_NCHW, channel], dim=1)


def group_size(count: int, group: int) -> int:
    """Of how many images a group is, among `count`."""
    return next(size for size in range(min(group, count), 0, -1) if count % size == 0)


class StyleDiscriminator(ProjectionDiscriminator, BatchStatistics, JudgesInGroups):
    """Its features are a linear map of all values of the last map, then a leaky ReLU; a subclass builds the layers.

    The minibatch standard deviation makes the logits of one image depend on its batch.
    """

    # A group of the minibatch standard deviation must not mix real and generated images: they are judged apart.
    batch_statistics = True

    fc: nn.Module
    mbstd_group: int

    def images_together(self, count: int) -> int:
        """How many of `count` images are judged together: a group of the minibatch standard deviation."""
        return group_size(count, self.mbstd_group)

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, R, R) -> (N, feature_dim), the penultimate layer after its leaky ReLU."""
        return activate(self.fc(self.feature_maps(images_NCHW).flatten(1)))
