"""LT-GAN: the pairs, the loss in plain float64, who learns from it, and what D is shown."""

from __future__ import annotations

import importlib
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench import seeds
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import GStep
from bench.contract.expression import parse_method
from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.stylegan1.recipes import stylegan1_32
from bench.networks.stylegan2.recipes import stylegan2_32

lt = importlib.import_module("bench.methods.lt")
SMALL_STYLEGAN2 = {"channel_base": 128, "channel_max": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2}


def _part(run):
    return run.method.parts[0][1]


def _g_step(run, condition=None, count=6):
    """A step as the engine makes it, its noise included."""
    z = torch.randn(count, 8, generator=torch.Generator().manual_seed(1))
    with noise.drawn_from(run.ctx.numbers("noise")):
        images = run.ctx.generator(z, condition)
    return GStep(z, condition, images, torch.zeros(count), run.ctx.discriminator)


class _StyleRun:
    """A run as far as pairs of images need one, around a small StyleGAN2."""

    def __init__(self, **options):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.generator = stylegan2_32(**SMALL_STYLEGAN2, **options)[0]()
        for name, parameter in self.generator.named_parameters():
            if name.endswith("noise_strength"):
                torch.nn.init.ones_(parameter)  # a new network's is 0
        self.ctx, self.discriminator, self.calls = self, None, Counter()

    def networks(self):
        return self.generator, self.discriminator

    def numbers(self, purpose):
        self.calls[purpose] += 1
        call = self.calls[purpose]
        return Numbers(lambda: seeds.torch_stream(0, purpose, call), torch.device("cpu"))


def test_two_perturbations_take_turns():
    rows, which = lt.tiled(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 5)
    assert which.tolist() == [0, 1, 0, 1, 0]
    assert rows.tolist() == [[1, 2], [3, 4], [1, 2], [3, 4], [1, 2]]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("linear", 2 * 4 * 3 * 5 + 1),
        ("two-layer", (2 * 4 * 3 * 5 + 1) * 5 + 5 + 1),  # input 2 h w C, hidden layer C
        ("convolutional", 2 * 5 * 9 * 5 + 5 + 2 * 5 + 4 * 3 * 5 + 1),
    ],
)
def test_auxiliary_networks_have_the_papers_shapes(name, parameters):
    network = lt.NETWORKS[name](5, 4, 3)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network(torch.zeros(2, 10, 4, 3)).shape == (2, 1)


def _pooled(maps, kernel, stride):
    """Average pooling without padding, one window at a time."""
    count = (maps.shape[2] - kernel) // stride + 1
    windows = [
        [
            maps[:, :, y * stride : y * stride + kernel, x * stride : x * stride + kernel].mean((2, 3))
            for x in range(count)
        ]
        for y in range(count)
    ]
    return np.stack([np.stack(row, axis=-1) for row in windows], axis=-2)


@pytest.mark.parametrize("layer", [None, 1])
def test_loss_is_the_cross_entropy_of_the_text(layer, make_run):
    run = make_run(f"lt(layer={'null' if layer is None else layer}, pool=3, stride=2, weight=0.7, sigma=0.4)")
    part, ctx = _part(run), run.ctx
    ctx.begin_step(3)
    discriminator = ctx.discriminator.eval()  # spectral norms stand still
    ctx.generator.eval()
    step = _g_step(run)
    found = part.g_loss(ctx, step)["same"].item()

    draws = torch.randn(2, 2, 8, generator=seeds.torch_stream(0, "lt", 3, 1))[0] * 0.4
    order = torch.randperm(6, generator=seeds.torch_stream(0, "lt-permutation", 3, 1)).tolist()
    shift = draws[[0, 1, 0, 1, 0, 1]]
    with torch.no_grad():
        maps = []
        for images in (step.images_NCHW, ctx.generator(step.z_NZ + shift)):
            if layer is None:
                map_ = discriminator.feature_maps(images)
            else:
                map_ = discriminator.blocks[1](discriminator.blocks[0](images))
            maps.append(_pooled(map_.double().numpy(), 3, 2))
    difference = (maps[1] - maps[0]).reshape(6, -1)
    weights = [p.detach().double().numpy() for p in part.network.parameters()]
    losses = []
    for i, j in enumerate(order):
        hidden = np.maximum(weights[0] @ np.concatenate([difference[i], difference[j]]) + weights[1], 0)
        chance = 1 / (1 + np.exp(-(weights[2] @ hidden + weights[3])[0]))
        losses.append(-np.log(chance if i % 2 == j % 2 else 1 - chance))
    # float32 networks agree to about 1e-6 of a loss of size 1.
    assert found == pytest.approx(0.7 * np.mean(losses), rel=1e-5)
    assert len({i % 2 == j % 2 for i, j in enumerate(order)}) == 2  # both labels occur


