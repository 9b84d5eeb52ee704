"""AE-D: the reconstruction term against its definition, where its gradient goes, and that decoders learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import networks, seeds
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import Context, DStep
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.features.perceptual import lpips_distance
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings
from bench.train.adversarial import adversarial
from bench.train.batches import Batches
from bench.train.optimizers import Optimizers

OPTIONS = {"z_dim": 8, "ngf": 4, "ndf": 8, "decoder_width": 8}


class Run:
    """A context with FastGAN networks at 64 px, and the prepared method."""

    def __init__(self, method, images, steps=1, **options):
        train = TrainSettings(steps=steps, batch=4, g_lr=2e-3, d_lr=2e-3, beta1=0.5)
        spec = RunSpec(
            method=parse_method(method),
            network=NetworkSpec(name="fastgan-64", options=OPTIONS | options),
            data=DataSpec(name="pictures", resolution=64),
            train=train,
            protocol=None,
            seed=0,
        )
        self.ctx = Context(spec, images, None, torch.device("cpu"))
        self.method = build_method(spec.method)
        merged = OPTIONS | options | self.method.networks(self.ctx)
        self.ctx.generator, self.ctx.discriminator = networks.build("fastgan-64", seed=0, **merged)
        self.method.prepare(self.ctx)

    def step(self, repeats=1):
        """One update as D sees it, up to the parts' terms; each image `repeats` times."""
        batch = Batches(self.ctx.images_u8_NHWC, 4, 0).at(0)
        seen = -batch.images_NCHW.repeat(repeats, 1, 1, 1)  # not the batch itself: stands for its augmentation
        logits, maps = self.ctx.discriminator.forward_with_maps(seen)
        return DStep(batch, None, seen, seen, logits, logits, self.ctx.discriminator, maps)


@pytest.fixture
def make(make_pictures):
    """Runs on eight pictures of 64 pixels."""
    return lambda method, **options: Run(method, make_pictures(8, size=64), **options)


def _pairs(run, step):
    """Decoded images and targets by hand: at 64 pixels the targets are the image, and a quadrant of it doubled."""
    discriminator, maps, seen = run.ctx.discriminator, step.maps, step.real_NCHW
    part = int(torch.randint(4, (), generator=seeds.torch_stream(0, "ae-d-part", 0, 1)))
    down, right = divmod(part, 2)
    window = (slice(None), slice(None), slice(8 * down, 8 * down + 8), slice(8 * right, 8 * right + 8))
    quadrant = seen[:, :, 32 * down : 32 * down + 32, 32 * right : 32 * right + 32]
    doubled = quadrant.repeat_interleave(2, 2).repeat_interleave(2, 3)
    decoders = discriminator.decoders
    return [
        (decoders["whole"](maps.f2_NCHW), seen),
        (decoders["part"](maps.f1_NCHW[window]), doubled),
        (decoders["small"](maps.small_NCHW), seen),
    ]


def test_l1_term_is_its_definition(make):
    run = make("ae-d(loss=l1, weight=0.5)")
    step = run.step()
    # Batch norms use the batch's statistics, so that decoding again gives the same images.
    expected = sum((a.double() - b.double()).abs().mean((1, 2, 3)).sum() for a, b in _pairs(run, step))
    terms = run.method.d_loss(run.ctx, step)
    assert set(terms) == {"ae-d/reconstruction"}
    # The decoders' spectral norms go one power iteration on between the two: a few thousandths.
    assert terms["ae-d/reconstruction"].item() == pytest.approx(0.5 * expected.item(), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_lpips_term_is_summed_over_images_and_decoders(make, net):
    run = make(f"ae-d(loss=lpips-{net})")
    run.ctx.discriminator.eval()  # spectral norms stay as they are
    step = run.step()
    distance = lpips_distance(net)
    with torch.no_grad():
        one_by_one = [
            distance(a[None], b[None]).item() for pair in _pairs(run, step) for a, b in zip(*pair, strict=True)
        ]
    assert len(one_by_one) == 12
    # float32 convolutions over other batch sizes.
    assert run.method.d_loss(run.ctx, step)["ae-d/reconstruction"].item() == pytest.approx(sum(one_by_one), rel=1e-3)


def test_the_default_is_the_released_loss():
    assert parse_method("ae-d")[0].settings == {"weight": 1.0, "loss": "lpips-vgg"}


def test_twice_the_images_give_twice_the_sum(make):
    run, values = make("ae-d(loss=l1)"), []
    run.ctx.discriminator.eval()
    for repeats in (1, 2):
        run.ctx.begin_step(0)  # the same part again
        values.append(run.method.d_loss(run.ctx, run.step(repeats))["ae-d/reconstruction"].item())
    assert values[1] == pytest.approx(2 * values[0], rel=1e-4)


def test_gradients_reach_the_decoders_and_the_encoder_only(make):
    run = make("ae-d(loss=lpips-alex)")
    sum(run.method.d_loss(run.ctx, run.step()).values()).backward()
    named = list(run.ctx.discriminator.named_parameters())
    without = {name.split(".")[0] for name, parameter in named if parameter.grad is None}
    assert without == {"head", "small_head"}  # what only the logits come from
    for start in ("blocks", "small_branch", "decoders.whole", "decoders.part", "decoders.small"):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for name, p in named if name.startswith(start))
    assert all(parameter.grad is None for parameter in run.ctx.generator.parameters())
    assert all(p.grad is None for p in run.method.parts[0][1].distance.parameters())


@pytest.mark.slow
def test_decoders_learn_while_the_networks_train(make):
    run = make("ae-d(loss=l1)", steps=24)
    loop = adversarial(run.ctx, run.method, Optimizers.build(run.ctx))
    values = []
    for _ in range(24):
        run.ctx.begin_step(run.ctx.step)
        values.append(next(loop)["ae-d/reconstruction"])
        run.ctx.step += 1
    assert np.mean(values[-4:]) < 0.85 * np.mean(values[:4])


def test_all_parts_of_the_image_are_drawn(make, monkeypatch):
    run, drawn = make("ae-d(loss=l1)"), []
    step, reconstruct = run.step(), run.ctx.discriminator.reconstruct

    def recorded(maps, images, part):
        drawn.append(part)
        return reconstruct(maps, images, part)

    monkeypatch.setattr(run.ctx.discriminator, "reconstruct", recorded)
    with torch.no_grad():
        for number in range(30):
            run.ctx.begin_step(number)
            run.method.d_loss(run.ctx, step)
    assert set(drawn) == {0, 1, 2, 3}  # a fair draw of 30 misses one in 1,400


def test_weight_zero_leaves_decoders_out(make):
    run = make("ae-d(weight=0)")
    assert len(run.ctx.discriminator.decoders) == 0
    assert run.method.d_loss(run.ctx, run.step()) == {}


@pytest.mark.slow
def test_it_keeps_the_engines_promises():
    findings = check_method("diffaugment(consistency=0) + sle + ae-d(loss=l1)", "fastgan-64")
    assert [finding for finding in findings if not finding.passed] == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("weight=-1", "weight is -1, must be 0 or more"),
        ("loss=lpips", "unknown loss 'lpips'; did you mean 'lpips-"),
    ],
)
def test_impossible_settings_are_refused(settings, complaint):
    with pytest.raises(UserError, match=f"method 'ae-d': {complaint}"):
        build_method(parse_method(f"ae-d({settings})"))


def test_another_network_is_refused(make_run):
    with pytest.raises(UserError, match="network 'sngan-32' has no setting 'decoders'"):
        make_run("ae-d")
