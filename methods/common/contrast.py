"""Instance discrimination on D's features: heads, a slow copy of D, queues of what it said (He et al. 2020, MoCo).

InsGen and FakeCLR share it. A query is a head's answer of D, a key the same head's of the slow copy, which an image and
its twin should have alike; what the copy said of earlier images are the negatives.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.contract.context import ADDED, Augmentation
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.interface import Growing
from bench.train import Context

from .penultimate import penultimate

WIDTH = 128  # numbers of a query or key
LEAST = 32  # keys in a queue, where a share of few images would be fewer (declared)


def check(method: str, weights: dict[str, float], sigma: float, momentum: float, queue: int | None) -> None:
    """Raises UserError for an impossible setting."""
    for name, value in weights.items():
        if value < 0:
            raise UserError(f"method '{method}': {name} is {value}, must be 0 or more")
    if sigma <= 0:
        raise UserError(f"method '{method}': sigma is {sigma}, must be above 0")
    if not 0 <= momentum < 1:
        raise UserError(f"method '{method}': momentum is {momentum}, must be 0 or more and below 1")
    if queue is not None and queue < 1:
        raise UserError(f"method '{method}': queue is {queue}, must be 1 or more keys")


def refuse_single_images(method: str, ctx: Context) -> None:
    """Raises UserError where an update or micro-batch has one image, of which there would be no second view."""
    if (ctx.train.micro_batch or ctx.train.batch) < 2:
        raise UserError(
            f"method '{method}': the second view of an image has the augmentation of the next one; batch and "
            "micro_batch must be 2 or more"
        )


# ---- the heads


def attach_head(ctx: Context, method: str, name: str) -> None:
    """A head F -> F -> WIDTH with a ReLU on D's features; D's optimiser trains it."""
    _, discriminator = ctx.networks()
    size = penultimate(method, discriminator).feature_dim
    with ctx.initialised(f"{method}-{name}"):
        head = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, WIDTH))
    ctx.attach("discriminator", _attached(method, name), head)


def answers(method: str, name: str, discriminator: nn.Module, images_NCHW: Tensor) -> Tensor:
    """What a head says of images: unit vectors (N, WIDTH), float32."""
    features_NF = penultimate(method, discriminator).features(images_NCHW)
    head = discriminator.get_submodule(f"{ADDED}.{_attached(method, name)}")
    with torch.autocast(images_NCHW.device.type, enabled=False):
        return functional.normalize(head(features_NF.float()), dim=1)


def _attached(method: str, name: str) -> str:
    return f"{method.replace('-', '_')}_{name}"


# ---- the slow copy


def slow_copy(discriminator: nn.Module) -> nn.Module:
    """D with its heads, in evaluation mode, without gradients."""
    return copy.deepcopy(discriminator).eval().requires_grad_(False)


@torch.no_grad()
def follow(slow: nn.Module, discriminator: nn.Module, momentum: float) -> None:
    """In place: the copy's weights <- momentum * copy + (1 - momentum) * D; buffers are D's.

    What parts have attached to D after the copy was made is not in it.
    """
    live = dict(discriminator.named_parameters())
    pairs = [(parameter, live[name]) for name, parameter in slow.named_parameters()]
    torch._foreach_lerp_([mine for mine, _ in pairs], [theirs for _, theirs in pairs], 1 - momentum)
    state = dict(discriminator.named_buffers())
    for name, buffer in slow.named_buffers():
        buffer.copy_(state[name])
    if isinstance(slow, Growing) and isinstance(discriminator, Growing):
        slow.grow(discriminator.level, discriminator.alpha)


# ---- the queue: keys (R, WIDTH), the oldest first


def first_keys(ctx: Context, method: str, name: str, length: int) -> Tensor:
    """A queue of random directions, which the first keys push out."""
    drawn_RD = torch.randn(length, WIDTH, generator=ctx.stream(f"{method}-queue", name))
    return functional.normalize(drawn_RD, dim=1).to(ctx.device)


@torch.no_grad()
def push(queue: Tensor, values: Tensor) -> None:
    """In place: append values (N, ...), drop as many of the oldest; of more than there is room for, keep the last."""
    queue.copy_(torch.cat([queue, values])[-len(queue) :])


def queue_length(ctx: Context, asked: int | None, share: float = 0.05) -> int:
    """How many keys a queue has: `asked`, or a share of the training images, mirrored ones included; at least LEAST.

    But at most half of the images: among more of them a new image would soon meet itself as a negative.
    """
    images = len(ctx.images_u8_NHWC)
    of_share = round(share * images * (2 if ctx.train.flip else 1))
    return asked or max(1, min(max(of_share, LEAST), images // 2))


# ---- the loss


def info_nce(
    query_ND: Tensor, key_ND: Tensor, queue_RD: Tensor, temperature: float, added_NR: Tensor | float = 0.0
) -> Tensor:
    """mean_i -log e^(q_i.k_i / t) / (e^(q_i.k_i / t) + sum_r e^(q_i.n_r / t + a_ir)) (He et al. 2020, Eq 1; a = 0).

    No gradient passes through keys and queue. added_NR: a, the log of what each negative weighs.
    """
    positive = (query_ND * key_ND.detach()).sum(dim=1, keepdim=True) / temperature  # (N, 1)
    # A copy: the queue changes before the backward pass
    negative_NR = query_ND @ queue_RD.detach().clone().T / temperature + added_NR
    logits = torch.cat([positive, negative_NR], dim=1)
    return (logits.logsumexp(dim=1) - logits[:, 0]).mean()


# ---- the two looks at an image


def other_view(augmentation: Augmentation, images_NCHW: Tensor) -> Tensor:
    """Each image with the augmentation that was drawn for the next one: a second, independent view of it."""
    return augmentation(images_NCHW.roll(1, 0)).roll(-1, 0)


def near_images(ctx: Context, method: str, z_NZ: Tensor, condition_NK: Tensor | None, sigma: float) -> Tensor:
    """G(z + e), e ~ N(0, sigma^2), without a gradient, with noise of its own."""
    generator, _ = ctx.networks()
    step_NZ = sigma * ctx.numbers(f"{method}-step").normal(*z_NZ.shape).to(z_NZ)
    with torch.no_grad(), noise.drawn_from(ctx.numbers(f"{method}-noise")):
        images_NCHW: Tensor = generator(z_NZ + step_NZ, condition_NK)
    return images_NCHW