@pytest.mark.parametrize("options", [{"mixing": 0.0}, {"mixing": 1.0}, {"mixing": 0.9, "mixing_per": "image"}])
def test_both_images_of_a_pair_have_the_same_noise_and_crossover(options):
    run = _StyleRun(**options)
    with torch.no_grad():
        step = _g_step(run)
        still, same, _ = lt.image_pairs(run.ctx, step, 0.0)
        torch.testing.assert_close(still, same, rtol=0, atol=0)
        images, shifted, which = lt.image_pairs(run.ctx, step, 0.5)
    assert not torch.equal(still, images)  # another call, other noise
    assert ((images - shifted).abs().amax((1, 2, 3)) > 1e-3).all() and which.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("mixing_per", ["batch", "image"])
def test_styles_are_mixed_as_the_generator_mixes_them(mixing_per):
    generator = _StyleRun(mixing=0.6, mixing_per=mixing_per).generator
    z = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    for seed in range(5):
        own, ours = (torch.Generator().manual_seed(seed) for _ in range(2))
        with noise.drawn_from(own):
            expected = generator(z)  # draws its second latent first, then the crossovers
        other = torch.randn(8, 8, generator=ours)
        with noise.drawn_from(ours):
            assert torch.equal(lt.mixed_images(generator, z, other, None), expected)


def test_mixed_styles_are_perturbed_in_both_latents():
    run = _StyleRun(mixing=1.0)
    seen, step, original = [], _g_step(run), run.generator.map
    run.generator.map = lambda z, c: seen.append(z) or original(z, c)
    lt.image_pairs(run.ctx, step, 0.5)
    first, second, moved_first, moved_second = seen
    assert torch.equal(first, step.z_NZ) and not torch.equal(first, second)
    shifts = [moved_first - first, moved_second - second]
    assert not torch.allclose(shifts[0], shifts[1])  # e1 and e2 are distinct
    for shift in shifts:
        torch.testing.assert_close(shift[0::2], shift[:1].expand(3, -1))  # differences of float32 numbers
        torch.testing.assert_close(shift[1::2], shift[1:2].expand(3, -1))


def test_without_noise_the_steps_own_images_are_taken_and_the_condition_is_the_same(make_run):
    run = make_run("lt + baseline")
    step = _g_step(run, torch.eye(12)[[3, 1, 4, 1, 5, 9]])
    conditions = []
    run.ctx.generator.register_forward_pre_hook(lambda _, given: conditions.append(given[1]))
    images, shifted, _ = lt.image_pairs(run.ctx, step, 0.5)
    assert images is step.images_NCHW and images.shape == shifted.shape
    assert len(conditions) == 1 and conditions[0] is step.condition_NK


def test_a_and_g_learn_from_the_loss_and_d_does_not(make_run):
    run = make_run("lt(warmup_share=0)", steps=6)
    part, ctx = _part(run), run.ctx
    discriminator = list(ctx.discriminator.parameters())
    for parameter in discriminator:
        parameter.requires_grad_(False)  # as the engine holds D in G's update
    part.begin_step(ctx)
    part.g_loss(ctx, _g_step(run))["same"].backward()
    assert all(p.grad is None for p in discriminator)
    for parameter in (
        *part.network.parameters(),
        ctx.generator.linear.bias,
        ctx.generator.blocks[1].conv1.bias,
    ):
        assert parameter.grad.abs().sum() > 0
    for parameter in discriminator:
        parameter.requires_grad_(True)

    twin, heavier = (make_run(f"lt(warmup_share=0, weight={w})", steps=6).advance(1) for w in (1, 3))
    for mine, other in zip(twin.ctx.discriminator.parameters(), heavier.ctx.discriminator.parameters(), strict=True):
        assert torch.equal(mine, other)  # lambda has not reached D's update ...
    assert twin.logs[0]["d_loss"] == heavier.logs[0]["d_loss"]
    assert not torch.equal(twin.ctx.generator.linear.weight, heavier.ctx.generator.linear.weight)  # but G's
    assert twin.logs[0]["g_loss"] == heavier.logs[0]["g_loss"]  # whose adversarial term is as it was
    before = [p.detach().clone() for p in _part(twin).network.parameters()]
    twin.advance(1)
    assert all(not torch.equal(a, b) for a, b in zip(before, _part(twin).network.parameters(), strict=True))


