"""Counts the multiply-accumulates and the kept bytes of networks on torch's meta device: nothing is allocated.

A network is taken with the options that its table gives it. What a method changes in it (the width of a condition) is
left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.contract.base import Method
from bench.contract.discovery import methods
from bench.networks import build
from bench.networks.describe import ShapesOnly, describe
from bench.networks.interface import Discriminator, Generator
from bench.plan.cost.work import PerImage, Work, network_of, step_bytes, step_flops
from bench.spec.run import NetworkSpec, RunSpec

IMAGES = 4  # of a counted pass; enough for the groups of a minibatch's standard deviation


_MEASURED: dict[str, tuple[PerImage, PerImage]] = {}


def count(spec: RunSpec) -> Work | None:
    """The work of a training's step from its networks alone; None for a method with a loop or a D of its own.

    Raises UserError for an unknown network, method or option.
    """
    assert spec.network is not None and spec.train is not None
    own = ("fit", "discriminator")
    classes = [methods().load(part.name) for part in spec.method]
    if any(getattr(one, hook) is not getattr(Method, hook) for one in classes for hook in own):
        return None
    macs, kept = per_image(spec.network)
    return Work(step_flops(macs, spec.train) / 1e12, step_bytes(kept, spec.train) / 1e9)


def per_image(network: NetworkSpec) -> tuple[PerImage, PerImage]:
    """Multiply-accumulates and kept bytes of an image; a network is counted once. Raises UserError as `build` does."""
    key = network_of(network)
    if key not in _MEASURED:
        _MEASURED[key] = macs_of(network), kept_bytes(network)
    return _MEASURED[key]


def macs_of(network: NetworkSpec) -> PerImage:
    """Multiply-accumulates of one image's forward pass through G and D. Raises UserError as `build` does."""
    described = describe(network.name, **network.options)
    return PerImage(described.generator.macs, described.discriminator.macs)


def kept_bytes(network: NetworkSpec) -> PerImage:
    """Bytes an image that a training forward pass through G, and through D, keeps for its backward pass.

    A tensor that several layers keep counts once; parameters and buffers do not count. What is computed from weights
    alone (a weight over its spectral norm) is shared among the images of a pass, and so falls out of the difference of
    two passes. Raises UserError as `build` does.
    """
    with torch.device("meta"), ShapesOnly():
        generator, discriminator = build(network.name, **network.options)
        few, many = (_pass(generator.train(), discriminator.train(), images) for images in (IMAGES, 2 * IMAGES))
    return PerImage(*((two - one) / IMAGES for one, two in zip(few, many, strict=True)))


def _pass(generator: Generator, discriminator: Discriminator, images: int) -> tuple[int, int]:
    """Bytes that a pass of so many images through G and through D keeps."""
    size = generator.condition_dim
    condition = () if size is None else (torch.empty(images, size),)
    g_kept, d_kept = _Kept(generator), _Kept(discriminator)
    with torch.enable_grad(), g_kept.hooks:
        images_NCHW = generator(torch.empty(images, generator.z_dim), *condition)
    with torch.enable_grad(), d_kept.hooks:
        discriminator(images_NCHW.detach(), *condition)
    return g_kept.total, d_kept.total


class _Kept:
    """Adds up the storages that are kept for backward passes while `hooks` are entered."""

    def __init__(self, network: nn.Module) -> None:
        self.total = 0
        # Storages of the meta device have no address: each is told by its object, which is held so that it stays one
        self.seen = {_storage(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
        self.hooks: Any = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def _keep(self, tensor: Tensor) -> Tensor:
        if _storage(tensor) not in self.seen:
            self.seen[_storage(tensor)] = tensor
            self.total += tensor.untyped_storage().nbytes()
        return tensor


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
