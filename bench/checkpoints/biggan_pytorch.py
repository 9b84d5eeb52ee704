"""BigGAN-PyTorch's checkpoints (Brock et al. 2019; github.com/ajbrock/BigGAN-PyTorch) at 32 and 128 pixels.

G_ema.pth and D.pth are state dicts. Known forms: a shared class embedding or a table in every norm, hierarchical z or
not, G with spectral norm or without, wide or thin D, attention or none; batch statistics of its own layer, of its
standing-statistics layer (`bn.stored_mean`) or of the synchronised one (`bn.running_mean`). Classes become one-hot
conditions. The epsilons are not in the files: batch norm's must be 1e-5, its default; spectral norm's only matters
to a weight that is nearly zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.checkpoints.naming import Converted, Translation, transposed
from bench.checkpoints.read import Given, by_role, load
from bench.errors import UserError

WHAT = "BigGAN-PyTorch"
MARKS = {"generator": "output_layer.2.weight", "discriminator": "embed.weight"}
BOTTOM = 4  # height and width of the generator's first map
BLOCKS = {3: 32, 5: 128}  # the generator's blocks -> resolution
G_FIRST = {32: 4, 128: 16}  # width of the generator's first map, in channels
D_FIRST = {32: 4, 128: 1}  # width of D's first block
DOWN = {32: 2, 128: 5}  # D's halving blocks
ATTENTION = {"theta": "queries", "phi": "keys", "g": "values", "o": "out"}
COUNTERS = (".accumulation_counter", ".num_batches_tracked")  # of batch statistics; nothing here reads them


def convert(files: list[Path], network: str | None) -> Converted:
    """G_ema.pth, and D.pth where there is one; a folder stands for the files of these names in it."""
    files = _named(files)
    found = by_role([(path, load(path)) for path in files], MARKS, WHAT)
    generator = found["generator"]
    blocks = generator.count("blocks.")
    if blocks not in BLOCKS:
        raise UserError(
            f"{generator.where}: {blocks} blocks (key 'blocks.{blocks - 1}.0.conv1.weight'); networks here have "
            "3 (32 px) or 5 (128 px)"
        )
    resolution = BLOCKS[blocks]
    options = _generator_options(generator, blocks, resolution)
    made = _generator(generator, blocks, options)
    judge = None
    if "discriminator" in found:
        options |= _discriminator_options(found["discriminator"], resolution)
        judge = _discriminator(found["discriminator"])
    return Converted(f"biggan-{resolution}", options, made, judge, files=files)


def _named(files: list[Path]) -> list[Path]:
    if len(files) > 1 or not files[0].is_dir():
        return files
    average, judge = files[0] / "G_ema.pth", files[0] / "D.pth"
    if not average.is_file():
        raise UserError(f"folder {files[0]} has no G_ema.pth; name the generator's file itself, e.g. G.pth")
    return [average, judge] if judge.is_file() else [average]


def _generator_options(given: Given, blocks: int, resolution: int) -> dict[str, Any]:
    chunk, first = given.size("linear.weight", 1, 2), given.size("linear.weight", 0, 2)
    gain = "blocks.0.0.bn1.gain.weight"
    shared = "shared.weight" in given
    classes = given.size("shared.weight" if shared else gain, 0, 2)
    shared_dim = given.size("shared.weight", 1, 2) if shared else None
    hierarchical = shared and given.size(gain, 1, 2) != shared_dim
    return {
        "z_dim": chunk * (blocks + 1) if hierarchical else chunk,
        "condition_dim": classes,
        "shared_dim": shared_dim,
        "hierarchical": hierarchical,
        "g_channels": max(1, first // (BOTTOM**2 * G_FIRST[resolution])),
        "attention": _attention_size(given, lambda block: BOTTOM * 2 ** (block + 1)),
        "sn_generator": "linear.u0" in given,
    }


def _discriminator_options(given: Given, resolution: int) -> dict[str, Any]:
    out = given.size("blocks.0.0.conv2.weight", 0, 4)
    return {
        "d_channels": max(1, out // D_FIRST[resolution]),
        # A thin block's hidden width is its input's, in the first block the image's 3.
        "d_wide": given.size("blocks.0.0.conv1.weight", 0, 4) == out,
        "attention": _attention_size(given, lambda block: resolution >> min(block + 1, DOWN[resolution])),
    }


def _attention_size(given: Given, size: Callable[[int], int]) -> int | None:
    """The size of the map that attention follows; UserError for more than one."""
    pattern = re.compile(r"blocks\.([0-9]{1,4})\.1\.theta\.weight")
    found = sorted(int(match[1]) for key in given if (match := pattern.fullmatch(key)))
    if len(found) > 1:
        raise UserError(
            f"{given.where}: 'blocks.{found[1]}.1.theta.weight' is a second attention; networks here have one at most"
        )
    return size(found[0]) if found else None


def _generator(given: Given, blocks: int, options: dict[str, Any]) -> Translation:
    given.drop(lambda key: key.endswith(COUNTERS))
    made = Translation(given)
    layer = partial(made.iterated, vector="u0", sigma="sv0") if options["sn_generator"] else made.plain
    layer("linear", "linear")
    for number in range(blocks):
        ours, theirs = f"blocks.{number}", f"blocks.{number}.0"
        for name in ("conv1", "conv2"):
            layer(f"{ours}.{name}", f"{theirs}.{name}")
        layer(f"{ours}.shortcut", f"{theirs}.conv_sc")
        for norm in (1, 2):
            _statistics(made, f"{ours}.norm{norm}.norm", f"{theirs}.bn{norm}")
            if options["shared_dim"] is not None:
                layer(f"{ours}.norm{norm}.gain", f"{theirs}.bn{norm}.gain")
                layer(f"{ours}.norm{norm}.bias", f"{theirs}.bn{norm}.bias")
        _attention(made, layer, number)
    _statistics(made, "norm", "output_layer.0")
    made.copy("norm.weight", "output_layer.0.gain")
    made.copy("norm.bias", "output_layer.0.bias")
    layer("conv", "output_layer.2")
    if options["shared_dim"] is not None:
        made.copy("condition_embedding.weight", "shared.weight", transposed)
    else:
        _tables(made, blocks)
    return made


def _statistics(made: Translation, ours: str, theirs: str) -> None:
    """The running mean and variance of a batch norm, under any of the names that they have."""
    forms = (f"{theirs}.stored_", f"{theirs}.bn.stored_", f"{theirs}.bn.running_")
    form = next((form for form in forms if f"{form}mean" in made.given), forms[0])
    made.copy(f"{ours}.running_mean", f"{form}mean")
    made.copy(f"{ours}.running_var", f"{form}var")
    made.put(f"{ours}.num_batches_tracked", torch.zeros((), dtype=torch.int64), f"{form}mean")


def _attention(made: Translation, layer: Callable[[str, str], None], number: int) -> None:
    theirs = f"blocks.{number}.1"
    if f"{theirs}.theta.weight" not in made.given:
        return
    for their_name, name in ATTENTION.items():
        layer(f"blocks.{number}.attention.{name}", f"{theirs}.{their_name}")
    made.copy(f"blocks.{number}.attention.gamma", f"{theirs}.gamma")


def _tables(made: Translation, blocks: int) -> None:
    """Every norm's tables of gains and biases by class, side by side in one map of one-hot conditions."""
    names = [f"blocks.{number}.0.bn{norm}" for number in range(blocks) for norm in (1, 2)]
    tables = [made.given.take(f"{name}.{kind}.weight") for name in names for kind in ("gain", "bias")]
    for table in tables:
        if table.ndim != 2 or len(table) != len(tables[0]):
            raise UserError(
                f"{made.given.where}: a table of '{names[0]}.gain.weight' and its like has shape "
                f"{tuple(table.shape)}, must have {len(tables[0])} rows, one a class"
            )
    made.put("condition_embedding.weight", torch.cat(tables, dim=1).T, f"{names[0]}.gain.weight")


def _discriminator(given: Given) -> Translation:
    made = Translation(given)
    layer = partial(made.iterated, vector="u0", sigma="sv0")
    for number in range(given.count("blocks.")):
        ours, theirs = f"blocks.{number}", f"blocks.{number}.0"
        layer(f"{ours}.conv1", f"{theirs}.conv1")
        layer(f"{ours}.conv2", f"{theirs}.conv2")
        if f"{theirs}.conv_sc.weight" in given:
            layer(f"{ours}.shortcut", f"{theirs}.conv_sc")
        _attention(made, layer, number)
    layer("linear", "linear")
    layer("condition_embedding", "embed", turned=True)
    return made
