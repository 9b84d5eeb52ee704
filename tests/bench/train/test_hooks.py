"""Hooks that reweigh, replace or add to the adversarial step, against plain transcriptions of what they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import seeds
from bench.contract.composition import Composition
from bench.errors import UserError
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.batches import Batches
from bench.train.optimizers import Optimizers

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3)).astype(np.uint8)
TABLE = torch.randn(20, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
WEIGHTS = torch.rand(20, generator=torch.Generator().manual_seed(8)) * 2
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
    """Plain descent: a step is its gradient times the rate, so that a scale of the loss shows."""

    @classmethod
    def build(cls, ctx):
        return cls(*(torch.optim.SGD(network.parameters(), lr=RATE) for network in ctx.networks()))


def networks(patches=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ToyG().double(), ToyD(patches).double()


def context(micro_batch=None, pair=None, loss="hinge"):
    train = TrainSettings(steps=STEPS, batch=BATCH, d_steps=2, g_lr=RATE, d_lr=RATE, micro_batch=micro_batch, loss=loss)
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
        logs.append(next(loop))
        ctx.step += 1
    return logs


def transcribed(pair, d_loss, g_loss, reals=lambda images, index: images, d_condition=lambda y, index: y):
    """The same steps written down without the engine: d_loss(r, f, index), g_loss(f, r()), hooks as functions."""
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
        z = torch.randn(BATCH, 3, generator=seeds.torch_stream(11, "latents", step, 3))
        real = discriminator(reals(images, index), told).float().detach()
        g = g_loss(discriminator(generator(z, y), told).float(), real)
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


class TopK(Method):
    """Sinha et al. 2020: G learns from the k generated images that D takes for the most real."""

    def __init__(self, k=4):
        self.k = k

    def g_weights(self, ctx, step):
        weights_N = torch.zeros(len(step.z_NZ))
        weights_N[step.logits_N.topk(self.k).indices] = len(step.z_NZ) / self.k
        return weights_N


@pytest.mark.parametrize("micro_batch", [None, 6])
def test_top_k_is_the_mean_over_the_k_best(micro_batch):
    ctx, pair = context(micro_batch), networks()
    logs = train(ctx, TopK())
    chunk = micro_batch or BATCH
    wanted = transcribed(
        pair,
        hinge,
        lambda fake, real: torch.stack([-one.topk(4).values.mean() for one in fake.split(chunk)]).mean(),
    )
    assert_same(ctx, logs, pair, wanted)
    assert [log["g_weight"] for log in logs] == pytest.approx([1.0] * STEPS, rel=1e-6)
    assert "d_real_weight" not in logs[0]


class Weighted(Method):
    """Real images by a table, generated ones half; G's by the sign of the first latent."""

    def d_weights(self, ctx, step):
        return WEIGHTS[step.batch.index_N], torch.full((len(step.fake_NCHW),), 0.5)

    def g_weights(self, ctx, step):
        return step.z_NZ[:, 0].sign() + 1


class RealOnly(Method):
    def d_weights(self, ctx, step):
        return WEIGHTS[step.batch.index_N].square(), None


@pytest.mark.parametrize("patches", [None, 5])
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_weights_weigh_images_on_both_sides_and_multiply(micro_batch, patches):
    ctx, pair = context(micro_batch, networks(patches)), networks(patches)

    def by_image(weights, terms):
        return (weights[:, None] * terms).mean() if patches else (weights * terms).mean()

    def d_loss(real, fake, index):
        return by_image(WEIGHTS[index] ** 3, F.relu(1 - real)) + by_image(torch.full((BATCH,), 0.5), F.relu(1 + fake))

    step = iter(range(STEPS))

    def g_loss(fake, real):
        z = torch.randn(BATCH, 3, generator=seeds.torch_stream(11, "latents", next(step), 3))
        return by_image(z[:, 0].sign() + 1, -fake)

    logs = train(ctx, Weighted(), RealOnly())
    wanted = transcribed(pair, d_loss, g_loss)
    assert_same(ctx, logs, pair, wanted)
    index = torch.cat([Batches(IMAGES, BATCH, 11).at(one).index_N for one in (0, 1)])
    assert logs[0]["d_real_weight"] == pytest.approx((WEIGHTS[index] ** 3).mean().item(), rel=1e-5)
    assert logs[0]["d_fake_weight"] == pytest.approx(0.5)


class Relativistic(Method):
    """Jolicoeur-Martineau 2018, the pairing loss: D(real) against D(generated), image by image."""

    def d_adversarial(self, ctx, step):
        return F.softplus(step.fake_logits_N - step.real_logits_N).mean()

    def g_adversarial(self, ctx, step):
        assert step.real_logits() is step.real_logits() and not step.real_logits().requires_grad
        return F.softplus(step.real_logits() - step.logits_N).mean()


