"""What of a network's input makes a given image: Adam on each image's own variables, whatever the loss.

The loss of a batch is the sum of its images' losses, and Adam works number by number. So every image has an Adam of its
own, and its result does not depend on which images it is optimised beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.errors import UserError
from bench.features.extractor import without_tf32
from bench.networks.common import noise
from bench.networks.common.pixels import signed_images
from bench.networks.interface import Generator, Styled

PIXELS_AT_ONCE = 2**23  # of the images of a batch: eight of 1024 px
MOST_AT_ONCE = 64
Loss = Callable[[Tensor, Tensor], Tensor]  # images and wanted images (N, 3, H, W) -> the loss of each, (N,)
Streams = Callable[[int], torch.Generator]  # the position of an image -> the stream of the noise that G draws for it


@dataclass(frozen=True)
class Adam:
    """How many updates an image's variables get, at which rate, and Adam's betas."""

    updates: int
    lr: float
    beta1: float = 0.9
    beta2: float = 0.999


def fitted_images(
    generator: Generator,
    start: Sequence[Tensor],
    wanted_NHWC: np.ndarray,
    loss: Loss,
    adam: Adam,
    streams: Streams,
    pause: Callable[[], None] = lambda: None,
) -> Tensor:
    """The images of `fitted` alone."""
    return fitted(generator, start, wanted_NHWC, loss, adam, streams, pause)[1]


def fitted(
    generator: Generator,
    start: Sequence[Tensor],
    wanted_NHWC: np.ndarray,
    loss: Loss,
    adam: Adam,
    streams: Streams,
    pause: Callable[[], None] = lambda: None,
) -> tuple[list[Tensor], Tensor]:
    """What G is given after the last update, and the images (N, 3, H, W) that it makes of it, both on the CPU.

    start: z (N, Z) and, of a generator with conditions, embeddings (N, E) or (N, blocks, E), on its device; what is
    found has the same shapes. Each image is fitted to a uint8 image. Noise inside G is drawn once an image and is the
    same at every update, so that an image is a function of what is fitted. Raises UserError where a loss is not finite.
    """
    count, found, images = len(wanted_NHWC), [], []
    for part in portions(count, generator.resolution):
        noises = partial(_streams_of, streams, range(count)[part])
        wanted_NCHW = signed_images(wanted_NHWC[part], start[0].device)
        variables, images_NCHW = _fitted(
            generator, [rows[part] for rows in start], wanted_NCHW, loss, adam, noises, pause
        )
        found.append([variable.cpu() for variable in variables])
        images.append(images_NCHW.cpu())
    return [torch.cat(parts) for parts in zip(*found, strict=True)], torch.cat(images)


def _fitted(
    generator: Generator,
    start: Sequence[Tensor],
    wanted_NCHW: Tensor,
    loss: Loss,
    adam: Adam,
    noises: Callable[[], list[torch.Generator]],
    pause: Callable[[], None],
) -> tuple[list[Tensor], Tensor]:
    def render(variables: Sequence[Tensor]) -> Tensor:
        with noise.drawn_for_each(noises()):
            return image_of(generator, variables)

    with frozen(generator):
        found = descend(start, lambda variables: loss(render(variables), wanted_NCHW), adam, pause)
        with torch.no_grad():
            return found, render(found)


def _streams_of(streams: Streams, places: range) -> list[torch.Generator]:
    return [streams(place) for place in places]


def image_of(generator: Generator, variables: Sequence[Tensor]) -> Tensor:
    """G's images (N, 3, H, W) of z and an embedding; a generator that mixes styles mixes none."""
    make = generator.reconstruct if isinstance(generator, Styled) else generator.synthesize
    images_NCHW: Tensor = make(*variables)
    return images_NCHW


def descend(
    start: Sequence[Tensor],
    losses_of: Callable[[Sequence[Tensor]], Tensor],
    adam: Adam,
    pause: Callable[[], None],
    within: Callable[[Tensor], Tensor] | None = None,
) -> list[Tensor]:
    """The variables after the last update, from `start`: tensors whose rows are images, (N, ...).

    losses_of: the variables -> the loss of each image, (N,). pause: called before every update. within: where given,
    what it makes of a variable takes its place after every update.
    Raises UserError where a loss is not finite.
    """
    variables = [tensor.detach().clone().requires_grad_() for tensor in start]
    optimizer = torch.optim.Adam(variables, lr=adam.lr, betas=(adam.beta1, adam.beta2))
    with torch.enable_grad():
        for update in range(adam.updates):
            pause()
            losses_N = losses_of(variables)
            if not losses_N.isfinite().all():
                raise UserError(f"the loss of an image is not finite after {update} updates; lower lr ({adam.lr:g})")
            gradients = torch.autograd.grad(losses_N.sum(), variables)
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.grad = gradient
            optimizer.step()
            if within is not None:
                for variable in variables:
                    variable.data.copy_(within(variable.data))
    return [variable.detach() for variable in variables]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, a network is in evaluation mode, its weights take no gradient, and normalised ones are computed once.

    Everything is computed in float32, whatever the precision that the run was trained in.
    """
    training = {module: module.training for module in network.modules()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.eval().requires_grad_(False)
    try:
        with parametrize.cached(), without_tf32():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode
        for parameter in learning:
            parameter.requires_grad_()


def portions(count: int, resolution: int) -> Iterator[slice]:
    """Parts of `count` images, each of so many as a device takes at once."""
    size = max(1, min(MOST_AT_ONCE, PIXELS_AT_ONCE // resolution**2))
    return (slice(first, min(first + size, count)) for first in range(0, count, size))
