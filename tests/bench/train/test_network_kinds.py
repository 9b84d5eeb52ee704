"""What the loop owes to networks that draw noise, make two scales, give maps, or look at whole batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench import networks, seeds
from bench.contract.composition import Composition
from bench.contract.numbers import Numbers
from bench.networks.common import noise
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.optimizers import Optimizers
from bench.train.sampling import generate
from bench.train.values import floats

FASTGAN = {"z_dim": 8, "ngf": 4, "ndf": 4, "decoder_width": 4}
STYLEGAN2 = {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2}


def _context(pair, side, batch=4):
    images = np.random.default_rng(0).integers(0, 256, (10, side, side, 3)).astype(np.uint8)
    train = TrainSettings(steps=3, batch=batch, g_lr=1e-3, d_lr=1e-3)
    data = DataSpec(name="noise", resolution=side)
    spec = RunSpec(method=(), network=None, data=data, train=train, protocol=None, seed=11)
    ctx = Context(spec, images, None, torch.device("cpu"))
    ctx.generator, ctx.discriminator = pair
    return ctx


def _run(ctx, steps, *parts):
    method = Composition([(type(part).__name__.lower(), part) for part in parts])
    loop, logs = adversarial(ctx, method, Optimizers.build(ctx)), []
    for _ in range(steps):
        ctx.begin_step(ctx.step)
        logs.append(floats(next(loop)))
        ctx.step += 1
    return logs


class Watch(Method):
    """Notes what the hooks were given; its augmentation tells calls apart by their number."""

    def __init__(self):
        self.augmented, self.d, self.g = [], None, None

    def augment(self, ctx, images_NCHW):
        self.augmented.append(images_NCHW.detach().clone())
        return images_NCHW * (1 - 0.1 * len(self.augmented))

    def d_loss(self, ctx, step):
        self.d = step
        return {"mean": step.real_logits_N.mean() * 0}

    def g_loss(self, ctx, step):
        self.g = step
        return {}


class Calls(nn.Module):
    """A discriminator that notes its calls."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, []
        self.batch_statistics = getattr(inner, "batch_statistics", False)
        if hasattr(inner, "forward_with_maps"):
            self.forward_with_maps = self._with_maps

    def forward(self, images_NCHW, condition_NK=None, **small):
        self.calls.append((images_NCHW.detach().clone(), {k: v.detach().clone() for k, v in small.items()}))
        return self.inner(images_NCHW, condition_NK, **small)

    def _with_maps(self, images_NCHW, condition_NK=None, **small):
        self.calls.append((images_NCHW.detach().clone(), small))
        return self.inner.forward_with_maps(images_NCHW, condition_NK, **small)


def _pair(name, options):
    generator, discriminator = networks.build(name, seed=5, **options)
    return generator, Calls(discriminator)


def test_two_scales_are_made_augmented_and_judged():
    ctx, watch = _context(_pair("fastgan-64", FASTGAN), 64), Watch()
    _run(ctx, 1, watch)
    (real, no_small), (fake, small), (g_fake, g_small) = ctx.discriminator.calls
    # Augmented in this order: real, fake, its small one; then the generator's, its small one.
    sides = [one.shape[-1] for one in watch.augmented]
    assert sorted(sides[1:3]) == [32, 64] and sorted(sides[3:]) == [32, 64] and sides[0] == 64
    assert not no_small and real.shape == (4, 3, 64, 64)
    for judged, seen in ((fake, watch.d.fake_NCHW), (g_fake, watch.g.images_NCHW)):
        assert judged.shape == seen.shape == (4, 3, 64, 64)
    assert torch.equal(fake, watch.d.fake_NCHW)
    for called in (small, g_small):
        assert called["small_NCHW"].shape == (4, 3, 32, 32)
    # Both outputs come from one pass of G, with equal latents and noise.
    generator, _ = networks.build("fastgan-64", seed=5, **FASTGAN)
    z = torch.randn(4, 8, generator=seeds.torch_stream(11, "latents", 0, 1))
    with torch.no_grad(), noise.drawn_from(seeds.torch_stream(11, "noise", 0, 1)):
        images, half = generator.both_scales(z)
    factors = {side: 1 - 0.1 * (1 + place) for place, side in enumerate(sides) if place in (1, 2)}
    assert torch.allclose(fake, images * factors[64]) and torch.allclose(small["small_NCHW"], half * factors[32])