@pytest.mark.parametrize("patches", [None, 5])
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_a_relativistic_loss_replaces_both_sides(micro_batch, patches):
    ctx, pair = context(micro_batch, networks(patches)), networks(patches)
    logs = train(ctx, Relativistic())
    wanted = transcribed(
        pair,
        lambda real, fake, index: F.softplus(fake - real).mean(),
        lambda fake, real: F.softplus(real - fake).mean(),
    )
    assert_same(ctx, logs, pair, wanted)
    assert set(logs[0]) == {"d_loss", "g_loss", "real_logit", "fake_logit", "d_grad", "g_grad"}


class Negatives(Method):
    """Every second training image is shown as its negative."""

    def reals(self, ctx, batch, images_NCHW):
        return torch.where((batch.index_N % 2 == 0)[:, None, None, None], -images_NCHW, images_NCHW)

    def d_loss(self, ctx, step):
        assert not torch.equal(step.real_NCHW, step.batch.images_NCHW)  # the batch stays what it was
        return {}


class Halved(Method):
    def reals(self, ctx, batch, images_NCHW):
        return images_NCHW / 2


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_what_is_shown_as_real_chains_and_reaches_both_updates(micro_batch):
    ctx, pair = context(micro_batch), networks()
    logs = train(ctx, Negatives(), Halved(), Relativistic())

    def reals(images, index):
        return torch.where((index % 2 == 0)[:, None, None, None], -images, images) / 2

    wanted = transcribed(
        pair,
        lambda real, fake, index: F.softplus(fake - real).mean(),
        lambda fake, real: F.softplus(real - fake).mean(),
        reals,
    )
    assert_same(ctx, logs, pair, wanted)


class Told(Method):
    """D alone is told, beside G's condition, whether an image's number is even; its own D takes eight numbers."""

    def discriminator(self, ctx, discriminator):
        with ctx.initialised("told"):
            return ToyD(conditions=8).double()

    def d_condition(self, ctx, batch, condition_NK):
        return torch.cat([condition_NK, F.one_hot(batch.index_N % 2, 2).double()], 1)

    def d_loss(self, ctx, step):
        assert step.condition_NK.shape[1] == 8 and step.g_condition_NK.shape[1] == 6
        assert torch.equal(step.discriminate(step.real_NCHW, step.condition_NK).float(), step.real_logits_N)
        return {}

    def g_loss(self, ctx, step):
        assert step.condition_NK.shape[1] == 6 and step.d_condition_NK.shape[1] == 8
        assert torch.equal(step.condition_NK, TABLE[step.batch.index_N])
        return {}


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_d_may_be_told_more_than_g(micro_batch):
    ctx, pair = context(micro_batch), list(networks())
    told = Composition([("told", Told())])
    ctx.discriminator = told.discriminator(ctx, ctx.discriminator)
    pair[1] = told.discriminator(ctx, pair[1])  # equal weights: they come from the run's seed
    logs = train(ctx, Told())

    def d_condition(y, index):
        return torch.cat([y, F.one_hot(index % 2, 2).double()], 1)

    wanted = transcribed(pair, hinge, linear, d_condition=d_condition)
    assert_same(ctx, logs, pair, wanted)


def test_weights_that_are_no_number_an_image_are_refused():
    class Column(Method):
        def g_weights(self, ctx, step):
            return torch.ones(len(step.z_NZ), 1)  # would broadcast to (N, N)

    with pytest.raises(ValueError, match=r"weights have shape \(12, 1\), must be \(12,\)"):
        train(context(), Column())


def test_weights_pass_no_gradient_on():
    class Own(Method):
        def g_weights(self, ctx, step):
            return step.logits_N.sigmoid()

    class Cut(Method):
        def g_weights(self, ctx, step):
            return step.logits_N.detach().sigmoid()

    first, second = context(), context()
    assert train(first, Own()) == train(second, Cut())


def test_weights_that_are_not_finite_show_in_the_log():
    class Broken(Method):
        def d_weights(self, ctx, step):
            return torch.full((len(step.real_NCHW),), math.inf), None

    assert math.isinf(train(context(), Broken())[0]["d_real_weight"])


def test_reals_of_another_number_are_refused():
    class Fewer(Method):
        def reals(self, ctx, batch, images_NCHW):
            return images_NCHW[:3]

    with pytest.raises(ValueError, match="method 'fewer': reals gives shape"):
        train(context(), Fewer())


def test_a_weight_in_a_replaced_loss_is_refused():
    with pytest.raises(UserError, match="'topk' weighs images .g_weights. in a loss that method 'pair' replaces"):
        Composition([("topk", TopK()), ("pair", Relativistic())])


@pytest.mark.parametrize("hook", ["discriminator", "d_condition", "d_adversarial", "g_adversarial", "select"])
def test_exclusive_hooks_belong_to_one_part(hook):
    parts = [(name, type(name, (Method,), {hook: lambda self, *_: None})()) for name in ("one", "two")]
    with pytest.raises(UserError, match=f"'one' and 'two' both claim the hook '{hook}'"):
        Composition(parts)


def test_parts_of_a_loop_that_does_not_run_are_refused():
    class Loop(Method):
        def fit(self, ctx):
            yield {}

    with pytest.raises(UserError, match=r"'loop' trains without the adversarial loop, so 'topk' .*\(g_weights\)"):
        Composition([("topk", TopK()), ("loop", Loop())])
