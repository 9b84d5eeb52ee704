"""BigGAN-PyTorch's checkpoints (Brock et al. 2019; github.com/ajbrock/BigGAN-PyTorch) at 32 and 128 pixels.

G_ema.pth and D.pth are state dicts. Known forms: a shared class embedding or a table in every norm, hierarchical z or
not, G with spectral norm or without, wide or thin D, attention or none; batch statistics of torch's function
(`stored_mean`) or of its own layer (`bn.stored_mean`). Classes become one-hot conditions. The epsilons are not in the
files: batch norm's must be 1e-5, its default; spectral norm's only matters to a weight that is nearly zero.

Refused: cross-replica batch norm, whose layer has other names (`bn.running_mean`). In the released code it multiplies
by the class' gain in training on several devices only, and adds it otherwise, outside training too (issue 96 there):
the same file stands for two functions. The network's own images are those of the second, and no norm here adds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.convert.foreign_state import ForeignState
from bench.convert.states import by_role
from bench.convert.translation import Converted, Translation, transposed
from bench.errors import UserError
from bench.files.foreign import load

WHAT = "BigGAN-PyTorch"
MARKS = {"generator": "output_layer.2.weight", "discriminator": "embed.weight"}
BOTTOM = 4  # height and width of the generator's first map
BLOCKS = {3: 32, 5: 128}  # the generator's blocks -> resolution
G_FIRST = {32: 4, 128: 16}  # width of the generator's first map, in channels
D_FIRST = {32: 4, 128: 1}  # width of D's first block
DOWN = {32: 2, 128: 5}  # D's halving blocks
ATTENTION = {"theta": "queries", "phi": "keys", "g": "values", "o": "out"}


def convert(files: list[Path], network: str | None) -> Converted:
    """G_ema.pth, and D.pth where there is one; of a folder, the files of these names in it."""
    files = _named(files)
    states = by_role([(path, load(path)) for path in files], MARKS, WHAT)
    generator = states["generator"]
    blocks = generator.count("blocks.")
    if blocks not in BLOCKS:
        raise UserError(
            f"{generator.where}: {blocks} blocks (key 'blocks.{blocks - 1}.0.conv1.weight'); networks here have "
            "3 (32 px) or 5 (128 px)"
        )
    resolution = BLOCKS[blocks]
    options = _generator_options(generator, blocks, resolution)
    translation = _generator(generator, blocks, options)
    judge = None
    if "discriminator" in states:
        options |= _discriminator_options(states["discriminator"], resolution)
        judge = _discriminator(states["discriminator"])
    return Converted(f"biggan-{resolution}", options, translation, judge, files=files)


def _named(files: list[Path]) -> list[Path]:
    if len(files) > 1 or not files[0].is_dir():
        return files
    average, judge = files[0] / "G_ema.pth", files[0] / "D.pth"
    if not average.is_file():
        raise UserError(f"folder {files[0]} has no G_ema.pth; name the generator's file itself, e.g. G.pth")
    return [average, judge] if judge.is_file() else [average]


def _generator_options(foreign: ForeignState, blocks: int, resolution: int) -> dict[str, Any]:
    chunk, first = foreign.size("linear.weight", 1, 2), foreign.size("linear.weight", 0, 2)
    gain = "blocks.0.0.bn1.gain.weight"
    shared = "shared.weight" in foreign
    classes = foreign.size("shared.weight" if shared else gain, 0, 2)
    shared_dim = foreign.size("shared.weight", 1, 2) if shared else None
    if not shared and foreign.size(gain, 1, 2) * BOTTOM**2 != first:
        raise UserError(
            f"{foreign.where}: the key 'shared.weight' is missing, and '{gain}' of shape "
            f"{tuple(foreign.look(gain).shape)} is no table of a gain a class and channel"
        )
    hierarchical = shared and foreign.size(gain, 1, 2) != shared_dim
    return {
        "z_dim": chunk * (blocks + 1) if hierarchical else chunk,
        "condition_dim": classes,
        "shared_dim": shared_dim,
        "hierarchical": hierarchical,
        "g_channels": max(1, first // (BOTTOM**2 * G_FIRST[resolution])),
        "attention": _attention_size(foreign, lambda block: BOTTOM * 2 ** (block + 1)),
        "sn_generator": "linear.u0" in foreign,
    }


def _discriminator_options(foreign: ForeignState, resolution: int) -> dict[str, Any]:
    out = foreign.size("blocks.0.0.conv2.weight", 0, 4)
    return {
        "d_channels": max(1, out // D_FIRST[resolution]),
        # A thin block's hidden width is its input's, in the first block the image's 3.
        "d_wide": foreign.size("blocks.0.0.conv1.weight", 0, 4) == out,
        "attention": _attention_size(foreign, lambda block: resolution >> min(block + 1, DOWN[resolution])),
    }


def _attention_size(foreign: ForeignState, size: Callable[[int], int]) -> int | None:
    """The size of the map that attention follows; UserError for more than one."""
    pattern = re.compile(r"blocks\.([0-9]{1,4})\.1\.theta\.weight")
    numbers = sorted(int(match[1]) for key in foreign if (match := pattern.fullmatch(key)))
    if len(numbers) > 1:
        raise UserError(
            f"{foreign.where}: 'blocks.{numbers[1]}.1.theta.weight' is a second attention; "
            "networks here have one at most"
        )
    return size(numbers[0]) if numbers else None


def _generator(foreign: ForeignState, blocks: int, options: dict[str, Any]) -> Translation:
    translation = Translation(foreign)
    layer = partial(translation.iterated, vector="u0", sigma="sv0") if options["sn_generator"] else translation.plain
    layer("linear", "linear")

    # The blocks: convolutions, norms, and attention after one of them.
    for number in range(blocks):
        ours, theirs = f"blocks.{number}", f"blocks.{number}.0"
        for name in ("conv1", "conv2"):
            layer(f"{ours}.{name}", f"{theirs}.{name}")
        layer(f"{ours}.shortcut", f"{theirs}.conv_sc")
        for norm in (1, 2):
            _statistics(translation, f"{ours}.norm{norm}.norm", f"{theirs}.bn{norm}")
            if options["shared_dim"] is not None:
                layer(f"{ours}.norm{norm}.gain", f"{theirs}.bn{norm}.gain")
                layer(f"{ours}.norm{norm}.bias", f"{theirs}.bn{norm}.bias")
        _attention(translation, layer, number)

    # The way to the image, and the embedding of the class.
    _statistics(translation, "norm", "output_layer.0")
    translation.copy("norm.weight", "output_layer.0.gain")
    translation.copy("norm.bias", "output_layer.0.bias")
    layer("conv", "output_layer.2")
    if options["shared_dim"] is not None:
        translation.copy("condition_embedding.weight", "shared.weight", transposed)
    else:
        _tables(translation, blocks)
    return translation


def _statistics(translation: Translation, ours: str, theirs: str) -> None:
    """The running mean and variance of a batch norm, under either of the names that they have."""
    foreign = translation.foreign
    if (key := f"{theirs}.bn.running_mean") in foreign:
        raise UserError(
            f"{foreign.where}: '{key}' is of cross-replica batch norm, which outside training adds the gain where the "
            "batch norm here multiplies; only batch statistics named stored_mean and stored_var are read"
        )
    form = f"{theirs}.bn." if f"{theirs}.bn.stored_mean" in foreign else f"{theirs}."
    translation.copy(f"{ours}.running_mean", f"{form}stored_mean")
    translation.variance(f"{ours}.running_var", f"{form}stored_var")
    translation.put(f"{ours}.num_batches_tracked", torch.zeros((), dtype=torch.int64), f"{form}stored_mean")
    if (counter := f"{form}accumulation_counter") in foreign and bool(foreign.take(counter, shape=(1,)).any()):
        raise UserError(
            f"{foreign.where}: '{counter}' is not 0: the statistics beside it are sums over batches, "
            "not running means, which are what is read"
        )


def _attention(translation: Translation, layer: Callable[[str, str], None], number: int) -> None:
    theirs = f"blocks.{number}.1"
    if not translation.foreign.has(theirs):
        return
    for their_name, name in ATTENTION.items():
        layer(f"blocks.{number}.attention.{name}", f"{theirs}.{their_name}")
    translation.copy(f"blocks.{number}.attention.gamma", f"{theirs}.gamma")


def _tables(translation: Translation, blocks: int) -> None:
    """Every norm's tables of gains and biases by class, side by side in one map of one-hot conditions."""
    names = [f"blocks.{number}.0.bn{norm}" for number in range(blocks) for norm in (1, 2)]
    widths = [
        translation.tensors[f"blocks.{number}.norm{norm}.norm.running_mean"].numel()
        for number in range(blocks)
        for norm in (1, 2)
    ]
    classes = translation.foreign.size(f"{names[0]}.gain.weight", 0, 2)
    tables = [
        translation.foreign.take(f"{name}.{kind}.weight", shape=(classes, widths[place]))
        for place, name in enumerate(names)
        for kind in ("gain", "bias")
    ]
    translation.put("condition_embedding.weight", torch.cat(tables, dim=1).T, f"{names[0]}.gain.weight")


def _discriminator(foreign: ForeignState) -> Translation:
    translation = Translation(foreign)
    layer = partial(translation.iterated, vector="u0", sigma="sv0")
    for number in range(foreign.count("blocks.")):
        ours, theirs = f"blocks.{number}", f"blocks.{number}.0"
        layer(f"{ours}.conv1", f"{theirs}.conv1")
        layer(f"{ours}.conv2", f"{theirs}.conv2")
        if foreign.has(f"{theirs}.conv_sc"):
            layer(f"{ours}.shortcut", f"{theirs}.conv_sc")
        _attention(translation, layer, number)
    layer("linear", "linear")
    layer("condition_embedding", "embed", turned=True)
    return translation
