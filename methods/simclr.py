"""SimCLR: a self-supervised encoder, the source of `disp(prior=simclr)` (Chen et al. 2020).

The papers use a SimCLR network trained on ImageNet. This part trains one, where no such weights are at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.features.residual import ResidualEncoder, initialise
from bench.train import Context, Logged, Method
from bench.train.batches import Batches

from .common import affine, colour


class Simclr(Method):
    """Replaces the adversarial loop: two views of each image, and the NT-Xent loss on their projections.

    width: channels of the encoder's stem; its features have 4 * width numbers. projection: size of the space
    in which the loss compares. lr: of Adam. Steps and batch are those of the run's spec, whose rates for G and D are
    not used.
    """

    in_graphs = "has a loop of its own"
    splits = "it trains in a loop of its own, which runs on one card"
    papers = (
        (
            "Chen et al.",
            2020,
            "A Simple Framework for Contrastive Learning of Visual Representations",
            "arXiv:2002.05709",
        ),
    )

    def __init__(self, *, width: int = 64, projection: int = 128, temperature: float = 0.5, lr: float = 0.001) -> None:
        if width < 1 or projection < 1 or temperature <= 0 or lr <= 0:
            raise UserError("method 'simclr': width, projection, temperature and lr must be positive")
        self.width = width
        self.projection = projection
        self.temperature = temperature
        self.lr = lr

    def prepare(self, ctx: Context) -> None:
        if ctx.generator is not None:
            raise UserError("method 'simclr' trains no generator: it is a source of other runs, without a network")
        encoder = ResidualEncoder(self.width, ctx.stream("simclr-encoder"))
        with torch.device("meta"):
            head = nn.Sequential(
                nn.Linear(encoder.dim, encoder.dim), nn.ReLU(), nn.Linear(encoder.dim, self.projection)
            )
        initialise(head, ctx.stream("simclr-head"))
        self.encoder, self.head = encoder.to(ctx.device), head.to(ctx.device)
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=self.lr, weight_decay=1e-6)

    def fit(self, ctx: Context) -> Iterator[Logged]:
        train = ctx.spec.train
        assert train is not None
        if train.batch < 2:
            raise UserError("method 'simclr': a batch of one image has no negatives; batch must be 2 or more")
        with Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, device=ctx.device) as batches:
            while ctx.step < train.steps:
                images_NCHW = batches.at(ctx.step).images_NCHW
                # (2N, C, H, W): two views of each image, all the first ones first
                views = torch.cat([view(images_NCHW, ctx.numbers("simclr-view")) for _ in range(2)])
                first_ND, second_ND = self.head(self.encoder(views)).float().chunk(2)
                loss = nt_xent(first_ND, second_ND, self.temperature)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                yield {"nt_xent": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.encoder.load_state_dict(state["encoder"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])


def nt_xent(first_ND: Tensor, second_ND: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy of N pairs, both ways (Chen et al. 2020, Eq 1)."""
    unit = functional.normalize(torch.cat([first_ND, second_ND]), dim=1)  # (2N, D)
    logits = unit @ unit.T / temperature
    logits = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool, device=logits.device), -torch.inf)
    partner = torch.arange(len(logits), device=logits.device).roll(len(first_ND))
    return functional.cross_entropy(logits, partner)


def view(images_NCHW: Tensor, numbers: Numbers) -> Tensor:
    """A random view of each image: crop, mirror, colour jitter, grey (Chen et al. 2020, appendix A).

    Crop of 0.2 to 1 of the area, sides 3:4 to 4:3; jitter with probability 0.8 of strength 0.4 in brightness,
    contrast (about mid grey) and saturation and 0.1 of a turn in hue; grey with probability 0.2; no blur, as
    in the paper's CIFAR-10 experiments.
    """
    count, _, height, width = images_NCHW.shape
    cropped_NCHW = affine.warp(images_NCHW, crop(count, height, width, numbers))
    return colour.recolour(cropped_NCHW, _jitter(count, numbers)).clamp(-1, 1)


def crop(count: int, height: int, width: int, numbers: Numbers) -> Tensor:
    """Affine maps (N, 3, 3) that cut out and enlarge a random part of each image, mirrored with probability 1/2."""
    area_N, ratio_N, x_N, y_N, mirror_N = affine.exact(numbers.uniform(5, count))
    area_N = 0.2 + 0.8 * area_N
    ratio_N = torch.exp((ratio_N * 2 - 1) * math.log(4 / 3))
    share_x_N, share_y_N = (area_N * ratio_N).sqrt().clamp(max=1), (area_N / ratio_N).sqrt().clamp(max=1)
    centre_x_N, centre_y_N = (x_N - 0.5) * (1 - share_x_N) * width, (y_N - 0.5) * (1 - share_y_N) * height
    sign_N = torch.where(mirror_N < 0.5, -1.0, 1.0)
    return affine.scaling(sign_N / share_x_N, 1 / share_y_N) @ affine.translation(-centre_x_N, -centre_y_N)


def _jitter(count: int, numbers: Numbers) -> Tensor:
    draws = affine.exact(numbers.uniform(6, count))  # (6, N)
    jittered_N = draws[4] < 0.8
    spread = torch.where(jittered_N, (draws[:3] * 2 - 1) * 0.4, 0.0)  # (3, N)
    turn_N = torch.where(jittered_N, (draws[3] * 2 - 1) * 0.1, 0.0)
    # Brightness scales the distance from black, which is -1: gain, then the shift that keeps black in place.
    gain_N = 1 + spread[0]
    brighter = colour.brightness(gain_N - 1) @ colour.contrast(gain_N)
    saturation_N = torch.where(draws[5] < 0.2, 0.0, 1 + spread[2])
    return (
        colour.saturation(saturation_N) @ colour.hue(turn_N * 2 * math.pi) @ colour.contrast(1 + spread[1]) @ brighter
    )
