"""Images of a finished run's generator in the classes of given training images: a data set in place of the real one."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from bench import seeds
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.common.pixels import to_signed, to_uint8
from bench.spec.run import readable
from bench.train import Context
from bench.train.sampling import batch_statistics


class ClassSamples:
    """One sample for each training image of a run, of the same class (Ravuri and Vinyals 2019, section 3).

    Of the averaged generator of the source `role` at its final weights. No sample is kept: the latent of sample i
    depends on the seed and i alone, so that it is the same in every pass (but for noise that the generator draws).

    Raises UserError for a source that is no run, is of another data set, cannot be asked for a class, or has not been
    trained on one that is needed.
    """

    def __init__(self, ctx: Context, method: str, role: str) -> None:
        opened = ctx.source_run(role)
        run, sampler = opened.ctx, opened.class_sampler
        what = f"method '{method}', source '{role}'"
        mine, theirs = ctx.spec.data, run.spec.data
        if (mine.name, mine.resolution) != (theirs.name, theirs.resolution):
            raise UserError(
                f"{what}: it makes images of '{theirs.name}' at {theirs.resolution} px, must be of this run's set, "
                f"'{mine.name}' at {mine.resolution} px"
            )
        if sampler is None or run.ema is None:
            raise UserError(f"{what}: its method '{readable(run.spec.method)}' cannot be asked for a class")
        assert ctx.labels_N is not None
        known = set() if run.labels_N is None else set(run.labels_N.tolist())
        if unknown := set(ctx.labels_N.tolist()) - known:
            raise UserError(f"{what}: it has been trained on no image of class {min(unknown)}")
        self.generator, self.sampler = run.ema, sampler
        self.labels_N = torch.from_numpy(ctx.labels_N.copy()).long()
        self.own_statistics = run.train.batch_statistics is not None

    @torch.no_grad()
    def at(self, ctx: Context, index_N: Tensor) -> Tensor:
        """The samples of these training images, (N, 3, H, W) in [-1, 1], rounded as saved pictures are."""
        drawn = [
            torch.randn(self.generator.z_dim, generator=seeds.torch_stream(ctx.spec.seed, "class-samples", place))
            for place in index_N.tolist()
        ]
        statistics = batch_statistics(self.generator) if self.own_statistics else nullcontext()
        with noise.drawn_from(ctx.stream("class-samples-noise")), statistics:
            labels_N = self.labels_N[index_N.cpu()]
            z_NZ = torch.stack(drawn).to(ctx.device)
            images_NCHW = self.sampler(self.generator, z_NZ, labels_N, ctx.stream("class-samples"))
        images_u8 = torch.from_numpy(to_uint8(images_NCHW)).permute(0, 3, 1, 2)
        return to_signed(images_u8).to(ctx.device)
