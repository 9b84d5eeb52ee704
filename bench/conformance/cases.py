"""The tiny runs that the conformance checks train: one network of each family, procedural shapes, six steps."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.contract.base import Method
from bench.contract.discovery import methods
from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources, needing
from bench.errors import UserError
from bench.spec.run import DataSpec, NetworkSpec, Part, RunSpec, TrainSettings, WeightsFile

STEPS, STOP_AT = 6, 3  # training steps of a run, and the one after which an interrupted run stops
MICRO = 2  # images of a micro-batch, half a batch
SHOTS = 128  # training images: enough for any method with its default settings
# One network of each family, in a size whose step takes some ten milliseconds
NETWORKS: dict[str, dict[str, Any]] = {
    "sngan-32": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True},
    "sndcgan-32": {"g_width": 16, "d_width": 16, "z_dim": 16, "shared_dim": 16},
    "biggan-32": {"g_channels": 4, "d_channels": 4, "z_dim": 20, "shared_dim": 16},
    "stylegan1-32": {"z_dim": 16, "w_dim": 16, "shared_dim": 16, "channel_base": 256, "channel_max": 16},
    "stylegan2-32": {"z_dim": 16, "w_dim": 16, "shared_dim": 16, "channel_base": 256, "channel_max": 16},
    "fastgan-64": {"z_dim": 16, "shared_dim": 16, "ngf": 4, "ndf": 4, "decoder_width": 4},
}
ENCODERS = ("simclr", "classifier")  # the methods that train no generator
TRAIN = TrainSettings(steps=STEPS, batch=4, d_steps=2, g_lr=1e-3, d_lr=1e-3, log_every=1)


def conformance_spec(expression: str, network: str = "sngan-32") -> RunSpec:
    """The tiny run that the checks train; its sources are tiny runs too.

    Raises UserError for a network without a conformance setting, and for an expression that cannot be read.
    """
    if network not in NETWORKS:
        raise UserError(f"network '{network}' has no conformance setting; known: {', '.join(NETWORKS)}")
    nets = NetworkSpec(name=network, options=NETWORKS[network])
    method = parse_method(expression)
    images = "faces-attributes@200" if needing("attributes", method) else "shapes"
    data = DataSpec(name=images, resolution=int(network.rpartition("-")[2]), shots=SHOTS)
    # Every kind of source that a method may need; only those that it needs are used
    source = partial(RunSpec, data=data, train=TRAIN, protocol=None, seed=7)
    conditions = parse_method("class-conditional") if _has_conditions(method) else ()
    sources = {
        "network": source(method=conditions, network=nets),
        "simclr": source(method=parse_method("simclr"), network=None),
        "classifier": source(method=parse_method("classifier"), network=None),
        "run": source(method=parse_method("class-conditional"), network=nets),
    }
    chosen: dict[str, RunSpec | WeightsFile] = {role: sources[role] for role in needed_sources(method)}
    trains_network = method[0].name not in ENCODERS
    return RunSpec(
        method=method,
        network=nets if trains_network else None,
        data=data,
        train=TRAIN,
        protocol=None,
        seed=0,
        sources=chosen,
    )


def _has_conditions(method: tuple[Part, ...]) -> bool:
    """Whether a part conditions the networks; a part with its own training loop (`fit`) is taken to do so."""
    classes = [methods().load(part.name) for part in method]
    hooks = ("condition", "fit")
    return any(getattr(part_class, hook) is not getattr(Method, hook) for part_class in classes for hook in hooks)