def test_one_scale_networks_are_not_asked_for_two():
    ctx = _context(_pair("fastgan-64", {**FASTGAN, "variant": "paper"}), 64)
    _run(ctx, 1)
    assert [len(images) for images, _ in ctx.discriminator.calls] == [4, 4, 4]
    assert not any(small for _, small in ctx.discriminator.calls)


def test_patch_logits_reach_the_hooks_and_the_losses():
    ctx, watch = _context(_pair("fastgan-64", FASTGAN), 64), Watch()
    logs = _run(ctx, 1, watch)
    real, fake = watch.d.real_logits_N, watch.d.fake_logits_N
    assert real.shape == fake.shape == watch.g.logits_N.shape == (4, 50)
    expected = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
    assert logs[0]["d_loss"] == pytest.approx(expected.item(), rel=1e-6)  # float32, one sum of 200 terms
    assert logs[0]["g_loss"] == pytest.approx(-watch.g.logits_N.mean().item(), rel=1e-6, abs=1e-7)
    assert ctx.real_logits[0].shape == (4, 50)


def test_maps_of_the_real_images_reach_d_loss():
    ctx, watch = _context(_pair("fastgan-64", FASTGAN), 64), Watch()
    _run(ctx, 1, watch)
    maps = watch.d.maps
    assert maps.f1_NCHW.shape[0] == 4 and maps.f1_NCHW.requires_grad
    decoded = ctx.discriminator.inner.reconstruct(maps, watch.d.real_NCHW, 0)
    assert decoded[0].decoded_NCHW.requires_grad
    plain, watch = _context(networks.build("sngan-32", seed=5, z_dim=8, g_width=8, d_width=8), 32), Watch()
    _run(plain, 1, watch)
    assert watch.d.maps is None


@pytest.mark.parametrize(
    ("name", "options", "calls"),
    [
        ("sngan-32", {"z_dim": 8, "g_width": 8, "d_width": 8}, [8, 4]),
        ("stylegan2-32", STYLEGAN2, [4, 4, 4]),  # the minibatch deviation must not mix real and fake
        ("fastgan-64", FASTGAN, [4, 4, 4]),  # nor batch norm
    ],
)
def test_real_and_fake_share_a_call_only_where_images_are_judged_alone(name, options, calls):
    ctx = _context(_pair(name, options), int(name.split("-")[1]))
    _run(ctx, 1)
    assert [len(images) for images, _ in ctx.discriminator.calls] == calls


def _noisy(name, options):
    """A context whose generator's noise has strength 1: it starts with 0."""
    ctx = _context(networks.build(name, seed=5, **options), int(name.split("-")[1]))
    strengths = [value for key, value in ctx.generator.named_parameters() if value.numel() == 1]
    assert strengths
    with torch.no_grad():
        for strength in strengths:
            strength.fill_(1.0)
    return ctx


@pytest.mark.parametrize(("name", "options"), [("stylegan2-32", STYLEGAN2), ("fastgan-64", FASTGAN)])
def test_noise_follows_from_the_seed_and_the_step(name, options, monkeypatch):
    before = torch.get_rng_state()
    logs, again = (_run(_noisy(name, options), 2) for _ in range(2))
    assert logs == again
    assert torch.equal(torch.get_rng_state(), before)
    derived = Context.numbers

    def numbers(ctx, *purpose):
        return Numbers.of(seeds.torch_stream(99)) if purpose == ("noise",) else derived(ctx, *purpose)

    monkeypatch.setattr(Context, "numbers", numbers)
    assert _run(_noisy(name, options), 1) != logs[:1]


def test_snapshots_are_drawn_at_fixed_noise():
    ctx = _noisy("stylegan2-32", STYLEGAN2)
    generator = ctx.generator.eval()

    def sampler(network, z_NZ, stream):
        return network(z_NZ)

    first, again = (generate(ctx, generator, sampler, 6, 4) for _ in range(2))
    assert np.array_equal(first, again)
    latents = seeds.torch_stream(11, "evaluation", "latents", 4)
    with torch.no_grad(), noise.drawn_from(seeds.torch_stream(11, "evaluation", "noise", 4)):
        second = generator(torch.randn(2, 8, generator=latents))
    expected = ((second + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(first[4:], expected)
