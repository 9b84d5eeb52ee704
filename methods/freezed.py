"""FreezeD: TransferGAN with the discriminator's first blocks frozen (Mo et al. 2020; DISP, appendix A)."""

from __future__ import annotations

from typing import ClassVar

from bench.errors import UserError
from bench.train import Context

from .transfergan import TransferGAN

# DISP freezes five of SNGAN's six blocks at 128 pixels and four of BigGAN's. For StyleGAN2 it cites FreezeD's code,
# which is of StyleGAN: four of the blocks is declared.
MOST = {"biggan": 4, "stylegan2": 4}


class FreezeD(TransferGAN):
    """Freezes the parameters of `discriminator.blocks[:blocks]`, the layers nearest to the image.

    blocks: the most that are frozen: the default is DISP's five of SNGAN's, and for BigGAN and StyleGAN2 means their
    four. The last block of any network stays trainable. Spectral norms of frozen layers still refine their
    estimate of the norm, batch norms their statistics.
    """

    sources: ClassVar[dict[str, str]] = {"network": ""}

    def __init__(self, *, blocks: int = 5) -> None:
        if blocks < 1:
            raise UserError(f"method 'freezed': blocks is {blocks}, must be 1 or more")
        self.blocks = blocks

    def prepare(self, ctx: Context) -> None:
        super().prepare(ctx)
        _, discriminator = ctx.networks()
        if not hasattr(discriminator, "blocks"):
            raise UserError("method 'freezed': this discriminator has no blocks; use sngan or biggan")
        blocks = list(discriminator.blocks)  # type: ignore[arg-type]
        assert ctx.spec.network is not None
        most = MOST.get(ctx.spec.network.name.rpartition("-")[0], len(blocks))
        for block in blocks[: min(self.blocks, most, len(blocks) - 1)]:
            block.requires_grad_(False)
