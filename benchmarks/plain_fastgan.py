"""A whole training step of FastGAN as its released code makes it, in plain torch: `steps.py` measures ours against it.

D's loss on real images with LPIPS of three decoded ones, D's loss on generated ones, then G's, through the very images
that D saw: one pass of G a step. DiffAugment's color and translation on both scales. The equations are facts of the
released code (Liu et al. 2021); the lines are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE, BETAS, DECAY, MARGIN = 2e-4, (0.5, 0.999), 0.999, 0.8
DECODED, SHIFT = 128, 0.125  # pixels of a decoded image; the largest shift, a share of the side


def steps(
    generator: nn.Module,
    discriminator: nn.Module,
    images: Tensor,
    batch: int,
    autocast: Callable[[], AbstractContextManager[object]],
    distance: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[None]:
    """The loop, an item a step; images: all of them, uint8 (M, H, W, 3) on the device of the networks.

    distance: of decoded images from theirs, each image's own: LPIPS as released, or `l1`.
    """
    device = images.device
    average = deepcopy(generator)
    g_adam = torch.optim.Adam(generator.parameters(), RATE, BETAS)
    d_adam = torch.optim.Adam(discriminator.parameters(), RATE, BETAS)
    while True:
        chosen = torch.randint(len(images), (batch,), device=device)
        real = augment(images[chosen].permute(0, 3, 1, 2).float() / 127.5 - 1)
        with autocast():
            made = generator(torch.randn(batch, 256, device=device))
        fakes = [augment(image.float()) for image in made]

        # D's update: real images with what the decoders make of them, then generated ones
        d_adam.zero_grad()
        with autocast():
            logits, decoded = discriminator(real, F.interpolate(real, size=DECODED), decode=True)
            whole, part = (F.interpolate(x, size=DECODED) for x in (real, real[:, :, :128, 128:]))
            errors = [distance(*pair).sum() for pair in zip(decoded, (whole, part, whole), strict=True)]
            loss = hinge(-logits) + torch.stack(errors).sum()
        loss.backward()
        with autocast():
            loss = hinge(discriminator(*(fake.detach() for fake in fakes))[0])
        loss.backward()
        d_adam.step()

        # G's update
        g_adam.zero_grad()
        with autocast():
            loss = -discriminator(*fakes)[0].float().mean()
        loss.backward()
        g_adam.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), generator.parameters(), strict=True):
                old.mul_(DECAY).add_(new, alpha=1 - DECAY)
        yield


def l1(decoded: Tensor, wanted: Tensor) -> Tensor:
    """Where there are no weights for LPIPS."""
    return (decoded.float() - wanted).abs().mean((1, 2, 3))


def hinge(logits: Tensor) -> Tensor:
    """mean max(0, m + x), each m from U(0.8, 1)."""
    margins = MARGIN + (1 - MARGIN) * torch.rand_like(logits, dtype=torch.float32)
    return F.relu(margins + logits.float()).mean()


def augment(x: Tensor) -> Tensor:
    """DiffAugment's color and translation (Zhao et al. 2020), other numbers for each image."""
    count, _, height, width = x.shape

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1, device=x.device)

    x = x + drawn(-0.5, 0.5)
    x = (x - x.mean(1, keepdim=True)) * drawn(0, 2) + x.mean(1, keepdim=True)
    x = (x - x.mean((1, 2, 3), keepdim=True)) * drawn(0.5, 1.5) + x.mean((1, 2, 3), keepdim=True)
    # A frame of zeros around the image, and another window of it for each
    frame = int(height * SHIFT + 0.5)
    corners = torch.randint(0, 2 * frame + 1, (2, count, 1), device=x.device)
    rows = corners[0] + torch.arange(height, device=x.device)
    columns = corners[1] + torch.arange(width, device=x.device)
    framed = F.pad(x, (frame, frame, frame, frame)).permute(0, 2, 3, 1)
    place = torch.arange(count, device=x.device)[:, None, None]
    return framed[place, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
