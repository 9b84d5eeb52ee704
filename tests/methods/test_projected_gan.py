"""Projected GAN: frozen maps, mixing and a judge's condition against transcriptions; what trains, and what stays."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch import nn

from bench import features
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.features.effnet import stages
from bench.store.checkpoints import fingerprint

projected = importlib.import_module("bench.methods.projected_gan")
SMALL = "projected-gan(size=128, width=4)"


def images(count, size, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_stages_end_where_the_extractor_goes_on():
    """The last map, through the package's head and a mean, is what the extractor gives; the sizes are the paper's."""
    network, batch = stages(), images(2, 128)
    with torch.no_grad():
        maps = network(batch)
        classifier = features.load("effnet_lite0@128", "cpu").network.classifier
        head = classifier._swish(classifier._bn1(classifier._conv_head(maps[-1])))
        whole = classifier.extract_features((batch * 127.5 + 0.5) / 128)
    assert [tuple(one.shape[1:]) for one in maps] == [(24, 32, 32), (40, 16, 16), (112, 8, 8), (320, 4, 4)]
    torch.testing.assert_close(head, whole, rtol=1e-4, atol=1e-4)  # float32; the input is rounded once more
    assert not [p for p in network.parameters() if p.requires_grad] and not network.train().blocks.training


def doubled(h_CHW):
    """Twice the sides, bilinear with aligned corners: place i of 2n - 1 reads at i (n - 1) / (2n - 1)."""
    for axis in (1, 2):
        side = h_CHW.shape[axis]
        at = np.arange(2 * side) * (side - 1) / (2 * side - 1)
        low = np.minimum(np.floor(at).astype(int), side - 2)
        share = (at - low).reshape([-1 if one == axis else 1 for one in range(3)])
        h_CHW = np.take(h_CHW, low, axis) * (1 - share) + np.take(h_CHW, low + 1, axis) * share
    return h_CHW


def pointwise(conv, h_CHW):
    weight, bias = conv.weight.detach().double().numpy()[:, :, 0, 0], conv.bias.detach().double().numpy()
    return np.einsum("oi,ihw->ohw", weight, h_CHW) + bias[:, None, None]


def test_maps_are_mixed_across_channels_and_scales_as_written():
    torch.manual_seed(0)
    mixing = projected.RandomMixing((3, 5, 6, 7), 4)
    stream = torch.Generator().manual_seed(1)
    maps = [torch.randn(2, c, 32 // 2**at, 32 // 2**at, generator=stream) for at, c in enumerate((3, 5, 6, 7))]
    found = mixing(maps)
    assert [tuple(one.shape[1:]) for one in found] == [(4, 64, 64), (4, 32, 32), (8, 16, 16), (16, 8, 8)]
    for image in range(2):
        coarser = None
        for at in (3, 2, 1, 0):
            mixed = pointwise(mixing.channels[at], maps[at][image].double().numpy())
            mixed = mixed if coarser is None else mixed + coarser
            coarser = pointwise(mixing.scales[at], doubled(mixed))
            # float32 maps of size 1 after eight layers
            np.testing.assert_allclose(found[at][image].detach().numpy(), coarser, atol=2e-5)


def test_sizes_at_the_papers_settings():
    """Width 64 and 224 pixels: the channels of the authors' code, and sixteen logits of each of four judges."""
    with torch.device("meta"):
        mixing = projected.RandomMixing((24, 40, 112, 320), 64)
    assert [conv.out_channels for conv in mixing.channels] == [64, 128, 256, 512]
    assert [conv.out_channels for conv in mixing.scales] == [64, 64, 128, 256]
    chains = [[64 * factor for factor in factors] for factors in projected.CHANNELS]
    assert chains == [[64, 64, 128, 256, 512], [64, 128, 256, 512], [128, 256, 512], [256, 512]]
    discriminator = projected.ProjectedDiscriminator(stages(), 224, 4, None, False).eval()
    with torch.no_grad():
        assert discriminator(images(1, 32)).shape == (1, 64)
        assert discriminator(images(1, 256)).shape == (1, 4 * 25)  # which is not made smaller


