"""The adversarial loop against a plain transcription of Algorithm 1, and the promises of its hooks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from bench import networks, seeds
from bench.contract.composition import Composition
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.batches import Batches
from bench.train.optimizers import Optimizers
from bench.train.values import floats

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)
TABLE = torch.randn(10, 6, generator=torch.Generator().manual_seed(9))


class Conditioned(Method):
    def condition(self, ctx, batch):
        return TABLE[batch.index_N]


def _context(*, d_steps=2, batch=4, steps=3, loss="hinge", pair=None):
    train = TrainSettings(steps=steps, batch=batch, d_steps=d_steps, g_lr=1e-3, d_lr=2e-3, loss=loss)
    data = DataSpec(name="noise", resolution=32)
    spec = RunSpec(method=(), network=None, data=data, train=train, protocol=None, seed=11)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    ctx.generator, ctx.discriminator = pair or networks.build(
        "sngan-32", seed=5, z_dim=8, condition_dim=6, g_width=8, d_width=8, sn_generator=True
    )
    return ctx


def _run(ctx, steps, *parts):
    method = Composition([(type(part).__name__.lower(), part) for part in parts])
    optimizers = Optimizers.build(ctx)
    loop, logs = adversarial(ctx, method, optimizers), []
    for _ in range(steps):
        ctx.begin_step(ctx.step)
        logs.append(floats(next(loop)))
        ctx.step += 1
    return logs, optimizers


def _transcribed(steps, d_steps, batch_size):
    """Algorithm 1 of DISP, written down without hooks; returns the trained networks."""
    generator, discriminator = networks.build(
        "sngan-32", seed=5, z_dim=8, condition_dim=6, g_width=8, d_width=8, sn_generator=True
    )
    g_adam = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    d_adam = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.0, 0.9))
    batches = Batches(IMAGES, batch_size, 11)
    for step in range(steps):
        for update in range(d_steps):
            batch = batches.at(step * d_steps + update)
            prior = TABLE[batch.index_N]
            stream = seeds.torch_stream(11, "latents", step, update + 1)
            with parametrize.cached():
                with torch.no_grad():
                    fake = generator(torch.randn(batch_size, 8, generator=stream), prior)
                logits = discriminator(torch.cat([batch.images_NCHW, fake]), torch.cat([prior, prior]))
            real, fake = logits[:batch_size], logits[batch_size:]
            loss = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
            d_adam.zero_grad()
            loss.backward()
            d_adam.step()
        stream = seeds.torch_stream(11, "latents", step, d_steps + 1)
        with parametrize.cached():
            images = generator(torch.randn(batch_size, 8, generator=stream), prior)
            loss = -discriminator(images, prior).mean()
        g_adam.zero_grad()
        loss.backward()
        g_adam.step()
    return generator, discriminator


@pytest.mark.parametrize("d_steps", [1, 2])
def test_equals_algorithm_1_bit_by_bit(d_steps):
    ctx = _context(d_steps=d_steps)
    _run(ctx, 2, Conditioned())
    for ours, plain in zip(ctx.networks(), _transcribed(2, d_steps, 4), strict=True):
        plain_state = plain.state_dict()
        for name, value in ours.state_dict().items():
            assert torch.equal(value, plain_state[name]), name


class ToyG(nn.Module):
    z_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 + 6, 12)

    def forward(self, z, condition):
        return torch.tanh(self.layer(torch.cat([z, condition], 1))).view(-1, 3, 2, 2)


class ToyD(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.emb, self.l = nn.Linear(12, 5), nn.Linear(6, 5, bias=False), nn.Linear(5, 1)

    def forward(self, images, condition):
        feature = torch.relu(self.f(images.flatten(1)))
        return (feature * self.emb(condition)).sum(1) + self.l(feature)[:, 0]


def test_losses_are_equations_2_to_4():
    """L_D and L_G of DISP (Eq 2-4) on a toy network, recomputed in numpy from the initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pair = (ToyG(), ToyD())
    g = {name: value.detach().double().numpy().copy() for name, value in pair[0].state_dict().items()}
    d = {name: value.detach().double().numpy().copy() for name, value in pair[1].state_dict().items()}
    ctx = _context(d_steps=1, pair=pair)
    ctx.images_u8_NHWC = IMAGES[:, :2, :2]
    logs, _ = _run(ctx, 1, Conditioned())

    def generate(count):
        z = torch.randn(4, 3, generator=seeds.torch_stream(11, "latents", 0, count)).double().numpy()
        return np.tanh(np.concatenate([z, prior], 1) @ g["layer.weight"].T + g["layer.bias"])

    def logits(x, d):
        feature = np.maximum(0, x @ d["f.weight"].T + d["f.bias"])
        projection = (feature * (prior @ d["emb.weight"].T)).sum(1)  # D_emb(y) . D_f(x)
        return projection + feature @ d["l.weight"][0] + d["l.bias"][0]  # + D_l(D_f(x))

    batch = Batches(ctx.images_u8_NHWC, 4, 11).at(0)
    prior = TABLE[batch.index_N].double().numpy()
    real = logits(batch.images_NCHW.flatten(1).double().numpy(), d)
    fake = logits(generate(1), d)
    expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    # Tolerances: float32 against float64 on sums of a dozen terms of size one.
    assert logs[0]["d_loss"] == pytest.approx(expected, rel=1e-5)
    assert logs[0]["real_logit"] == pytest.approx(real.mean(), rel=1e-4, abs=1e-5)
    assert logs[0]["fake_logit"] == pytest.approx(fake.mean(), rel=1e-4, abs=1e-5)
    updated = {name: value.detach().double().numpy() for name, value in pair[1].state_dict().items()}
    assert logs[0]["g_loss"] == pytest.approx(-logits(generate(2), updated).mean(), rel=1e-4, abs=1e-5)


