"""FreezeD: TransferGAN with the discriminator's first blocks frozen (Mo et al. 2020; DISP, appendix A)."""

from __future__ import annotations

from typing import ClassVar

from bench.errors import UserError
from bench.networks.interface import HasBlocks
from bench.train import Context

from .transfergan import TransferGAN, new_in

DEFAULT = 5  # DISP: five of SNGAN's six blocks at 128 pixels
# Blocks that stay frozen where the number is not SNGAN's. DISP freezes four of BigGAN's. Of StyleGAN, FreezeD's code
# trains the last three parts (the last two blocks and the layers at 4x4) and the linear layer, at every resolution:
# three blocks are frozen at 128 pixels, four at 256. DISP cites that code for StyleGAN2, and so does FastGAN.
TRAINED_AT_THE_END = {"stylegan1": 2, "stylegan2": 2}
MOST = {"biggan": 4}


class FreezeD(TransferGAN):
    """Freezes the parameters of `discriminator.blocks[:n]`, the layers nearest to the image.

    blocks: the most that are frozen. 5, the default, is DISP's number for SNGAN, and for other networks stands for
    their published one: at most four of BigGAN's, all but the last two of StyleGAN's and StyleGAN2's (six at 1024
    pixels). A smaller number freezes fewer.
    exactly: this many, whatever the network; null: `blocks` decides.
    condition: as in `transfergan`. The last block of any network stays trainable. Spectral norms of frozen layers
    still refine their estimate of the norm, batch norms their statistics.
    """

    in_graphs = True
    splits = True
    papers = (
        ("Mo et al.", 2020, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs", "arXiv:2002.10964"),
    )

    sources: ClassVar[dict[str, str]] = {"network": ""}
    later: ClassVar[tuple[str, ...]] = ("exactly", "condition")

    def __init__(self, *, blocks: int = 5, exactly: int | None = None, condition: str = "new") -> None:
        for name, value in {"blocks": blocks, "exactly": exactly}.items():
            if value is not None and value < 1:
                raise UserError(f"method 'freezed': {name} is {value}, must be 1 or more")
        self.blocks = blocks
        self.exactly = exactly
        self.new = new_in(condition, "freezed")

    def prepare(self, ctx: Context) -> None:
        super().prepare(ctx)
        _, discriminator = ctx.networks()
        if not isinstance(discriminator, HasBlocks):
            raise UserError("method 'freezed': this discriminator has no blocks; use sngan or biggan")
        blocks = list(discriminator.blocks)
        assert ctx.spec.network is not None
        for block in blocks[: self.frozen_blocks(ctx.spec.network.name, len(blocks))]:
            block.requires_grad_(False)

    def frozen_blocks(self, network: str, count: int) -> int:
        """How many of the `count` blocks of a network's discriminator stay frozen.

        Raises UserError where `exactly` would freeze them all.
        """
        if self.exactly is not None:
            if self.exactly >= count:
                raise UserError(
                    f"method 'freezed': exactly is {self.exactly}, must be at most {count - 1}: {network} has {count} "
                    "blocks, and one must train"
                )
            return self.exactly
        family = network.rpartition("-")[0]
        if family in TRAINED_AT_THE_END:
            published = count - TRAINED_AT_THE_END[family]
            return published if self.blocks >= DEFAULT else min(self.blocks, published)
        return min(self.blocks, MOST.get(family, count), count - 1)
