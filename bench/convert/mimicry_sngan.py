"""mimicry's SNGAN checkpoints (Lee and Town 2020; github.com/kwotsin/mimicry) at 32, 48, 64 and 128 pixels.

netG_STEP_steps.pth and netD_STEP_steps.pth are dicts with a `model_state_dict`. mimicry doubles maps bilinearly, and
its blocks' first ReLU works in place, so that D's shortcuts read ReLU(x): `upsample: bilinear`, `d_shortcut:
rectified`. D's spectral norm is torch's hook, mimicry's default, or its own layer. It keeps no average: the generator
is the trained one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from bench.convert.foreign_state import ForeignState
from bench.convert.states import by_role, entries
from bench.convert.translation import Converted, Translation
from bench.errors import UserError
from bench.files.foreign import load

WHAT = "mimicry SNGAN"
MODEL = "model_state_dict"
LEFT_OUT = {"optimizer_state_dict": "of training only", "global_step": "how long it was trained"}
MARKS = {"generator": "l1.weight", "discriminator": "block1.c1.bias"}
# The generator's blocks, and the area of its first map -> resolution.
SIZES = {(3, 16): 32, (3, 36): 48, (4, 16): 64, (5, 16): 128}
D_HEAD = {32: "l5", 48: "l5", 64: "l6", 128: "l7"}
D_GROWTH = {32: 1, 48: 16, 64: 16, 128: 16}  # D's last width over its first
FIRST_BLOCK = {"generator": 2, "discriminator": 1}  # the number that its first block has


def convert(files: list[Path], network: str | None) -> Converted:
    """A generator's file, and a discriminator's where there is one."""
    states = by_role([(path, _model(path)) for path in files], MARKS, WHAT)
    generator = states["generator"]
    blocks = generator.count("block", FIRST_BLOCK["generator"])
    width = generator.size("block2.c1.weight", 1, 4)
    size = (blocks, generator.size("l1.weight", 0, 2) // width)
    if size not in SIZES:
        raise UserError(
            f"{generator.where}: {blocks} blocks and 'l1.weight' of shape "
            f"{tuple(generator.look('l1.weight').shape)} fit no {WHAT} of 32, 48, 64 or 128 px"
        )
    resolution = SIZES[size]
    options: dict[str, Any] = {
        "z_dim": generator.size("l1.weight", 1, 2),
        "g_width": width,
        "upsample": "bilinear",
        "d_shortcut": "rectified",
    }
    translation = _generator(generator, blocks)
    judge = None
    if "discriminator" in states:
        foreign = states["discriminator"]
        options["d_width"] = foreign.size("block1.c1.bias", 0, 1) * D_GROWTH[resolution]
        judge = _discriminator(foreign, D_HEAD[resolution])
    return Converted(f"sngan-{resolution}", options, translation, judge)


def _model(path: Path) -> Any:
    return entries(load(path), path, WHAT, (MODEL,), LEFT_OUT)[MODEL]


def _generator(foreign: ForeignState, blocks: int) -> Translation:
    translation = Translation(foreign)
    translation.plain("linear", "l1")
    first = FIRST_BLOCK["generator"]
    for number in range(blocks):
        ours, theirs = f"blocks.{number}", f"block{number + first}"
        translation.batch_norm(f"{ours}.norm1", f"{theirs}.b1")
        translation.batch_norm(f"{ours}.norm2", f"{theirs}.b2")
        translation.plain(f"{ours}.conv1", f"{theirs}.c1")
        translation.plain(f"{ours}.conv2", f"{theirs}.c2")
        translation.plain(f"{ours}.shortcut", f"{theirs}.c_sc")
    translation.batch_norm("norm", f"b{blocks + first}")
    translation.plain("conv", f"c{blocks + first}")
    return translation


def _discriminator(foreign: ForeignState, head: str) -> Translation:
    translation = Translation(foreign)
    own = "block1.c1.weight" in foreign
    layer = partial(translation.iterated, vector="sn_u", sigma="sn_sigma") if own else translation.hooked
    first = FIRST_BLOCK["discriminator"]
    for number in range(foreign.count("block", first)):
        ours, theirs = f"blocks.{number}", f"block{number + first}"
        layer(f"{ours}.conv1", f"{theirs}.c1")
        layer(f"{ours}.conv2", f"{theirs}.c2")
        if foreign.has(f"{theirs}.c_sc"):
            layer(f"{ours}.shortcut", f"{theirs}.c_sc")
    layer("linear", head)
    return translation