class Recorder(Method):
    """Extra losses, and what every hook was called with."""

    def __init__(self):
        self.augmented, self.d_terms, self.logits, self.held = [], [], [], []

    def augment(self, ctx, images_NCHW):
        self.augmented.append(images_NCHW.requires_grad)
        return images_NCHW * 0.5

    def d_loss(self, ctx, step):
        assert not step.fake_NCHW.requires_grad
        assert torch.equal(step.real_NCHW, step.batch.images_NCHW * 0.5)
        again = step.discriminate(torch.cat([step.real_NCHW, step.fake_NCHW]), step.condition_NK.repeat(2, 1))
        # Equal weights: the same spectral norms serve all calls of an update.
        assert torch.equal(again, torch.cat([step.real_logits_N, step.fake_logits_N]))
        value = step.real_logits_N.square().mean()
        self.d_terms.append(float(value.detach()))
        return {"square": value}

    def g_loss(self, ctx, step):
        self.held.append([p.requires_grad for p in ctx.discriminator.parameters()])
        assert step.images_NCHW.requires_grad
        return {"mean": step.images_NCHW.mean()}

    def after_step(self, ctx):
        self.logits = ctx.real_logits
        return {"seen": float(len(ctx.real_logits))}


def test_hooks_see_what_they_are_promised():
    ctx, recorder = _context(), Recorder()
    frozen = next(ctx.discriminator.parameters())
    frozen.requires_grad_(False)
    before = frozen.detach().clone()
    logs, optimizers = _run(ctx, 1, Conditioned(), recorder)
    assert recorder.augmented == [False, False, False, False, True]  # two D updates (real, fake), one of G
    assert recorder.held == [[False] * len(recorder.held[0])]
    assert [p.requires_grad for p in ctx.discriminator.parameters()] == [False] + [True] * (len(recorder.held[0]) - 1)
    parameters = optimizers.discriminator.param_groups[0]["params"]
    assert all(one is other for one, other in zip(parameters, ctx.discriminator.parameters(), strict=True))
    assert frozen.grad is None and torch.equal(frozen, before)
    assert frozen not in optimizers.discriminator.state  # Adam has not touched it
    assert len(recorder.logits) == 2 and all(one.shape == (4,) for one in recorder.logits)
    assert not any(one.requires_grad for one in recorder.logits)
    assert logs[0]["recorder/seen"] == 2
    # Means over the D updates; float32 mean of two numbers.
    assert logs[0]["recorder/square"] == pytest.approx(np.mean(recorder.d_terms), rel=1e-6)
    names = {"d_loss", "g_loss", "real_logit", "fake_logit", "d_grad", "g_grad"}
    assert set(logs[0]) == names | {"recorder/square", "recorder/mean", "recorder/seen"}
    assert all(type(value) is float for value in logs[0].values())


