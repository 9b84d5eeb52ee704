"""The work of one training step: operations, and bytes of activations that forward passes keep for backward ones.

G and D are the multiply-accumulates (or the kept bytes) of one image's forward pass, B is the batch, b the images of
G's update and d the number of D updates. Operations:

    2 [ d B (G + 3 * 2 D) + 3 b G + 2 b D ]

A forward and backward pass costs 3 forward passes. In D's update G runs forward, and D forward and backward on real and
on generated images. In G's update G runs forward and backward. D is frozen there, so that its backward pass has no
gradient of weights and both passes cost 2. Kept bytes:

    d B 2 D + b (G + D)

as G's forward pass in D's update keeps nothing. Where G's update reuses the images of D's last update (`share_fakes`),
one of the d forward passes of G is saved.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from bench.spec.run import NetworkSpec, RunSpec, TrainSettings


class Work(NamedTuple):
    """The work of one training step on the whole batch."""

    tflop: float
    gigabytes: float  # of activations, in float32


class PerImage(NamedTuple):
    """What one image's forward pass through G and through D takes: multiply-accumulates, or bytes kept."""

    generator: float
    discriminator: float


def step_flops(macs: PerImage, train: TrainSettings) -> float:
    """Floating-point operations of the paper's step, from the networks alone."""
    g, d = macs
    batch, g_batch = train.batch, train.g_batch or train.batch
    forward = train.d_steps - bool(train.share_fakes)
    return 2.0 * (batch * (forward * g + train.d_steps * 6 * d) + g_batch * (3 * g + 2 * d))


def step_bytes(kept: PerImage, train: TrainSettings) -> float:
    """Bytes that the forward passes of a step keep, from the networks alone."""
    g, d = kept
    return train.d_steps * train.batch * 2 * d + (train.g_batch or train.batch) * (g + d)


def method_of(spec: RunSpec) -> str:
    """The parts of a training's method with their settings, as a key."""
    return json.dumps([[part.name, part.settings] for part in spec.method], sort_keys=True)


def network_of(network: NetworkSpec) -> str:
    """A network and its options, as a key."""
    return json.dumps(network.model_dump(mode="json"), sort_keys=True)


def step_key(spec: RunSpec) -> str:
    """A digest of what a training's step depends on: method, network, batch, and how a step is made of updates."""
    assert spec.network is not None and spec.train is not None
    train = spec.train
    updates = [train.batch, train.d_steps, train.g_batch, train.share_fakes]
    text = json.dumps([method_of(spec), network_of(spec.network), updates])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
