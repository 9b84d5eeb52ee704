"""Hooks that reweigh, replace or add to the adversarial step, against plain transcriptions of what they stand for."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bench import seeds
from bench.contract.composition import Composition
from bench.train import Method
from bench.train.batches import Batches
from toy_loop import (
    BATCH,
    IMAGES,
    STEPS,
    TABLE,
    ToyD,
    assert_same,
    context,
    hinge,
    linear,
    networks,
    train,
    transcribed,
)

WEIGHTS = torch.rand(20, generator=torch.Generator().manual_seed(8)) * 2


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