def test_extra_terms_change_the_update():
    plain, squared = _context(), _context()
    _run(plain, 1, Conditioned())
    _run(squared, 1, Conditioned(), Recorder())
    assert not torch.equal(plain.discriminator.linear.bias, squared.discriminator.linear.bias)


@pytest.mark.parametrize("loss", ["hinge", "non-saturating", "wasserstein"])
def test_named_losses_train_unconditionally_too(loss):
    pair = networks.build("sngan-32", seed=5, z_dim=8, g_width=8, d_width=8)
    logs, _ = _run(_context(loss=loss, pair=pair), 1)
    assert all(math.isfinite(value) for value in logs[0].values())


def test_divergence_is_reported_not_raised():
    ctx = _context()
    with torch.no_grad():
        ctx.discriminator.linear.bias.fill_(math.nan)
    logs, _ = _run(ctx, 1, Conditioned())
    assert math.isnan(logs[0]["d_loss"]) and math.isnan(logs[0]["g_loss"])


def test_the_loop_ends_after_the_last_step():
    ctx = _context(steps=2)
    method = Composition([("conditioned", Conditioned())])
    loop, taken = adversarial(ctx, method, Optimizers.build(ctx)), 0
    ctx.begin_step(0)
    for _ in loop:
        taken += 1
        ctx.begin_step(ctx.step + 1)
    assert taken == 2


class Released(Method):
    """Trains D's linear head from step 1 on."""

    def begin_step(self, ctx):
        ctx.discriminator.linear.requires_grad_(ctx.step >= 1)


def test_a_part_may_freeze_and_release_by_the_step():
    ctx = _context(d_steps=1)
    method = Composition([("conditioned", Conditioned()), ("released", Released())])
    loop, heads = adversarial(ctx, method, Optimizers.build(ctx)), []
    for _ in range(3):
        heads.append(ctx.discriminator.linear.bias.detach().clone())
        ctx.begin_step(ctx.step)
        next(loop)
        ctx.step += 1
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[1], heads[2])


def test_adams_epsilon_is_a_setting():
    ctx = _context()
    assert Optimizers.build(ctx).generator.param_groups[0]["eps"] == 1e-8
    train = ctx.spec.train.model_copy(update={"adam_eps": 1e-6})
    ctx.spec = ctx.spec.model_copy(update={"train": train})
    built = Optimizers.build(ctx)
    assert {one.param_groups[0]["eps"] for one in (built.generator, built.discriminator)} == {1e-6}


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    _run(_context(), 2, Conditioned())
    assert torch.equal(before, torch.random.get_rng_state())


class Precise(Method):
    """Notes the type that images and a product of matrices have where images are augmented."""

    def __init__(self):
        self.types = set()

    def augment(self, ctx, images_NCHW):
        self.types |= {images_NCHW.dtype, (torch.ones(2, 2) @ torch.ones(2, 2)).dtype}
        return images_NCHW


def test_augmentation_stays_in_float32_under_autocast():
    ctx, precise = _context(), Precise()
    with torch.autocast("cpu", torch.bfloat16):
        logs, _ = _run(ctx, 1, Conditioned(), precise)
    assert precise.types == {torch.float32}
    assert all(math.isfinite(value) for value in logs[0].values())