@pytest.mark.parametrize("separable", [False, True])
def test_a_judge_halves_its_map_and_normalises_every_convolution(separable):
    judge = projected.SmallDiscriminator([4, 4, 8, 16], None, separable)
    assert judge(torch.randn(3, 4, 32, 32), None).shape == (3, 1)
    convs = [one for one in judge.modules() if isinstance(one, nn.Conv2d)]
    assert len(convs) == (7 if separable else 4)
    assert all(nn.utils.parametrize.is_parametrized(one, "weight") for one in convs)
    norms = [one for one in judge.modules() if isinstance(one, nn.BatchNorm2d)]
    assert [one.num_features for one in norms] == [4, 8, 16]


def test_a_condition_weighs_the_last_maps():
    torch.manual_seed(0)
    judge = projected.SmallDiscriminator([4, 8], 5, False).eval()
    maps, condition = torch.randn(2, 4, 8, 8), torch.randn(2, 5)
    with torch.no_grad():
        found = judge(maps, condition).double().numpy()
        last = judge.last(judge.blocks(maps)).double().numpy()
    first, second = judge.embedding[0].weight, judge.embedding[1]
    for image in range(2):
        h = second.weight.detach().double() @ (first.detach().double() @ condition[image].double())
        h = (h + second.bias.detach().double()).numpy()
        weight = np.where(h > 0, h, 0.2 * h) / 8
        expected = np.einsum("c,chw->hw", weight, last[image]).ravel()
        np.testing.assert_allclose(found[image], expected, atol=1e-5)


def test_the_judges_train_and_the_rest_stays(make_run):
    run = make_run(SMALL)
    discriminator = run.ctx.discriminator
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    first = {name: value.clone() for name, value in run.ctx.generator.named_parameters()}
    run.advance(2)
    moved = {name.split(".")[0] for name, value in discriminator.state_dict().items() if value.ne(before[name]).any()}
    assert moved == {"judges"}
    assert all(value.ne(first[name]).any() for name, value in run.ctx.generator.named_parameters() if "weight" in name)
    assert {name.split(".")[0] for name in before} == {"frozen", "mixing", "judges"}  # all of it is in a checkpoint
    for network in (discriminator.frozen, discriminator.mixing):
        assert not any(p.requires_grad for p in network.parameters())
    assert all(p.requires_grad for p in discriminator.judges.parameters())


def test_the_random_weights_are_the_runs_own(make_run):
    mixing = [make_run(SMALL, seed=seed).ctx.discriminator.mixing.state_dict() for seed in (0, 0, 1)]
    assert fingerprint(mixing[0]) == fingerprint(mixing[1]) != fingerprint(mixing[2])


def test_with_conditions_and_with_diffusion(make_run):
    labels = np.arange(12) % 3
    for method, numbers in {
        f"class-conditional + {SMALL}": 3,
        f"class-conditional + diffusion-gan + {SMALL}": 4,
    }.items():
        run = make_run(method, labels=labels).advance(1)
        assert run.ctx.discriminator.condition_dim == numbers
    with pytest.raises(ValueError, match="this discriminator has 4 numbers of a condition"):
        run.ctx.discriminator(images(2, 32))


@pytest.mark.slow
def test_conforms():
    assert [one for one in check_method(f"diffaugment(consistency=0) + {SMALL}", "biggan-32") if not one.passed] == []


def test_what_it_cannot_judge_is_named(make_run):
    for text, error in {
        "size=96": "size is 96, must be a multiple of 32 from 128",
        "size=200": "size is 200, must be a multiple of 32 from 128",
        "width=1": "width is 1, must be 2 or more",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"projected-gan({text})"))
    with pytest.raises(UserError, match="this discriminator has no features"):
        make_run(f"{SMALL} + ssgan")
