"""What the modules of a stylegan2-ada-pytorch snapshot must say of themselves to be the layers here.

There is one Expected a class, from the shapes of the module's own tensors and its place in the network. Two kinds of
attributes may have any value:

- those that change rounding and speed alone (numbers here are of float32, the original's force_fp32): `num_fp16_res`,
  `use_fp16`, `fp16_channels_last`, `channels_last`;
- those that act in training alone, on later updates and not on what the network computes: `bias_init`, `trainable`,
  `freeze_layers`, `first_layer_idx` (of FreezeD), `num_layers` of a block of D (counts them), and a fork's `epochs`,
  its clock of top-k training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.convert.arguments import Arguments, Expected, Rule, Rules, equal, near, number, one_of
from bench.convert.foreign_state import ForeignState
from bench.networks.stylegan2.mapping import MAPPING_LR

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


def full(foreign: ForeignState, path: str, *, activation: Rule = LINEAR, lr: float = 1) -> Expected:
    """A fully connected layer."""
    outputs, inputs = foreign.size(f"{path}.weight", 0, 2), foreign.size(f"{path}.weight", 1, 2)
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


def convolution(foreign: ForeignState, path: str, clamp: Rule, *, down: int = 1, plain: bool = False) -> Expected:
    """A convolution of D. plain: a shortcut's, without bias, activation and clamp."""
    outputs, inputs, kernel = (foreign.size(f"{path}.weight", axis, 4) for axis in range(3))
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
    return Expected("Conv2dLayer", order, rules, ("activation", "conv_clamp", "weight_gain", "act_gain", "down"))


def styled(foreign: ForeignState, path: str, clamp: Rule, resolution: int, *, up: int) -> Expected:
    """A modulated convolution with noise."""
    outputs, inputs, kernel = (foreign.size(f"{path}.weight", axis, 4) for axis in range(3))
    rules = {
        "in_channels": equal(inputs),
        "out_channels": equal(outputs),
        "w_dim": equal(foreign.size(f"{path}.affine.weight", 1, 2)),
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


def coloured(foreign: ForeignState, path: str, clamp: Rule) -> Expected:
    """A layer to RGB."""
    outputs, inputs, kernel = (foreign.size(f"{path}.weight", axis, 4) for axis in range(3))
    rules = {
        "in_channels": equal(inputs),
        "out_channels": equal(outputs),
        "w_dim": equal(foreign.size(f"{path}.affine.weight", 1, 2)),
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
        # None means w_dim in the original; without classes no module has this width.
        "embed_features": one_of(None, embedded) if facts["c_dim"] else ANYTHING,
        "layer_features": one_of(None, features),
        "activation": LRELU,
        "lr_multiplier": equal(MAPPING_LR),
    }
    return Expected("MappingNetwork", MAPPING_ORDER, rules, ("num_layers", "w_avg_beta"))


def account_mapping(ledger: Arguments, foreign: ForeignState, layers: int, facts: Mapping[str, Any]) -> None:
    """A mapping network and its layers."""
    embedded = foreign.size("mapping.embed.weight", 0, 2) if facts["c_dim"] else 0
    features = foreign.size("mapping.fc0.weight", 0, 2)
    ledger.account("mapping", mapping(layers, facts, embedded, features))
    if facts["c_dim"]:
        ledger.account("mapping.embed", full(foreign, "mapping.embed"))
    for layer in range(layers):
        path = f"mapping.fc{layer}"
        ledger.account(path, full(foreign, path, activation=LRELU, lr=MAPPING_LR))
