"""What the modules of a stylegan2-ada-pytorch snapshot say of themselves, held against the layers here.

One Expected a class, from the shapes of the module's own tensors and its place in the network. Accepted whatever they
say, for they change rounding and speed alone (numbers here are of float32, the original's force_fp32):
`num_fp16_res`, `use_fp16`, `fp16_channels_last`, `channels_last`; and for they act in training alone, on what later
updates change and not on what the network computes: `bias_init`, `trainable`, `freeze_layers`, `first_layer_idx` (of
FreezeD), `num_layers` of a block of D (counts them), and a fork's `epochs`, its clock of top-k training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.checkpoints.arguments import Arguments, Expected, Rule, Rules, equal, near, number, one_of
from bench.checkpoints.ledger import Given
from bench.networks.stylegan2_generator import BOTTOM, MAPPING_LR, W_AVERAGE_DECAY

TAPS = equal([1, 3, 3, 1])
ANYTHING = Rule(lambda value: True, "anything")
ANY_FLAG = one_of(True, False)
PRECISION: Rules = {
    "use_fp16": ANY_FLAG,
    "fp16_channels_last": ANY_FLAG,
    "channels_last": ANY_FLAG,
    "num_fp16_res": number(0),
}
TRAINING: Rules = {
    "trainable": ANY_FLAG,
    "freeze_layers": number(0),
    "first_layer_idx": number(0),
    "bias_init": number(-math.inf),
    "epochs": number(0),
}
LRELU, LINEAR = equal("lrelu"), equal("linear")
GAIN = near(math.sqrt(2))  # of a leaky ReLU
CONV_ORDER = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "bias",
    "activation",
    "up",
    "down",
    "resample_filter",
)
MAPPING_ORDER = (
    "z_dim", "c_dim", "w_dim", "num_ws", "num_layers", "embed_features", "layer_features", "activation",
    "lr_multiplier", "w_avg_beta",
)  # fmt: skip
FULL_ORDER = ("in_features", "out_features", "bias", "activation", "lr_multiplier", "bias_init")


def full(given: Given, path: str, *, activation: Rule = LINEAR, lr: float = 1) -> Expected:
    """A fully connected layer."""
    outputs, inputs = given.size(f"{path}.weight", 0, 2), given.size(f"{path}.weight", 1, 2)
    rules = {
        "in_features": equal(inputs),
        "out_features": equal(outputs),
        "bias": equal(True),
        "activation": activation,
        "lr_multiplier": equal(lr),
        "bias_gain": equal(lr),
        "weight_gain": near(lr / math.sqrt(inputs)),
        **TRAINING,
    }
    return Expected("FullyConnectedLayer", FULL_ORDER, rules, ("activation", "bias_gain", "weight_gain"))


def convolution(given: Given, path: str, clamp: Rule, *, down: int = 1, plain: bool = False) -> Expected:
    """A convolution of D. plain: a shortcut's, without bias, activation and clamp."""
    outputs, inputs, kernel = (given.size(f"{path}.weight", axis, 4) for axis in range(3))
    rules = {
        "in_channels": equal(inputs),
        "out_channels": equal(outputs),
        "kernel_size": equal(kernel),
        "padding": equal(kernel // 2),
        "bias": one_of(False, None) if plain else equal(True),
        "activation": LINEAR if plain else LRELU,
        "act_gain": equal(1) if plain else GAIN,
        "up": equal(1),
        "down": equal(down),
        "resample_filter": TAPS,
        "conv_clamp": equal(None) if plain else clamp,
        "weight_gain": near(1 / math.sqrt(inputs * kernel**2)),
        **PRECISION,
        **TRAINING,
    }
    order = (*CONV_ORDER, "conv_clamp", "channels_last", "trainable")
    return Expected(
        "Conv2dLayer", order, rules, ("activation", "conv_clamp", "weight_gain", "act_gain", "down")
    )


def styled(given: Given, path: str, clamp: Rule, resolution: int, *, up: int) -> Expected:
    """A modulated convolution with noise."""
    outputs, inputs, kernel = (given.size(f"{path}.weight", axis, 4) for axis in range(3))
    rules = {
        "in_channels": equal(inputs),
        "out_channels": equal(outputs),
        "w_dim": equal(given.size(f"{path}.affine.weight", 1, 2)),
        "resolution": equal(resolution),
        "kernel_size": equal(kernel),
        "padding": equal(kernel // 2),
        "up": equal(up),
        "use_noise": equal(True),
        "activation": LRELU,
        "act_gain": GAIN,
        "resample_filter": TAPS,
        "conv_clamp": clamp,
        **PRECISION,
    }
    order = (
        "in_channels", "out_channels", "w_dim", "resolution", "kernel_size", "up", "use_noise", "activation",
        "resample_filter", "conv_clamp", "channels_last",
    )  # fmt: skip
    needed = ("resolution", "up", "use_noise", "activation", "conv_clamp", "act_gain")
    return Expected("SynthesisLayer", order, rules, needed)


def coloured(given: Given, path: str, clamp: Rule) -> Expected:
    """A layer to RGB."""
    outputs, inputs, kernel = (given.size(f"{path}.weight", axis, 4) for axis in range(3))
    rules = {
        "in_channels": equal(inputs),
        "out_channels": equal(outputs),
        "w_dim": equal(given.size(f"{path}.affine.weight", 1, 2)),
        "kernel_size": equal(kernel),
        "conv_clamp": clamp,
        "weight_gain": near(1 / math.sqrt(inputs * kernel**2)),
        **PRECISION,
    }
    order = ("in_channels", "out_channels", "w_dim", "kernel_size", "conv_clamp", "channels_last")
    return Expected("ToRGBLayer", order, rules, ("conv_clamp", "weight_gain"))


def mapping(layers: int, facts: Mapping[str, Any], embedded: int, features: int) -> Expected:
    """A mapping network. facts: its z_dim, c_dim, w_dim, num_ws and w_avg_beta."""
    rules = {
        **{key: equal(value) for key, value in facts.items()},
        "num_layers": equal(layers),
        # None is the original's word for w_dim; without classes there is nothing that the width of is asked.
        "embed_features": one_of(None, embedded) if facts["c_dim"] else ANYTHING,
        "layer_features": one_of(None, features),
        "activation": LRELU,
        "lr_multiplier": equal(MAPPING_LR),
    }
    return Expected("MappingNetwork", MAPPING_ORDER, rules, ("num_layers", "w_avg_beta"))


def account_mapping(ledger: Arguments, given: Given, layers: int, facts: Mapping[str, Any]) -> None:
    """A mapping network and its layers."""
    embedded = given.size("mapping.embed.weight", 0, 2) if facts["c_dim"] else 0
    features = given.size("mapping.fc0.weight", 0, 2)
    ledger.account("mapping", mapping(layers, facts, embedded, features))
    if facts["c_dim"]:
        ledger.account("mapping.embed", full(given, "mapping.embed"))
    for layer in range(layers):
        path = f"mapping.fc{layer}"
        ledger.account(path, full(given, path, activation=LRELU, lr=MAPPING_LR))


def account_generator(ledger: Arguments, given: Given, options: Mapping[str, Any], resolution: int) -> None:
    """Every module of G is what the network of these options has. UserError naming what is not."""
    sizes = [BOTTOM << level for level in range((resolution // BOTTOM).bit_length())]
    clamp = equal(options["clamp"])
    widths = {size: given.size(f"synthesis.b{size}.conv1.weight", 0, 4) for size in sizes}
    facts = {
        "z_dim": options["z_dim"],
        "c_dim": options.get("condition_dim", 0),
        "w_dim": options["w_dim"],
        "num_ws": 2 * len(sizes),
    }
    colours = {"img_resolution": equal(resolution), "img_channels": equal(3)}
    layer: Rules = {"use_noise": equal(True), "activation": LRELU, "kernel_size": equal(3)}
    block: Rules = {
        "architecture": equal("skip"), "resample_filter": TAPS, "conv_clamp": clamp, **layer, **PRECISION
    }  # fmt: skip
    synthesis: Rules = {"w_dim": equal(facts["w_dim"]), **colours, **_channels(widths), **block}
    features = given.size("mapping.fc0.weight", 0, 2)
    embedded = given.size("mapping.embed.weight", 0, 2) if facts["c_dim"] else 0
    whole = {**{key: equal(value) for key, value in facts.items()}, **colours, "epochs": TRAINING["epochs"]}
    mapped = mapping(options["mapping_layers"], {**facts, "w_avg_beta": W_AVERAGE_DECAY}, embedded, features)
    order = (
        "z_dim",
        "c_dim",
        "w_dim",
        "img_resolution",
        "img_channels",
        "mapping_kwargs",
        "synthesis_kwargs",
    )
    inner = {"mapping_kwargs": mapped.rules, "synthesis_kwargs": synthesis}
    ledger.account("", Expected("Generator", order, whole, inner=inner))
    account_mapping(ledger, given, options["mapping_layers"], {**facts, "w_avg_beta": W_AVERAGE_DECAY})
    ledger.account(
        "synthesis",
        Expected(
            "SynthesisNetwork",
            ("w_dim", "img_resolution", "img_channels", "channel_base", "channel_max", "num_fp16_res"),
            {**synthesis, **_sizes(resolution, sizes), "num_ws": equal(facts["num_ws"])},
        ),
    )
    for size in sizes:
        own = {
            "in_channels": equal(widths[size // 2] if size > BOTTOM else 0),
            "out_channels": equal(widths[size]),
            "w_dim": equal(facts["w_dim"]),
            "resolution": equal(size),
            "img_channels": equal(3),
            "is_last": equal(size == resolution),
            "num_conv": equal(2 if size > BOTTOM else 1),
            "num_torgb": equal(1),
        }
        first = (
            "in_channels",
            "out_channels",
            "w_dim",
            "resolution",
            "img_channels",
            "is_last",
            "architecture",
        )
        path = f"synthesis.b{size}"
        ledger.account(path, Expected("SynthesisBlock", first, {**block, **own}, ("architecture",)))
        for name, up in (("conv0", 2), ("conv1", 1)) if size > BOTTOM else (("conv1", 1),):
            ledger.account(f"{path}.{name}", styled(given, f"{path}.{name}", clamp, size, up=up))
            ledger.account(f"{path}.{name}.affine", full(given, f"{path}.{name}.affine"))
        ledger.account(f"{path}.torgb", coloured(given, f"{path}.torgb", clamp))
        ledger.account(f"{path}.torgb.affine", full(given, f"{path}.torgb.affine"))
    ledger.finish()


def account_discriminator(
    ledger: Arguments, given: Given, options: Mapping[str, Any], resolution: int
) -> None:
    """Every module of D is what the network of these options has. UserError naming what is not."""
    sizes = [BOTTOM << level for level in range((resolution // BOTTOM).bit_length())]
    clamp, classes = equal(options["clamp"]), options.get("condition_dim", 0)
    widths = {size: given.size(f"b{size}.conv0.weight", 1, 4) for size in sizes[1:]}
    widths[BOTTOM] = given.size("b4.conv.weight", 0, 4)
    mapped_dim = given.size("b4.out.weight", 0, 2) if classes else 0
    shared: Rules = {
        "img_channels": equal(3),
        "architecture": equal(options["d_architecture"]),
        "activation": LRELU,
        "conv_clamp": clamp,
    }
    block: Rules = {**shared, "resample_filter": TAPS, **PRECISION, **TRAINING}
    epilogue: Rules = {
        **shared,
        "in_channels": equal(widths[BOTTOM]),
        "cmap_dim": equal(mapped_dim),
        "resolution": equal(BOTTOM),
        "mbstd_group_size": equal(options["mbstd_group"]),
        "mbstd_num_channels": equal(1),
    }
    # Without classes the original ignores the size that it is told.
    asked = one_of(None, mapped_dim) if classes else ANYTHING
    # Without classes the original has no mapping network to hand these to.
    inner: dict[str, Rules] = {"mapping_kwargs": dict.fromkeys(MAPPING_ORDER, ANYTHING)}
    inner |= {"block_kwargs": block, "epilogue_kwargs": epilogue}
    if classes:
        facts = {"z_dim": 0, "c_dim": classes, "w_dim": mapped_dim, "num_ws": None, "w_avg_beta": None}
        embedded = given.size("mapping.embed.weight", 0, 2)
        features = given.size("mapping.fc0.weight", 0, 2)
        inner["mapping_kwargs"] = mapping(options["class_layers"], facts, embedded, features).rules
        account_mapping(ledger, given, options["class_layers"], facts)
    whole = {
        **shared,
        **PRECISION,
        **_channels(widths),
        **_sizes(resolution, sizes[:0:-1]),
        "cmap_dim": asked,
    }
    whole |= {"c_dim": equal(classes), "img_resolution": equal(resolution), "epochs": TRAINING["epochs"]}
    order = (
        "c_dim", "img_resolution", "img_channels", "architecture", "channel_base", "channel_max", "num_fp16_res",
        "conv_clamp", "cmap_dim", "block_kwargs", "mapping_kwargs", "epilogue_kwargs",
    )  # fmt: skip
    ledger.account("", Expected("Discriminator", order, whole, inner=inner))
    for size in sizes[1:]:
        _account_block(ledger, given, size, size == resolution, widths, block, clamp)
    mbstd = {"group_size": equal(options["mbstd_group"]), "num_channels": equal(1)}
    first = ("in_channels", "cmap_dim", "resolution", "img_channels", "architecture", "mbstd_group_size")
    ledger.account("b4", Expected("DiscriminatorEpilogue", first, epilogue, ("architecture",)))
    ledger.account("b4.mbstd", Expected("MinibatchStdLayer", tuple(mbstd), mbstd, tuple(mbstd)))
    ledger.account("b4.conv", convolution(given, "b4.conv", clamp))
    ledger.account("b4.fc", full(given, "b4.fc", activation=LRELU))
    ledger.account("b4.out", full(given, "b4.out"))
    ledger.finish()


def _account_block(
    ledger: Arguments,
    given: Given,
    size: int,
    first: bool,
    widths: Mapping[int, int],
    block: Rules,
    clamp: Rule,
) -> None:
    residual = block["architecture"].fits("resnet")
    own = {
        "in_channels": equal(0 if first else widths[size]),
        "tmp_channels": equal(widths[size]),
        "out_channels": equal(widths[size // 2]),
        "resolution": equal(size),
        "num_layers": equal(2 + first + residual),
    }
    order = ("in_channels", "tmp_channels", "out_channels", "resolution", "img_channels", "first_layer_idx")
    ledger.account(f"b{size}", Expected("DiscriminatorBlock", order, {**block, **own}, ("architecture",)))
    if first:
        ledger.account(f"b{size}.fromrgb", convolution(given, f"b{size}.fromrgb", clamp))
    ledger.account(f"b{size}.conv0", convolution(given, f"b{size}.conv0", clamp))
    ledger.account(f"b{size}.conv1", convolution(given, f"b{size}.conv1", clamp, down=2))
    if residual:
        ledger.account(f"b{size}.skip", convolution(given, f"b{size}.skip", clamp, down=2, plain=True))


def _sizes(resolution: int, sizes: list[int]) -> Rules:
    return {
        "img_resolution_log2": equal(resolution.bit_length() - 1),
        "block_resolutions": equal(sizes),
    }


def _channels(widths: Mapping[int, int]) -> Rules:
    """channel_base, channel_max: the tensors have widths already; these must be able to be of them.

    A width is min(base // size, max): no base gives a wider level than the file has at the level where it is alone,
    and the widest level is at most max.
    """
    widest = max(widths.values())
    return {
        "channel_base": Rule(
            lambda value: (
                type(value) is int
                and all(
                    width in (value // size, widest) and width <= value // size
                    for size, width in widths.items()
                )
            ),
            f"one of which the file's widths are, {', '.join(f'{width} at {size}' for size, width in widths.items())}",
        ),
        "channel_max": Rule(
            lambda value: type(value) is int and value >= widest, f"at least {widest}, the widest level"
        ),
    }
