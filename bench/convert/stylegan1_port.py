"""Checkpoints of the StyleGAN port rosinality/style-based-gan-pytorch, which FreezeD uses (e.g. FFHQ at 256 px).

A .model file is {generator, discriminator, g_running, ...} or g_running's state dict alone. The port always has layers
for 1024 pixels, however far it has grown, and no file says how far: `--network` does; layers of larger sizes are left
out, once they are seen to be such layers, and the network counts as fully grown at its own. The port's inference draws
fresh noise, as ours does by default; it has no fixed noise maps, so ours are drawn here, by name, and so are the 10,240
latents whose mean w it computes after training, our `w_average`.

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
from bench.convert.foreign_state import ForeignState
from bench.convert.states import entries, state
from bench.convert.translation import Converted, Translation, transposed
from bench.errors import UserError
from bench.files.foreign import load
from bench.networks.stylegan2.layers import SLOPE, unit_second_moment
from bench.networks.stylegan2.mapping import BOTTOM, MAPPING_LR

WHAT = "StyleGAN port"
FAMILY = "stylegan1"
QUARTERED_FROM = (
    128  # from this size on the port's fused up-sampling, and ours, has a quarter of the plain one's kernel
)
LEFT_OUT = {
    "generator": "the trained copy of g_running, the average",
    "g_optimizer": "of training only",
    "d_optimizer": "of training only",
}
LATENTS, DRAWS = 1024, 10  # of the mean w: DRAWS times LATENTS


def convert(files: list[Path], network: str | None) -> Converted:
    """One file; the network says the size."""
    if len(files) > 1:
        raise UserError(f"checkpoint {files[1]}: a {WHAT} checkpoint is one file")
    top = _top(files[0], network)
    generator, judge = _states(files[0])
    levels = _check_levels(generator, "generator.progression.", top)
    options = _generator_options(generator, top)
    translation = _generator(generator, top, levels, options["mapping_layers"])
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
    return Converted(f"{FAMILY}-{resolution}", options, translation, judged, notes)


def _top(path: Path, network: str | None) -> int:
    """The last level of the network's size."""
    match = re.fullmatch(FAMILY + r"-([0-9]{1,4})", network or "")
    if match is None:
        raise UserError(
            f"checkpoint {path} does not say its resolution: name the network, for example --network {FAMILY}-256"
            + (f", not {network}" if network else "")
        )
    return max(0, int(math.log2(max(BOTTOM, int(match[1])) // BOTTOM)))


def _states(path: Path) -> tuple[ForeignState, ForeignState | None]:
    value = load(path)
    if isinstance(value, Mapping) and any(str(key).startswith("generator.progression") for key in value):
        return state(value, f"checkpoint {path}", f"{WHAT} generator"), None
    if not isinstance(value, Mapping) or "g_running" not in value:
        raise UserError(
            f"checkpoint {path}: the key 'g_running' is missing; every {WHAT} checkpoint has it, or is its state dict"
        )
    entries(value, path, WHAT, ("g_running",), LEFT_OUT | {"discriminator": "taken below"})
    generator = state(value["g_running"], f"checkpoint {path}, 'g_running'", f"{WHAT} generator")
    if "discriminator" not in value:
        return generator, None
    judge = state(value["discriminator"], f"checkpoint {path}, 'discriminator'", f"{WHAT} discriminator")
    return generator, judge


def _check_levels(foreign: ForeignState, prefix: str, top: int) -> int:
    levels = foreign.count(prefix)
    if levels <= top:
        raise UserError(
            f"{foreign.where}: the keys '{prefix}N' end at {levels - 1}, which is {BOTTOM << max(levels - 1, 0)} px; "
            f"name a network of that size at most"
        )
    return levels


def _generator_options(foreign: ForeignState, top: int) -> dict[str, Any]:
    widest = foreign.size("generator.progression.0.conv1.input", 1, 4)
    last = foreign.size(f"generator.to_rgb.{top}.conv.weight_orig", 1, 4)
    linears = [key for key in foreign if re.fullmatch(r"style\.[0-9]+\.linear\.weight_orig", key)]
    return {
        "z_dim": foreign.size("style.1.linear.weight_orig", 1, 2),
        "w_dim": foreign.size("style.1.linear.weight_orig", 0, 2),
        "channel_base": last * (BOTTOM << top),
        "channel_max": widest,
        "mapping_layers": len(linears),
    }


def _equal(translation: Translation, ours: str, theirs: str) -> None:
    """A layer with an equalised learning rate: `weight_orig` and `bias`."""
    translation.copy(f"{ours}.weight", f"{theirs}.weight_orig")
    translation.copy(f"{ours}.bias", f"{theirs}.bias")


def _blur(translation: Translation, theirs: str, beside: str) -> None:
    """Take a filter, after seeing that it is [1, 2, 1] x [1, 2, 1] / 16 for each channel of our tensor `beside`."""
    taps = torch.tensor([1.0, 2.0, 1.0]) / 4
    for name in ("weight", "weight_flip"):
        kernel = translation.foreign.take(f"{theirs}.{name}", shape=(translation.tensors[beside].numel(), 1, 3, 3))
        if not torch.allclose(kernel, torch.outer(taps, taps)):
            raise UserError(
                f"{translation.foreign.where}: '{theirs}.{name}' must be the filter [1, 2, 1] x [1, 2, 1] / 16"
            )


def _generator(foreign: ForeignState, top: int, levels: int, mapping_layers: int) -> Translation:
    widths = [foreign.size(f"generator.progression.{level}.conv2.conv.bias", 0, 1) for level in range(levels)]
    code = foreign.size("style.1.linear.weight_orig", 0, 2)
    translation = Translation(foreign)
    for number in range(mapping_layers):
        for ours, theirs, shape in (("weight", "weight_orig", (code, code)), ("bias", "bias", (code,))):
            key = f"style.{2 * number + 1}.linear.{theirs}"
            translation.copy(f"mapping.{number}.{ours}", key, lambda x: x / MAPPING_LR, shape=shape)
    translation.put("w_average", _mean_w(translation, mapping_layers), "style.1.linear.weight_orig")
    for level in range(top + 1):
        _block(translation, f"synthesis.blocks.{level}", level)
        _noise_map(translation, level)
        _equal(translation, f"synthesis.to_rgb.{level}", f"generator.to_rgb.{level}.conv")
    _grown(translation, "synthesis.", top, "generator.progression")
    for level in range(top + 1, levels):
        _leave_out_block(foreign, level, widths[level - 1], widths[level], code)
    return translation


def _leave_out_block(foreign: ForeignState, level: int, before: int, width: int, code: int) -> None:
    """Take a level above the network's, after seeing that it is one of these widths."""
    spare = Translation(foreign)
    _block(spare, "block", level)
    _equal(spare, "to_rgb", f"generator.to_rgb.{level}.conv")
    styles = {
        f"block.style{number}.{name}": shape
        for number in (0, 1)
        for name, shape in (
            ("noise_strength", (width,)),
            ("affine.weight", (2 * width, code)),
            ("affine.bias", (2 * width,)),
        )
    }
    spare.check_shapes(
        {
            "block.first.weight": (width, before, 3, 3),
            "block.first.bias": (width,),
            "block.conv.weight": (width, width, 3, 3),
            "block.conv.bias": (width,),
            "to_rgb.weight": (3, width, 1, 1),
            "to_rgb.bias": (3,),
            **styles,
        }
    )


def _mean_w(translation: Translation, mapping_layers: int) -> Tensor:
    """The mean of the mapping network's output over fixed latents, as the port computes it after training."""
    layers = [
        (translation.tensors[f"mapping.{number}.weight"], translation.tensors[f"mapping.{number}.bias"])
        for number in range(mapping_layers)
    ]
    stream, total = seeds.torch_stream(0, "checkpoints", "mean w"), torch.zeros(())
    for _ in range(DRAWS):
        h_NW = unit_second_moment(torch.randn(LATENTS, layers[0][0].shape[-1], generator=stream))
        for weight, bias in layers:
            scale = MAPPING_LR * math.sqrt(2 / weight.shape[1])
            h_NW = F.leaky_relu(F.linear(h_NW, weight * scale, bias * MAPPING_LR), SLOPE)
        total = total + h_NW.mean(dim=0)
    return total / DRAWS


def _block(translation: Translation, ours: str, level: int) -> None:
    theirs = f"generator.progression.{level}"
    # The first layer: the constant, an up-convolution in its fused form, or one in its plain form.
    if level == 0:
        translation.copy(
            f"{ours}.first.constant_CHW",
            f"{theirs}.conv1.input",
            lambda x: x.squeeze(0),
            shape=(1, None, BOTTOM, BOTTOM),
        )
    elif translation.foreign.has(f"{theirs}.conv1.0"):
        translation.copy(f"{ours}.first.weight", f"{theirs}.conv1.0.weight", lambda x: transposed(x).flip(2, 3))
        translation.copy(f"{ours}.first.bias", f"{theirs}.conv1.0.bias")
        _blur(translation, f"{theirs}.conv1.1", f"{ours}.first.bias")
    else:
        # Ours has the fused form's quarter; a checkpoint of the plain form carries it in the weight.
        gain = 4.0 if BOTTOM << level >= QUARTERED_FROM else 1.0
        translation.copy(f"{ours}.first.weight", f"{theirs}.conv1.1.conv.weight_orig", lambda x: x * gain)
        translation.copy(f"{ours}.first.bias", f"{theirs}.conv1.1.conv.bias")
        _blur(translation, f"{theirs}.conv1.2", f"{ours}.first.bias")

    # The second convolution, and the two styled layers.
    _equal(translation, f"{ours}.conv", f"{theirs}.conv2.conv")
    for number in (0, 1):
        style, noise = f"{ours}.style{number}", f"{theirs}.noise{number + 1}.weight_orig"
        translation.copy(f"{style}.noise_strength", noise, torch.flatten, shape=(1, None, 1, 1))
        _equal(translation, f"{style}.affine", f"{theirs}.adain{number + 1}.style.linear")


def _noise_map(translation: Translation, level: int) -> None:
    size = BOTTOM << level
    stream = seeds.torch_stream(0, "checkpoints", "noise map", size)
    origin = f"generator.progression.{level}.noise1.weight_orig"
    translation.put(f"synthesis.blocks.{level}.noise_map", torch.randn(size, size, generator=stream), origin)


def _grown(translation: Translation, prefix: str, top: int, origin: str) -> None:
    """The state of growth: fully grown."""
    grown = torch.tensor([top, 1.0], dtype=torch.float64)
    translation.put(f"{prefix}_extra_state", grown, origin)


def _discriminator(foreign: ForeignState, top: int, levels: int, *, activated: bool) -> Translation:
    first = levels - 1 - top  # the number, in the port, of what reads images of our size
    translation = Translation(foreign)
    inner = ".0.conv" if activated else ".conv"
    widths = [foreign.size(f"from_rgb.{number}{inner}.bias", 0, 1) for number in range(levels)]
    _equal(translation, "blocks.0.0", f"from_rgb.{first}{inner}")
    for level in range(top):
        _equal(translation, f"from_rgb.{level}", f"from_rgb.{levels - 1 - level}{inner}")
    for number in range(top):
        _judging_block(translation, f"blocks.{number}" if number else "blocks.0.1", f"progression.{first + number}")
    last = f"progression.{levels - 1}"
    _equal(translation, "conv", f"{last}.conv1.0.conv")
    translation.copy(
        "fc.weight",
        f"{last}.conv2.0.conv.weight_orig",
        lambda x: x.flatten(1),
        shape=(None, None, BOTTOM, BOTTOM),
    )
    translation.copy("fc.bias", f"{last}.conv2.0.conv.bias")
    _equal(translation, "linear", "linear.linear")
    _grown(translation, "", top, "progression")
    for number in range(first):
        _leave_out_judging_block(foreign, number, inner, widths[number], widths[number + 1])
    return translation


def _judging_block(translation: Translation, ours: str, theirs: str) -> None:
    """Two convolutions, the second of which halves, in its fused or its plain form."""
    _equal(translation, f"{ours}.conv0", f"{theirs}.conv1.0.conv")
    _blur(translation, f"{theirs}.conv2.0", f"{ours}.conv0.bias")
    if not translation.foreign.has(f"{theirs}.conv2.1.conv"):
        translation.plain(f"{ours}.conv1", f"{theirs}.conv2.1")
    else:
        _equal(translation, f"{ours}.conv1", f"{theirs}.conv2.1.conv")


def _leave_out_judging_block(foreign: ForeignState, number: int, inner: str, width: int, after: int) -> None:
    """Take a level above the network's, after seeing that it is one of these widths."""
    spare = Translation(foreign)
    _judging_block(spare, "block", f"progression.{number}")
    _equal(spare, "from_rgb", f"from_rgb.{number}{inner}")
    spare.check_shapes(
        {
            "block.conv0.weight": (after, width, 3, 3),
            "block.conv0.bias": (after,),
            "block.conv1.weight": (after, after, 3, 3),
            "block.conv1.bias": (after,),
            "from_rgb.weight": (width, 3, 1, 1),
            "from_rgb.bias": (width,),
        }
    )
