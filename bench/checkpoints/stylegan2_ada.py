"""Snapshots of stylegan2-ada-pytorch (Karras et al. 2020): network-snapshot-*.pkl, read by bench.checkpoints.inert.

G_ema becomes the generator, D the discriminator. Their modules' attributes say what tensors do not: D's architecture,
the group of the minibatch deviation, and the clamp, which the network needs for equal images where it was trained in
mixed precision (conv_clamp 256); numbers are those of the original in float32 (force_fp32). The source text that a
snapshot carries is not looked at. Refused, because networks here have other forms of it: class conditions (ADA embeds
classes by a linear map, here DISP's G_emb), generators other than `skip`, discriminators of `skip`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench.checkpoints.inert import Modules, modules, read_pickle
from bench.checkpoints.naming import Converted, Translation
from bench.checkpoints.read import Given
from bench.errors import UserError
from bench.networks.stylegan2_generator import BOTTOM, MAPPING_LR
from bench.networks.stylegan2_layers import binomial

WHAT = "stylegan2-ada"
ARCHITECTURES = ("resnet", "orig")  # of D
LARGEST = 4096  # pixels a side


def convert(files: list[Path], network: str | None) -> Converted:
    """One snapshot."""
    if len(files) > 1:
        raise UserError(f"checkpoint {files[1]}: a {WHAT} snapshot is one file")
    value = read_pickle(files[0])
    if not isinstance(value, dict) or value.get("G_ema") is None:
        raise UserError(f"checkpoint {files[0]}: the key 'G_ema' is missing; every {WHAT} snapshot has it")
    where = f"checkpoint {files[0]}, 'G_ema'"
    tree = modules(value["G_ema"], where, "Generator")
    generator = Given(tree.tensors, where, f"{WHAT} generator")
    resolution = _resolution(tree, where)
    options = _generator_options(tree, generator, resolution)
    made = _generator(generator, resolution, options["mapping_layers"])
    judged = None
    if value.get("D") is not None:
        where = f"checkpoint {files[0]}, 'D'"
        tree = modules(value["D"], where, "Discriminator")
        options |= _discriminator_options(tree, where, options["clamp"])
        judge = Given(tree.tensors, where, f"{WHAT} discriminator")
        judged = _discriminator(judge, resolution, options["d_architecture"])
    return Converted(f"stylegan2-{resolution}", options, made, judged)


def _attribute(tree: Modules, path: str, key: str, where: str) -> Any:
    """An attribute of a module; UserError where there is no such module or attribute."""
    module = tree.attributes.get(f"{path}." if path else "")
    if module is None or key not in module:
        name = f"{path}.{key}".lstrip(".")
        raise UserError(f"{where}: the attribute '{name}' is missing; every {WHAT} snapshot has it")
    return module[key]


def _require(tree: Modules, path: str, key: str, right: Any, where: str) -> None:
    value = _attribute(tree, path, key, where)
    if value != right:
        name = f"{path}.{key}".lstrip(".")
        raise UserError(f"{where}: the attribute '{name}' is {value!r}; networks here need {right!r}")


def _resolution(tree: Modules, where: str) -> int:
    resolution = _attribute(tree, "", "img_resolution", where)
    sizes = [BOTTOM << level for level in range((LARGEST // BOTTOM).bit_length())]
    if type(resolution) is not int or resolution not in sizes:
        raise UserError(f"{where}: the attribute 'img_resolution' is {resolution!r}, must be a power of 2")
    return resolution


def _clamp(tree: Modules, where: str) -> float | None:
    """The one clamp of all convolutions; the shortcuts of D have none."""
    found = {
        repr(module["conv_clamp"]): module["conv_clamp"]
        for path, module in tree.attributes.items()
        if "conv_clamp" in module and not path.endswith("skip.")
    }
    value = next(iter(found.values()), None)
    if len(found) != 1 or not (value is None or type(value) in (int, float)):
        raise UserError(
            f"{where}: the attributes 'conv_clamp' are {', '.join(sorted(found))}; all must be one number or None"
        )
    return value


def _generator_options(tree: Modules, given: Given, resolution: int) -> dict[str, Any]:
    where = given.where
    _require(tree, "", "c_dim", 0, where)
    _require(tree, "", "img_channels", 3, where)
    for path in tree.attributes:
        if path.startswith("synthesis.b") and path.count(".") == 2:
            _require(tree, path[:-1], "architecture", "skip", where)
    layers = given.count("mapping.fc")
    for number in range(layers):
        _require(tree, f"mapping.fc{number}", "activation", "lrelu", where)
        _require(tree, f"mapping.fc{number}", "bias_gain", MAPPING_LR, where)
    last = given.size(f"synthesis.b{resolution}.conv1.weight", 0, 4)
    return {
        "z_dim": given.size("mapping.fc0.weight", 1, 2),
        "w_dim": given.size("mapping.w_avg", 0, 1),
        "channel_base": last * resolution,
        "channel_max": given.size("synthesis.b4.const", 0, 3),
        "mapping_layers": layers,
        "clamp": _clamp(tree, where),
    }


def _discriminator_options(tree: Modules, where: str, clamp: float | None) -> dict[str, Any]:
    _require(tree, "", "c_dim", 0, where)
    architecture = _attribute(tree, "b4", "architecture", where)
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"{where}: the attribute 'b4.architecture' is {architecture!r}; networks here have "
            f"{' or '.join(ARCHITECTURES)}"
        )
    if (own := _clamp(tree, where)) != clamp:
        raise UserError(
            f"{where}: the attributes 'conv_clamp' are {own!r}, must be the generator's {clamp!r}"
        )
    group = _attribute(tree, "b4.mbstd", "group_size", where)
    if type(group) is not int:
        raise UserError(f"{where}: the attribute 'b4.mbstd.group_size' is {group!r}, must be a whole number")
    return {"d_architecture": architecture, "mbstd_group": group}


def _drop_filters(given: Given) -> None:
    """Drop the resampling filters, after seeing that they are the binomial one."""
    right = binomial()
    for key in [key for key in given if key.rpartition(".")[2] == "resample_filter"]:
        kernel = given.take(key)
        if kernel.shape != right.shape or not torch.allclose(kernel, right):
            raise UserError(f"{given.where}: '{key}' must be the filter [1, 3, 3, 1] x [1, 3, 3, 1] / 64")


def _layer(made: Translation, ours: str, theirs: str) -> None:
    made.copy(f"{ours}.weight", f"{theirs}.weight")
    made.copy(f"{ours}.bias", f"{theirs}.bias")


def _generator(given: Given, resolution: int, mapping_layers: int) -> Translation:
    _drop_filters(given)
    made = Translation(given)
    for number in range(mapping_layers):
        _layer(made, f"mapping.{number}", f"mapping.fc{number}")
    made.copy("w_average", "mapping.w_avg")
    made.copy("synthesis.constant_CHW", "synthesis.b4.const")
    _styled(made, "synthesis.conv", "synthesis.b4.conv1")
    _coloured(made, "synthesis.to_rgb", "synthesis.b4.torgb")
    for number in range((resolution // BOTTOM).bit_length() - 1):
        ours, theirs = f"synthesis.blocks.{number}", f"synthesis.b{2 * BOTTOM << number}"
        _styled(made, f"{ours}.conv0", f"{theirs}.conv0")
        _styled(made, f"{ours}.conv1", f"{theirs}.conv1")
        _coloured(made, f"{ours}.to_rgb", f"{theirs}.torgb")
    return made


def _styled(made: Translation, ours: str, theirs: str) -> None:
    _coloured(made, ours, theirs)
    made.copy(f"{ours}.noise_strength", f"{theirs}.noise_strength")
    made.copy(f"{ours}.noise_map", f"{theirs}.noise_const")


def _coloured(made: Translation, ours: str, theirs: str) -> None:
    _layer(made, ours, theirs)
    _layer(made, f"{ours}.affine", f"{theirs}.affine")


def _discriminator(given: Given, resolution: int, architecture: str) -> Translation:
    _drop_filters(given)
    made = Translation(given)
    _layer(made, "blocks.0.0", f"b{resolution}.fromrgb")
    for number in range((resolution // BOTTOM).bit_length() - 1):
        ours, theirs = f"blocks.{number}" if number else "blocks.0.1", f"b{resolution >> number}"
        main = f"{ours}.main" if architecture == "resnet" else ours
        _layer(made, f"{main}.conv0", f"{theirs}.conv0")
        _layer(made, f"{main}.conv1", f"{theirs}.conv1")
        if architecture == "resnet":
            made.copy(f"{ours}.skip.weight", f"{theirs}.skip.weight")
    for ours, theirs in (("conv", "b4.conv"), ("fc", "b4.fc"), ("linear", "b4.out")):
        _layer(made, ours, theirs)
    return made
