"""Batch normalisation over the whole pass, also where its images lie on several ranks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.networks.common import sharing
from bench.networks.common.sharing import Share


class WholeBatchNorm2d(nn.BatchNorm2d):
    """torch's batch norm; where a pass is shared out, its statistics are of all ranks' images."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        share = sharing.active()
        if share is None or not self.training:
            return super().forward(x_NCHW)
        mean_C, variance_C = whole_statistics(x_NCHW.float(), share)
        self._follow(mean_C.detach(), variance_C.detach(), share.whole * x_NCHW[0, 0].numel())
        scale_C = (variance_C + self.eps).rsqrt()
        scale_C = scale_C if self.weight is None else scale_C * self.weight
        shift_C = -mean_C * scale_C if self.bias is None else self.bias - mean_C * scale_C
        return torch.addcmul(_as_map(shift_C), x_NCHW.float(), _as_map(scale_C)).to(x_NCHW.dtype)

    @torch.no_grad()
    def _follow(self, mean_C: Tensor, variance_C: Tensor, values: int) -> None:
        """Move the running statistics, as torch does: that of the variance is unbiased."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        step = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_C, step)
        self.running_var.lerp_(variance_C * (values / max(1, values - 1)), step)


def whole_statistics(x_NCHW: Tensor, share: Share) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (C,) over the images of all ranks, differentiable.

    Each rank's own are joined by the formula of Chan et al. (1983): no square of a mean is subtracted from a mean of
    squares, which would lose digits.
    """
    variance_C, mean_C = torch.var_mean(x_NCHW, dim=(0, 2, 3), correction=0)
    own = torch.cat([mean_C, variance_C, mean_C.new_full((1,), share.weight)])
    table = own.new_zeros((share.ranks.size, len(own))).index_copy(
        0, torch.tensor([share.ranks.rank], device=own.device), own[None]
    )
    table = sharing.summed(share.ranks, table)
    mean_RC, variance_RC, weights = table.split([len(mean_C), len(mean_C), 1], dim=1)  # weights: (R, 1)
    mean_C = (weights * mean_RC).sum(0)
    return mean_C, (weights * (variance_RC + (mean_RC - mean_C).square())).sum(0)


def _as_map(values_C: Tensor) -> Tensor:
    return values_C[None, :, None, None]
