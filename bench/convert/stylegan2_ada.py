"""Snapshots of stylegan2-ada-pytorch (Karras et al. 2020): network-snapshot-*.pkl, read by bench.convert.modules.

G_ema becomes the generator, D the discriminator. Their modules' attributes say what tensors do not: D's architecture,
the group of the minibatch deviation, and the clamp, which the network needs for equal images where it was trained in
mixed precision (conv_clamp 256); numbers are those of the original in float32 (force_fp32). Every other attribute and
init argument must be that of the layers here (stylegan2_ada_layers). The source text that a snapshot carries is not
looked at. Refused, because networks here have other forms of it: generators other than `skip`,
discriminators of `skip`, class features of another size than D's own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from bench.convert.arguments import Arguments
from bench.convert.foreign_state import ForeignState
from bench.convert.modules import Modules, modules, read_pickle
from bench.convert.states import entries
from bench.convert.stylegan2_ada_networks import account_discriminator, account_generator
from bench.convert.translation import Converted, Translation
from bench.errors import UserError
from bench.files.inert_pickle import shown
from bench.networks.stylegan2.layers import binomial
from bench.networks.stylegan2.mapping import BOTTOM

WHAT = "stylegan2-ada"
LEFT_OUT = {
    "G": "the trained copy of G_ema, the average",
    "augment_pipe": "the augmentation of its training",
    "training_set_kwargs": "where its training images were",
}
ARCHITECTURES = ("resnet", "orig")  # of D
FILTERED = (
    "SynthesisBlock",
    "SynthesisLayer",
    "DiscriminatorBlock",
    "Conv2dLayer",
)  # have a resampling filter
LARGEST = 4096  # pixels a side


def convert(files: list[Path], network: str | None) -> Converted:
    """One snapshot."""
    if len(files) > 1:
        raise UserError(f"checkpoint {files[1]}: a {WHAT} snapshot is one file")
    value = entries(read_pickle(files[0]), files[0], WHAT, ("G_ema",), LEFT_OUT | {"D": "taken below"})
    where = f"checkpoint {files[0]}, 'G_ema'"
    tree = modules(value["G_ema"], where, "Generator")
    generator = ForeignState(tree.tensors, where, f"{WHAT} generator")
    resolution = _resolution(tree, where)
    options = _generator_options(tree, generator, resolution)
    account_generator(Arguments(tree, where), generator, options, resolution)
    _take_filters(generator, tree)
    translation = _generator(generator, resolution, options)
    judged = None
    if value.get("D") is not None:
        where = f"checkpoint {files[0]}, 'D'"
        tree = modules(value["D"], where, "Discriminator")
        judge = ForeignState(tree.tensors, where, f"{WHAT} discriminator")
        options |= _discriminator_options(tree, judge, options)
        account_discriminator(Arguments(tree, where), judge, options, resolution)
        _take_filters(judge, tree)
        judged = _discriminator(judge, resolution, options)
    return Converted(f"stylegan2-{resolution}", options, translation, judged)


def _attribute(tree: Modules, path: str, key: str, where: str) -> Any:
    """An attribute of a module; UserError where there is no such module or attribute."""
    module = tree.attributes.get(path)
    if module is None or key not in module:
        name = f"{path}.{key}".lstrip(".")
        raise UserError(f"{where}: the attribute '{name}' is missing; every {WHAT} snapshot has it")
    return module[key]


def _resolution(tree: Modules, where: str) -> int:
    resolution = _attribute(tree, "", "img_resolution", where)
    sizes = [BOTTOM << level for level in range((LARGEST // BOTTOM).bit_length())]
    if type(resolution) is not int or resolution not in sizes:
        raise UserError(f"{where}: the attribute 'img_resolution' is {shown(resolution)}, must be a power of 2")
    return resolution


def _clamp(tree: Modules, where: str) -> float | None:
    """The one clamp of all convolutions; the shortcuts of D have none."""
    clamps = {
        shown(module["conv_clamp"]): module["conv_clamp"]
        for path, module in tree.attributes.items()
        if "conv_clamp" in module and path.rpartition(".")[2] != "skip"
    }
    value = next(iter(clamps.values()), None)
    if len(clamps) != 1 or not (value is None or (type(value) in (int, float) and 0 < value < math.inf)):
        raise UserError(
            f"{where}: the attributes 'conv_clamp' are {', '.join(sorted(clamps)[:4])}; all must be one number or None"
        )
    return value


def _generator_options(tree: Modules, foreign: ForeignState, resolution: int) -> dict[str, Any]:
    where = foreign.where
    classes = _attribute(tree, "", "c_dim", where)
    if type(classes) is not int or classes < 0:
        raise UserError(f"{where}: the attribute 'c_dim' is {shown(classes)}, must be a number of classes or 0")
    condition: dict[str, Any] = {}
    if classes:
        condition = {
            "condition_dim": foreign.size("mapping.embed.weight", 1, 2),
            "condition_form": "ada",
            "condition_norm": "separate",
            "shared_dim": foreign.size("mapping.embed.weight", 0, 2),
        }
    last = foreign.size(f"synthesis.b{resolution}.conv1.weight", 0, 4)
    return {
        "z_dim": foreign.size("mapping.fc0.weight", 1, 2) - condition.get("shared_dim", 0),
        "w_dim": foreign.size("mapping.w_avg", 0, 1),
        "channel_base": last * resolution,
        "channel_max": foreign.size("synthesis.b4.const", 0, 3),
        "mapping_layers": foreign.count("mapping.fc"),
        "clamp": _clamp(tree, where),
        **condition,
    }


def _discriminator_options(tree: Modules, foreign: ForeignState, generator: dict[str, Any]) -> dict[str, Any]:
    where, clamp = foreign.where, generator["clamp"]
    condition = {"class_layers": foreign.count("mapping.fc")} if "condition_dim" in generator else {}
    architecture = _attribute(tree, "b4", "architecture", where)
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"{where}: the attribute 'b4.architecture' is {shown(architecture)}; networks here have "
            f"{' or '.join(ARCHITECTURES)}"
        )
    if (own := _clamp(tree, where)) != clamp:
        raise UserError(f"{where}: the attributes 'conv_clamp' are {own!r}, must be the generator's {clamp!r}")
    group = _attribute(tree, "b4.mbstd", "group_size", where)
    if type(group) is not int:
        raise UserError(f"{where}: the attribute 'b4.mbstd.group_size' is {shown(group)}, must be a whole number")
    return {"d_architecture": architecture, "mbstd_group": group, **condition}


def _take_filters(foreign: ForeignState, tree: Modules) -> None:
    """Take the resampling filters, after seeing that they are the binomial one."""
    right = binomial()
    for path, class_name in tree.classes.items():
        if class_name in FILTERED:
            key = f"{path}.resample_filter"
            if not torch.allclose(foreign.take(key, shape=tuple(right.shape)), right):
                raise UserError(f"{foreign.where}: '{key}' must be the filter [1, 3, 3, 1] x [1, 3, 3, 1] / 64")


def _layer(translation: Translation, ours: str, theirs: str) -> None:
    translation.copy(f"{ours}.weight", f"{theirs}.weight")
    translation.copy(f"{ours}.bias", f"{theirs}.bias")


def _generator(foreign: ForeignState, resolution: int, options: dict[str, Any]) -> Translation:
    translation = Translation(foreign)
    if "condition_dim" in options:  # their first layer reads z and the class embedding, side by side
        z_dim = options["z_dim"]
        weight_WX = foreign.look("mapping.fc0.weight")
        translation.put("condition_embedding.mapping.weight", weight_WX[:, z_dim:], "mapping.fc0.weight")
        translation.copy("mapping.0.weight", "mapping.fc0.weight", lambda weight_WX: weight_WX[:, :z_dim])
        translation.copy("mapping.0.bias", "mapping.fc0.bias")
        _layer(translation, "condition_embedding.mlp", "mapping.embed")
    for number in range(1 if "condition_dim" in options else 0, options["mapping_layers"]):
        _layer(translation, f"mapping.{number}", f"mapping.fc{number}")
    translation.copy("w_average", "mapping.w_avg")
    translation.copy("synthesis.constant_CHW", "synthesis.b4.const")
    _styled(translation, "synthesis.conv", "synthesis.b4.conv1")
    _coloured(translation, "synthesis.to_rgb", "synthesis.b4.torgb")
    for number in range((resolution // BOTTOM).bit_length() - 1):
        ours, theirs = f"synthesis.blocks.{number}", f"synthesis.b{2 * BOTTOM << number}"
        _styled(translation, f"{ours}.conv0", f"{theirs}.conv0")
        _styled(translation, f"{ours}.conv1", f"{theirs}.conv1")
        _coloured(translation, f"{ours}.to_rgb", f"{theirs}.torgb")
    return translation


def _styled(translation: Translation, ours: str, theirs: str) -> None:
    _coloured(translation, ours, theirs)
    translation.copy(f"{ours}.noise_strength", f"{theirs}.noise_strength")
    translation.copy(f"{ours}.noise_map", f"{theirs}.noise_const")


def _coloured(translation: Translation, ours: str, theirs: str) -> None:
    _layer(translation, ours, theirs)
    _layer(translation, f"{ours}.affine", f"{theirs}.affine")


def _discriminator(foreign: ForeignState, resolution: int, options: dict[str, Any]) -> Translation:
    architecture = options["d_architecture"]
    translation = Translation(foreign)
    _layer(translation, "blocks.0.0", f"b{resolution}.fromrgb")
    for number in range((resolution // BOTTOM).bit_length() - 1):
        ours, theirs = f"blocks.{number}" if number else "blocks.0.1", f"b{resolution >> number}"
        main = f"{ours}.main" if architecture == "resnet" else ours
        _layer(translation, f"{main}.conv0", f"{theirs}.conv0")
        _layer(translation, f"{main}.conv1", f"{theirs}.conv1")
        if architecture == "resnet":
            translation.copy(f"{ours}.skip.weight", f"{theirs}.skip.weight")
    for ours, theirs in (("conv", "b4.conv"), ("fc", "b4.fc"), ("linear", "b4.out")):
        _layer(translation, ours, theirs)
    if "condition_dim" in options:
        _layer(translation, "condition_embedding.embed", "mapping.embed")
        for number in range(options["class_layers"]):
            _layer(translation, f"condition_embedding.layers.{number}", f"mapping.fc{number}")
    return translation