def test_second_half_of_ds_latents_is_perturbed(make_run):
    run = make_run("lt(warmup_share=0.5, sigma=0.3)", steps=4, batch=7)
    seen = []
    run.ctx.generator.linear.register_forward_pre_hook(
        lambda _, given: seen.append((torch.is_grad_enabled(), given[0].clone()))
    )
    run.advance(4)
    by_step = {0: seen[0:2], 1: seen[2:4], 2: seen[4:7], 3: seen[7:10]}
    for number, calls in by_step.items():
        (_, for_d), (_, for_g), *pair = calls
        assert [grad for grad, _ in calls] == [False, True, True][: len(calls)]
        drawn_d, drawn_g = (
            torch.randn(7, 8, generator=seeds.torch_stream(0, "latents", number, call)) for call in (1, 2)
        )
        assert torch.equal(for_g, drawn_g)
        assert torch.equal(for_d[:4], drawn_d[:4])
        if number < 2:  # the plain losses
            assert torch.equal(for_d, drawn_d) and pair == []
            continue
        draws = torch.randn(2, 8, generator=seeds.torch_stream(0, "lt-discriminator", number, 1)) * 0.3
        assert torch.equal(for_d[4:], drawn_d[4:] + draws[[0, 1, 0]])
        draws = torch.randn(2, 2, 8, generator=seeds.torch_stream(0, "lt", number, 1))[0] * 0.3
        assert torch.equal(pair[0][1], drawn_g + draws[[0, 1, 0, 1, 0, 1, 0]])


def test_the_averaged_generator_is_not_perturbed(make_run):
    run = make_run("lt(warmup_share=0)", steps=4).advance(2)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(7))
    seen = []
    run.ctx.ema.linear.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    run.sample(4)
    assert torch.equal(seen[0], z)


def test_warm_up_is_plain_training(make_run):
    plain, warming = make_run("r1(every=9)", steps=4), make_run("lt(warmup_share=0.5)", steps=4)
    plain.method.parts[0][1].d_loss = lambda *_: {}
    for run in (plain, warming):
        run.advance(2)
    state = plain.ctx.generator.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in warming.ctx.generator.state_dict().items())
    assert "lt/same" not in warming.logs[1]
    warming.advance(1)
    assert {"lt/same", "lt/accuracy"} <= warming.logs[2].keys()


def test_it_waits_until_a_growing_network_is_whole():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator, _ = stylegan1_32(channel_base=64, z_dim=4, w_dim=4)
        generator = generator()
    assert lt.is_whole(generator)
    for level, alpha in ((1, 1.0), (3, 0.5)):
        generator.grow(level, alpha)
        assert not lt.is_whole(generator)


@pytest.mark.slow
def test_a_learns_to_tell_perturbations_apart():
    """Differences that are e plus noise: the two-layer network learns the task, the linear one cannot."""
    accuracies = {}
    stream = torch.Generator().manual_seed(0)
    for name in ("two-layer", "linear"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = lt.NETWORKS[name](6, 1, 1)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        right = []
        for _ in range(600):
            which = torch.arange(64) % 2
            shifts = torch.randn(2, 6, 1, 1, generator=stream)[which]
            difference = shifts + 0.1 * torch.randn(64, 6, 1, 1, generator=stream)
            partner = torch.randperm(64, generator=stream)
            logits = network(lt.side_by_side(difference, partner)).squeeze(1)
            same = (which == which[partner]).float()
            loss = functional.binary_cross_entropy_with_logits(logits, same)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right.append(((logits > 0) == (same > 0)).float().mean().item())
        accuracies[name] = np.mean(right[-50:])
    assert accuracies["two-layer"] > 0.8 > 0.6 > accuracies["linear"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lt(sigma=0)", "sigma is 0, must be above 0"),
        ("lt(weight=-1)", "weight is -1, must be above 0"),
        ("lt(lr=0)", "lr is 0, must be above 0"),
        ("lt(pool=0)", "pool is 0, must be 1 or more"),
        ("lt(stride=0)", "stride is 0, must be 1 or more"),
        ("lt(warmup_share=1)", "warmup_share is 1, must be 0 or more and below 1"),
        ("lt(network=two-layers)", "unknown network 'two-layers'; did you mean 'two-layer'"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


def test_settings_that_do_not_fit_the_networks_are_refused(make_run):
    with pytest.raises(UserError, match="layer is 4, must be from 0 to 3"):
        make_run("lt(layer=4)")
    with pytest.raises(UserError, match="pool is 16, must be at most 8, the size of the layer's map"):
        make_run("lt(pool=16)")
    with pytest.raises(UserError, match="a batch of one image has no pairs"):
        make_run("lt", batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["sngan-32", "stylegan2-32"])
def test_conformance(network):
    findings = check_method("lt(pool=2, warmup_share=0.34) + diffaugment", network)
    assert len(findings) > 5 and [finding for finding in findings if not finding.passed] == []
