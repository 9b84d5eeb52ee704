"""Public checkpoints turned into this project's weights: one file per format, named in FORMATS.

A converter takes files and the network that the user named, if any, and returns a `translation.Converted`. It raises
UserError for a tensor that it cannot place, or that is missing. `bench.convert.importing` checks the result against the
network and writes it.
Nothing in a checkpoint is ever executed.
"""

from __future__ import annotations

from bench.registry import Registry

FORMATS = Registry("checkpoint format")
FORMATS.add(
    "biggan-pytorch",
    "bench.convert.biggan_pytorch:convert",
    "BigGAN-PyTorch (Brock): G_ema.pth and D.pth, or the folder that holds them",
)
FORMATS.add(
    "mimicry-sngan",
    "bench.convert.mimicry_sngan:convert",
    "mimicry (Lee and Town): SNGAN's netG_*_steps.pth and netD_*_steps.pth",
)
FORMATS.add(
    "fastgan-released",
    "bench.convert.fastgan_released:convert",
    "FastGAN's released code: STEP.pth, or all_STEP.pth with its average",
)
FORMATS.add(
    "stylegan2-ada",
    "bench.convert.stylegan2_ada:convert",
    "stylegan2-ada-pytorch: network-snapshot-*.pkl, unconditional",
)
FORMATS.add(
    "stylegan1-port",
    "bench.convert.stylegan1_port:convert",
    "style-based-gan-pytorch (rosinality), as FreezeD has it: *.model, with --network for the size",
)
