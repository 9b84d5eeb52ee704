"""Checkpoints of the StyleGAN port rosinality/style-based-gan-pytorch, which FreezeD uses (e.g. FFHQ at 256 px).

A .model file is {generator, discriminator, g_running, ...} or g_running's state dict alone. The port always has layers
for 1024 pixels, however far it has grown, and no file says how far: `--network` does; layers of larger sizes are left
out, and the network counts as fully grown at its own. The port's inference draws fresh noise, as ours does by
default; it has no fixed noise maps, so ours are drawn here, by name, and so are the 10,240 latents whose mean w it
computes after training, our `w_average`.

Layouts: a convolution at stride 2 that doubles has (in, out) weights, turned by 180 degrees; the mapping network's
weights and biases carry no learning-rate factor, ours are divided by 0.01; the 4x4 convolution of D's last block is
our linear map. FreezeD's D has a leaky ReLU after its layers from RGB, older ones have none: `from_rgb_activation`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench import seeds
from bench.checkpoints.naming import Converted, Translation, transposed
from bench.checkpoints.read import Given, load, state
from bench.errors import UserError
from bench.networks.stylegan2_generator import BOTTOM, MAPPING_LR
from bench.networks.stylegan2_layers import SLOPE, unit_second_moment

WHAT = "StyleGAN port"
FAMILY = "stylegan1"
QUARTERED_FROM = (
    128  # from this size on the port's fused up-sampling, and ours, has a quarter of the plain one's kernel
)
LATENTS, DRAWS = 1024, 10  # of the mean w: DRAWS times LATENTS


def convert(files: list[Path], network: str | None) -> Converted:
    """One file; the network says the size."""
    if len(files) > 1:
        raise UserError(f"checkpoint {files[1]}: a {WHAT} checkpoint is one file")
    top = _top(files[0], network)
    generator, judge = _states(files[0])
    _check_levels(generator, "generator.progression.", top)
    options = _generator_options(generator, top)
    made = _generator(generator, top, options["mapping_layers"])
    judged = None
    if judge is not None:
        levels = _check_levels(judge, "progression.", top)
        activated = f"from_rgb.{levels - 1}.0.conv.weight_orig" in judge
        options["from_rgb_activation"] = activated
        judged = _discriminator(judge, top, levels, activated=activated)
    resolution = BOTTOM << top
    notes = [
        f"layers of more than {resolution} px are left out",
        "noise maps and the mean w are drawn by name",
    ]
    return Converted(f"{FAMILY}-{resolution}", options, made, judged, notes)


def _top(path: Path, network: str | None) -> int:
    """The last level of the network's size."""
    match = re.fullmatch(FAMILY + r"-([0-9]{1,4})", network or "")
    if match is None:
        raise UserError(
            f"checkpoint {path} does not say its resolution: name the network, for example --network {FAMILY}-256"
            + (f", not {network}" if network else "")
        )
    return max(0, int(math.log2(max(BOTTOM, int(match[1])) // BOTTOM)))


def _states(path: Path) -> tuple[Given, Given | None]:
    value = load(path)
    if isinstance(value, Mapping) and any(str(key).startswith("generator.progression") for key in value):
        return state(value, f"checkpoint {path}", f"{WHAT} generator"), None
    if not isinstance(value, Mapping) or "g_running" not in value:
        raise UserError(
            f"checkpoint {path}: the key 'g_running' is missing; every {WHAT} checkpoint has it, "
            "or is its state dict"
        )
    generator = state(value["g_running"], f"checkpoint {path}, 'g_running'", f"{WHAT} generator")
    if "discriminator" not in value:
        return generator, None
    judge = state(value["discriminator"], f"checkpoint {path}, 'discriminator'", f"{WHAT} discriminator")
    return generator, judge


def _check_levels(given: Given, prefix: str, top: int) -> int:
    levels = given.count(prefix)
    if levels <= top:
        raise UserError(
            f"{given.where}: the keys '{prefix}N' end at {levels - 1}, which is {BOTTOM << max(levels - 1, 0)} px; "
            f"name a network of that size at most"
        )
    return levels


def _generator_options(given: Given, top: int) -> dict[str, Any]:
    widest = given.size("generator.progression.0.conv1.input", 1, 4)
    last = given.size(f"generator.to_rgb.{top}.conv.weight_orig", 1, 4)
    linears = [key for key in given if re.fullmatch(r"style\.[0-9]+\.linear\.weight_orig", key)]
    return {
        "z_dim": given.size("style.1.linear.weight_orig", 1, 2),
        "w_dim": given.size("style.1.linear.weight_orig", 0, 2),
        "channel_base": last * (BOTTOM << top),
        "channel_max": widest,
        "mapping_layers": len(linears),
    }


def _equal(made: Translation, ours: str, theirs: str) -> None:
    """A layer with an equalised learning rate: `weight_orig` and `bias`."""
    made.copy(f"{ours}.weight", f"{theirs}.weight_orig")
    made.copy(f"{ours}.bias", f"{theirs}.bias")


def _blur(made: Translation, theirs: str) -> None:
    """Drop a filter, after seeing that it is [1, 2, 1] x [1, 2, 1] / 16."""
    taps = torch.tensor([1.0, 2.0, 1.0]) / 4
    for name in ("weight", "weight_flip"):
        kernel = made.given.take(f"{theirs}.{name}")
        if kernel.shape[1:] != (1, 3, 3) or not torch.allclose(kernel, torch.outer(taps, taps)):
            raise UserError(
                f"{made.given.where}: '{theirs}.{name}' must be the filter [1, 2, 1] x [1, 2, 1] / 16"
            )


def _generator(given: Given, top: int, mapping_layers: int) -> Translation:
    above = re.compile(r"generator\.(progression|to_rgb)\.([0-9]{1,4})\.")
    given.drop(lambda key: (match := above.match(key)) is not None and int(match[2]) > top)
    made = Translation(given)
    for number in range(mapping_layers):
        for ours, theirs in (("weight", "weight_orig"), ("bias", "bias")):
            key = f"style.{2 * number + 1}.linear.{theirs}"
            made.copy(f"mapping.{number}.{ours}", key, lambda x: x / MAPPING_LR)
    made.put("w_average", _mean_w(made, mapping_layers), "style.1.linear.weight_orig")
    for level in range(top + 1):
        _block(made, level)
        _equal(made, f"synthesis.to_rgb.{level}", f"generator.to_rgb.{level}.conv")
    _grown(made, "synthesis.", top, "generator.progression")
    return made


def _mean_w(made: Translation, mapping_layers: int) -> Tensor:
    """The mean of the mapping network's output over fixed latents, as the port computes it after training."""
    layers = [
        (made.tensors[f"mapping.{number}.weight"], made.tensors[f"mapping.{number}.bias"])
        for number in range(mapping_layers)
    ]
    stream, total = seeds.torch_stream(0, "checkpoints", "mean w"), torch.zeros(())
    for _ in range(DRAWS):
        h_NW = unit_second_moment(torch.randn(LATENTS, layers[0][0].shape[-1], generator=stream))
        for weight, bias in layers:
            if (
                weight.ndim != 2
                or bias.ndim != 1
                or (h_NW.shape[1], len(weight)) != (weight.shape[1], len(bias))
            ):
                raise UserError(
                    f"{made.given.where}: 'style.1.linear.weight_orig' and its like must be square matrices with "
                    f"biases, not {tuple(weight.shape)} with {tuple(bias.shape)}"
                )
            scale = MAPPING_LR * math.sqrt(2 / weight.shape[1])
            h_NW = F.leaky_relu(F.linear(h_NW, weight * scale, bias * MAPPING_LR), SLOPE)
        total = total + h_NW.mean(dim=0)
    return total / DRAWS


def _block(made: Translation, level: int) -> None:
    ours, theirs = f"synthesis.blocks.{level}", f"generator.progression.{level}"
    if level == 0:
        made.copy(f"{ours}.first.constant_CHW", f"{theirs}.conv1.input", lambda x: x.squeeze(0))
    elif f"{theirs}.conv1.0.weight" in made.given:
        made.copy(f"{ours}.first.weight", f"{theirs}.conv1.0.weight", lambda x: transposed(x).flip(2, 3))
        made.copy(f"{ours}.first.bias", f"{theirs}.conv1.0.bias")
        _blur(made, f"{theirs}.conv1.1")
    else:
        # Ours has the fused form's quarter; a checkpoint of the plain form carries it in the weight.
        gain = 4.0 if BOTTOM << level >= QUARTERED_FROM else 1.0
        made.copy(f"{ours}.first.weight", f"{theirs}.conv1.1.conv.weight_orig", lambda x: x * gain)
        made.copy(f"{ours}.first.bias", f"{theirs}.conv1.1.conv.bias")
        _blur(made, f"{theirs}.conv1.2")
    _equal(made, f"{ours}.conv", f"{theirs}.conv2.conv")
    for number in (0, 1):
        style = f"{ours}.style{number}"
        made.copy(f"{style}.noise_strength", f"{theirs}.noise{number + 1}.weight_orig", torch.flatten)
        _equal(made, f"{style}.affine", f"{theirs}.adain{number + 1}.style.linear")
    size = BOTTOM << level
    stream = seeds.torch_stream(0, "checkpoints", "noise map", size)
    made.put(f"{ours}.noise_map", torch.randn(size, size, generator=stream), f"{theirs}.noise1.weight_orig")


def _grown(made: Translation, prefix: str, top: int, origin: str) -> None:
    """The state of growth: fully grown."""
    grown = torch.tensor([top, 1.0], dtype=torch.float64)
    made.put(f"{prefix}_extra_state", grown, origin)


def _discriminator(given: Given, top: int, levels: int, *, activated: bool) -> Translation:
    first = levels - 1 - top  # the number, in the port, of what reads images of our size
    above = re.compile(r"(progression|from_rgb)\.([0-9]{1,4})\.")
    given.drop(lambda key: (match := above.match(key)) is not None and int(match[2]) < first)
    made = Translation(given)
    inner = ".0.conv" if activated else ".conv"
    _equal(made, "blocks.0.0", f"from_rgb.{first}{inner}")
    for level in range(top):
        _equal(made, f"from_rgb.{level}", f"from_rgb.{levels - 1 - level}{inner}")
    for number in range(top):
        block = f"blocks.{number}" if number else "blocks.0.1"
        theirs = f"progression.{first + number}"
        _equal(made, f"{block}.conv0", f"{theirs}.conv1.0.conv")
        _blur(made, f"{theirs}.conv2.0")
        if f"{theirs}.conv2.1.weight" in given:
            made.plain(f"{block}.conv1", f"{theirs}.conv2.1")
        else:
            _equal(made, f"{block}.conv1", f"{theirs}.conv2.1.conv")
    last = f"progression.{levels - 1}"
    _equal(made, "conv", f"{last}.conv1.0.conv")
    made.copy("fc.weight", f"{last}.conv2.0.conv.weight_orig", lambda x: x.flatten(1))
    made.copy("fc.bias", f"{last}.conv2.0.conv.bias")
    _equal(made, "linear", "linear.linear")
    _grown(made, "", top, "progression")
    return made
