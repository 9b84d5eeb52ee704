"""Checkpoints of FastGAN's released code (Liu et al. 2021; github.com/hugobb/FastGAN-pytorch, commit 4963d49).

Two kinds of files at 256, 512 and 1024 pixels, with or without DataParallel's `module.` before each name:
STEP.pth = {g, d}, where g has the averaged parameters, and all_STEP.pth = {g, d, g_ema, opt_g, opt_d}, where g is the
trained generator and g_ema a list of its averaged parameters in its own order. Buffers (batch statistics, spectral
norm's vectors) are the trained generator's in both. The released sampler leaves G in training mode, so that its images
use the batch's statistics; here, as everywhere, images are drawn in evaluation mode.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.convert.foreign_state import ForeignState
from bench.convert.states import entries, state
from bench.convert.translation import Converted, Translation
from bench.errors import UserError
from bench.files.foreign import load

WHAT = "FastGAN"
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)  # of the generator's maps after the first
NOISY = (8, 32, 128, 512)  # those whose block has two convolutions with noise
EXCITED = (64, 128, 256, 512)
FIRST_WIDTH = 16  # width of the generator's first map, in ngf
LAST_WIDTH = 8  # width of D's last map, in ndf
DOWNS = ("down_4", "down_8", "down_16", "down_32", "down_64")
GATES = {3: "se_2_16", 4: "se_4_32", 5: "se_8_64"}  # D's block -> the gate on its output
DECODERS = {"whole": "decoder_big", "part": "decoder_part", "small": "decoder_small"}
LEFT_OUT = {"opt_g": "of training only", "opt_d": "of training only"}
BUFFER = re.compile(r"(.*\.)?(weight_u|weight_v|running_mean|running_var|num_batches_tracked)")


def convert(files: list[Path], network: str | None) -> Converted:
    """One file with both networks."""
    if len(files) > 1:
        raise UserError(f"checkpoint {files[1]}: a {WHAT} checkpoint is one file")
    value = entries(load(files[0]), files[0], WHAT, ("g", "d"), LEFT_OUT | {"g_ema": "taken below"})
    generator = state(value["g"], f"checkpoint {files[0]}, 'g'", f"{WHAT} generator")
    if "g_ema" in value:
        generator = _averaged(generator, value["g_ema"])
    judge = state(value["d"], f"checkpoint {files[0]}, 'd'", f"{WHAT} discriminator")
    resolution = next((size for size in (1024, 512) if f"feat_{size}.1.weight_orig" in generator), 256)
    options: dict[str, Any] = {
        "z_dim": generator.size("init.init.0.weight_orig", 0, 4),
        "ngf": max(1, generator.size("init.init.0.weight_orig", 1, 4) // (2 * FIRST_WIDTH)),
        "ndf": max(1, judge.size("rf_big.0.weight_orig", 1, 4) // LAST_WIDTH),
        "decoder_width": judge.size("decoder_big.main.5.weight_orig", 1, 4),
    }
    translation = _generator(generator, resolution)
    return Converted(f"fastgan-{resolution}", options, translation, _discriminator(judge, resolution))


def _averaged(foreign: ForeignState, average: Any) -> ForeignState:
    """The generator's state with the parameters of the list, which has them in the state's order."""
    names = [key for key in foreign if not BUFFER.fullmatch(key)]
    where = foreign.where.replace("'g'", "'g_ema'")
    if not isinstance(average, list | tuple) or len(average) != len(names):
        length = len(average) if isinstance(average, list | tuple) else f"a {type(average).__name__}"
        raise UserError(f"{where}: {length}; must be a list of {len(names)} tensors, one a parameter of 'g'")
    parameters = ForeignState(dict(zip(names, average, strict=True)), where, foreign.what)
    for position, name in enumerate(names):
        shape, own = tuple(foreign.look(name).shape), tuple(parameters.look(name).shape)
        if own != shape:
            raise UserError(f"{where}: number {position} ('{name}' of 'g') is {own}, must be {shape}")
    buffers = {key: value for key, value in foreign.raw().items() if BUFFER.fullmatch(key)}
    return ForeignState({**parameters.raw(), **buffers}, where, foreign.what)


def _generator(foreign: ForeignState, resolution: int) -> Translation:
    translation = Translation(foreign)
    translation.hooked("first.0", "init.init.0")
    translation.batch_norm("first.1", "init.init.1")

    # The blocks, whose layers are numbered alike in both.
    for number, size in enumerate(size for size in SIZES if size <= resolution):
        ours, theirs = f"blocks.{number}", f"feat_{size}"
        translation.hooked(f"{ours}.1", f"{theirs}.1")
        if size in NOISY:
            translation.copy(f"{ours}.2.weight", f"{theirs}.2.weight")
            translation.batch_norm(f"{ours}.3", f"{theirs}.3")
            translation.hooked(f"{ours}.5", f"{theirs}.5")
            translation.copy(f"{ours}.6.weight", f"{theirs}.6.weight")
            translation.batch_norm(f"{ours}.7", f"{theirs}.7")
        else:
            translation.batch_norm(f"{ours}.2", f"{theirs}.2")

    # Skip-layer excitations, and the two outputs.
    for size in EXCITED:
        if size <= resolution:
            _gate(translation, f"excitations.{size}", f"se_{size}")
    translation.hooked("to_image", "to_big")
    translation.hooked("to_small", "to_128")
    return translation


def _gate(translation: Translation, ours: str, theirs: str) -> None:
    translation.hooked(f"{ours}.squeeze", f"{theirs}.main.1")
    translation.hooked(f"{ours}.project", f"{theirs}.main.3")


def _discriminator(foreign: ForeignState, resolution: int) -> Translation:
    translation = Translation(foreign)
    translation.hooked("blocks.0.0", "down_from_big.0")
    if resolution == 1024:
        translation.hooked("blocks.0.2", "down_from_big.2")
        translation.batch_norm("blocks.0.3", "down_from_big.3")

    # The halving blocks: layers and norms of the main and the side path, then the gate.
    for number, theirs in enumerate(DOWNS, start=1):
        ours = f"blocks.{number}"
        for layer, norm, (our_path, their_path) in (
            (0, 1, ("main", "main")),
            (3, 4, ("main", "main")),
            (1, 2, ("side", "direct")),
        ):
            translation.hooked(f"{ours}.{our_path}.{layer}", f"{theirs}.{their_path}.{layer}")
            translation.batch_norm(f"{ours}.{our_path}.{norm}", f"{theirs}.{their_path}.{norm}")
        if number in GATES:
            _gate(translation, f"{ours}.gate", GATES[number])

    # The heads, and the decoders.
    translation.hooked("head.0", "rf_big.0")
    translation.batch_norm("head.1", "rf_big.1")
    translation.hooked("head.3", "rf_big.3")
    _small_branch(translation)
    for name, theirs in DECODERS.items():
        for up in range(4):
            translation.hooked(f"decoders.{name}.ups.{up}.1", f"{theirs}.main.{up + 1}.1")
            translation.batch_norm(f"decoders.{name}.ups.{up}.2", f"{theirs}.main.{up + 1}.2")
        translation.hooked(f"decoders.{name}.to_image", f"{theirs}.main.5")
    return translation


def _small_branch(translation: Translation) -> None:
    """Theirs nests each block's three layers; ours has all in one row."""
    translation.hooked("small_branch.0", "down_from_small.0")
    for block in range(3):
        theirs, place = f"down_from_small.{block + 2}.main", 2 + 3 * block
        translation.hooked(f"small_branch.{place}", f"{theirs}.0")
        translation.batch_norm(f"small_branch.{place + 1}", f"{theirs}.1")
    translation.hooked("small_head", "rf_small")
