"""FreezeD: TransferGAN with the discriminator's first blocks frozen (Mo et al. 2020; DISP, appendix A)."""

from __future__ import annotations

from typing import ClassVar

from bench.errors import UserError
from bench.train import Context

from .transfergan import TransferGAN


class FreezeD(TransferGAN):
    """Freezes the parameters of `discriminator.blocks[:blocks]`, the layers nearest to the image.

    blocks: DISP freezes five of the six at 128 pixels, four of BigGAN's. A network with no more blocks than
    that keeps its last one trainable. Spectral norms of frozen layers still refine their estimate of the
    norm.
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
        for block in blocks[: min(self.blocks, len(blocks) - 1)]:
            block.requires_grad_(False)
