"""Every module of a stylegan2-ada-pytorch snapshot, accounted for: G's and D's structure, level by level.

What a layer must say of itself is in stylegan2_ada_layers; here is which layers there are, and what the networks, the
blocks and the dicts of arguments that they hand down must say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.convert.arguments import Arguments, Expected, Rule, Rules, equal, one_of
from bench.convert.foreign_state import ForeignState
from bench.convert.stylegan2_ada_layers import (
    ANYTHING,
    LRELU,
    MAPPING_ORDER,
    PRECISION,
    TAPS,
    TRAINING,
    account_mapping,
    coloured,
    convolution,
    full,
    mapping,
    styled,
)
from bench.networks.stylegan2.mapping import BOTTOM, W_AVERAGE_DECAY


def account_generator(ledger: Arguments, foreign: ForeignState, options: Mapping[str, Any], resolution: int) -> None:
    """Every module of G is what the network of these options has. UserError naming what is not."""
    sizes = [BOTTOM << level for level in range((resolution // BOTTOM).bit_length())]
    clamp = equal(options["clamp"])
    widths = {size: foreign.size(f"synthesis.b{size}.conv1.weight", 0, 4) for size in sizes}

    # What the network, the mapping, the synthesis and its blocks must say.
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
    features = foreign.size("mapping.fc0.weight", 0, 2)
    embedded = foreign.size("mapping.embed.weight", 0, 2) if facts["c_dim"] else 0
    whole = {**{key: equal(value) for key, value in facts.items()}, **colours, "epochs": TRAINING["epochs"]}
    mapped = mapping(options["mapping_layers"], {**facts, "w_avg_beta": W_AVERAGE_DECAY}, embedded, features)

    # The modules above the blocks.
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
    account_mapping(ledger, foreign, options["mapping_layers"], {**facts, "w_avg_beta": W_AVERAGE_DECAY})
    ledger.account(
        "synthesis",
        Expected(
            "SynthesisNetwork",
            ("w_dim", "img_resolution", "img_channels", "channel_base", "channel_max", "num_fp16_res"),
            {**synthesis, **_sizes(resolution, sizes), "num_ws": equal(facts["num_ws"])},
        ),
    )

    # The blocks, with their convolutions and layers to RGB.
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
            ledger.account(f"{path}.{name}", styled(foreign, f"{path}.{name}", clamp, size, up=up))
            ledger.account(f"{path}.{name}.affine", full(foreign, f"{path}.{name}.affine"))
        ledger.account(f"{path}.torgb", coloured(foreign, f"{path}.torgb", clamp))
        ledger.account(f"{path}.torgb.affine", full(foreign, f"{path}.torgb.affine"))
    ledger.finish()


def account_discriminator(
    ledger: Arguments, foreign: ForeignState, options: Mapping[str, Any], resolution: int
) -> None:
    """Every module of D is what the network of these options has. UserError naming what is not."""
    sizes = [BOTTOM << level for level in range((resolution // BOTTOM).bit_length())]
    clamp, classes = equal(options["clamp"]), options.get("condition_dim", 0)
    widths = {size: foreign.size(f"b{size}.conv0.weight", 1, 4) for size in sizes[1:]}
    widths[BOTTOM] = foreign.size("b4.conv.weight", 0, 4)
    mapped_dim = foreign.size("b4.out.weight", 0, 2) if classes else 0

    # What the network, its blocks and its last layers must say.
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

    # The network. Without classes the original ignores the size that it gets,
    cmap = one_of(None, mapped_dim) if classes else ANYTHING
    # and has no mapping network to hand these to.
    inner: dict[str, Rules] = {"mapping_kwargs": dict.fromkeys(MAPPING_ORDER, ANYTHING)}
    inner |= {"block_kwargs": block, "epilogue_kwargs": epilogue}
    if classes:
        facts = {"z_dim": 0, "c_dim": classes, "w_dim": mapped_dim, "num_ws": None, "w_avg_beta": None}
        embedded = foreign.size("mapping.embed.weight", 0, 2)
        features = foreign.size("mapping.fc0.weight", 0, 2)
        inner["mapping_kwargs"] = mapping(options["class_layers"], facts, embedded, features).rules
        account_mapping(ledger, foreign, options["class_layers"], facts)
    whole = {
        **shared,
        **PRECISION,
        **_channels(widths),
        **_sizes(resolution, sizes[:0:-1]),
        "cmap_dim": cmap,
    }
    whole |= {"c_dim": equal(classes), "img_resolution": equal(resolution), "epochs": TRAINING["epochs"]}
    order = (
        "c_dim", "img_resolution", "img_channels", "architecture", "channel_base", "channel_max", "num_fp16_res",
        "conv_clamp", "cmap_dim", "block_kwargs", "mapping_kwargs", "epilogue_kwargs",
    )  # fmt: skip
    ledger.account("", Expected("Discriminator", order, whole, inner=inner))

    # The blocks and the last layers.
    for size in sizes[1:]:
        _account_block(ledger, foreign, size, size == resolution, widths, block, clamp)
    mbstd = {"group_size": equal(options["mbstd_group"]), "num_channels": equal(1)}
    first = ("in_channels", "cmap_dim", "resolution", "img_channels", "architecture", "mbstd_group_size")
    ledger.account("b4", Expected("DiscriminatorEpilogue", first, epilogue, ("architecture",)))
    ledger.account("b4.mbstd", Expected("MinibatchStdLayer", tuple(mbstd), mbstd, tuple(mbstd)))
    ledger.account("b4.conv", convolution(foreign, "b4.conv", clamp))
    ledger.account("b4.fc", full(foreign, "b4.fc", activation=LRELU))
    ledger.account("b4.out", full(foreign, "b4.out"))
    ledger.finish()


def _account_block(
    ledger: Arguments,
    foreign: ForeignState,
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
        ledger.account(f"b{size}.fromrgb", convolution(foreign, f"b{size}.fromrgb", clamp))
    ledger.account(f"b{size}.conv0", convolution(foreign, f"b{size}.conv0", clamp))
    ledger.account(f"b{size}.conv1", convolution(foreign, f"b{size}.conv1", clamp, down=2))
    if residual:
        ledger.account(f"b{size}.skip", convolution(foreign, f"b{size}.skip", clamp, down=2, plain=True))


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
                and all(width in (value // size, widest) and width <= value // size for size, width in widths.items())
            ),
            f"one of which the file's widths are, {', '.join(f'{width} at {size}' for size, width in widths.items())}",
        ),
        "channel_max": Rule(
            lambda value: type(value) is int and value >= widest, f"at least {widest}, the widest level"
        ),
    }
