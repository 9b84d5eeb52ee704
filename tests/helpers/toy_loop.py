"""A toy pair in float64 in the engine's loop, and the same steps written down without the engine.

`tests/helpers` is on the path of the tests.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import seeds
from bench.contract.composition import Composition
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.batches import Batches
from bench.train.optimizers import Optimizers
from bench.train.values import floats

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3)).astype(np.uint8)
TABLE = torch.randn(20, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
BATCH, RATE, STEPS = 12, 0.1, 3


class ToyG(nn.Module):
    z_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 + 6, 48)

    def forward(self, z, condition):
        return torch.tanh(self.layer(torch.cat([z.double(), condition], 1))).view(-1, 3, 4, 4)


class ToyD(nn.Module):
    """Logits (N,), or (N, patches)."""

    def __init__(self, patches=None, conditions=6):
        super().__init__()
        self.patches = patches
        self.f, self.emb = nn.Linear(48, 16), nn.Linear(conditions, 16, bias=False)
        self.l = nn.Linear(16, patches or 1)

    def forward(self, images, condition):
        feature = torch.sin(self.f(images.flatten(1).double()))
        logits = (feature * self.emb(condition)).sum(1, keepdim=True) + self.l(feature)
        return logits if self.patches else logits[:, 0]


class Conditioned(Method):
    def condition(self, ctx, batch):
        return TABLE[batch.index_N]


class SGD(Optimizers):
    """Plain descent: a step is its gradient times the rate, so that a scale of the loss shows; Adam's hide it."""

    @classmethod
    def build(cls, ctx):
        return cls(*(torch.optim.SGD(network.parameters(), lr=RATE) for network in ctx.networks()))


def networks(patches=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ToyG().double(), ToyD(patches).double()


def context(micro_batch=None, pair=None, loss="hinge", **settings):
    train = TrainSettings(
        steps=STEPS, batch=BATCH, d_steps=2, g_lr=RATE, d_lr=RATE, micro_batch=micro_batch, loss=loss, **settings
    )
    data = DataSpec(name="noise", resolution=4)
    spec = RunSpec(method=(), network=None, data=data, train=train, protocol=None, seed=11)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    ctx.generator, ctx.discriminator = pair or networks()
    return ctx


def train(ctx, *parts):
    """The engine's loop; returns what each step logged."""
    method = Composition([(type(one).__name__.lower(), one) for one in (Conditioned(), *parts)])
    loop, logs = adversarial(ctx, method, SGD.build(ctx)), []
    for _ in range(STEPS):
        ctx.begin_step(ctx.step)
        logs.append(floats(next(loop)))
        ctx.step += 1
    return logs


def transcribed(
    pair,
    d_loss,
    g_loss,
    reals=lambda images, index: images,
    d_condition=lambda y, index: y,
    times=1,
):
    """The same steps written down without the engine: d_loss(r, f, index), g_loss(f, r()), hooks as functions.

    times: how many times D's batch an update of G has.
    """
    generator, discriminator = pair
    g_sgd, d_sgd = (torch.optim.SGD(network.parameters(), lr=RATE) for network in pair)
    batches, logs = Batches(IMAGES, BATCH, 11), []
    for step in range(STEPS):
        for update in range(2):
            images, index = batches.at(step * 2 + update).images_NCHW, batches.at(step * 2 + update).index_N
            y, told = TABLE[index], d_condition(TABLE[index], index)
            z = torch.randn(BATCH, 3, generator=seeds.torch_stream(11, "latents", step, update + 1))
            real = discriminator(reals(images, index), told).float()
            fake = discriminator(generator(z, y).detach(), told).float()
            loss = d_loss(real, fake, index)
            d_sgd.zero_grad()
            loss.backward()
            d_sgd.step()
        z = torch.randn(times * BATCH, 3, generator=seeds.torch_stream(11, "latents", step, 3))
        real = discriminator(reals(images, index), told).float().detach()
        g = g_loss(discriminator(generator(z, y.repeat(times, 1)), told.repeat(times, 1)).float(), real)
        g_sgd.zero_grad()
        g.backward()
        g_sgd.step()
        logs.append((loss.item(), g.item()))
    return logs


def assert_same(ctx, logs, pair, wanted):
    """Networks and the last G losses. Logits are float32 between float64 networks: 1e-7 on numbers near 1."""
    for ours, plain in zip(ctx.networks(), pair, strict=True):
        for (name, one), other in zip(ours.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, msg=name)
    assert [log["g_loss"] for log in logs] == pytest.approx([g for _, g in wanted], rel=1e-5, abs=1e-6)


def hinge(real, fake, index):
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def linear(fake, real):
    return -fake.mean()
