"""What the condition is in `disp` and `baseline`, and the controls between them."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch

from bench import features
from bench.contract.composition import build_method
from bench.contract.context import Batch
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.features.extractor import Extractor

priors = importlib.import_module("bench.methods.common.priors")


def _conditions(run):
    index = torch.arange(len(run.ctx.images_u8_NHWC))
    return run.method.condition(run.ctx, Batch(torch.zeros(len(index), 3, 32, 32), index))


def _sampled_conditions(run, count):
    """The conditions that the sampler hands to the generator."""
    return run.method.sampler(run.ctx)(
        lambda z, condition: condition, torch.zeros(count, 8), torch.Generator().manual_seed(0)
    )


def test_condition_is_the_centred_vgg16_feature_of_the_image(make_run):
    run = make_run("disp(prior_size=32)")
    raw = torch.from_numpy(features.load("vgg16@32")(run.ctx.images_u8_NHWC))
    centred = raw - raw.mean(0)
    # The extractor is run twice here; convolutions over other batch sizes may differ in the last bits.
    expected = centred / centred.square().mean().sqrt()
    torch.testing.assert_close(_conditions(run), expected, atol=1e-4, rtol=1e-4)
    assert run.ctx.generator.condition_dim == run.ctx.discriminator.condition_dim == 512


def test_prior_size_and_extractor_matter(make_run):
    small, large = (_conditions(make_run(f"disp(prior_size={size})")) for size in (32, 48))
    assert not torch.allclose(small, large, atol=0.1)
    assert _conditions(make_run("disp(prior=effnet_lite0, prior_size=32)")).shape == (12, 1280)


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        (("vgg16", 64), "vgg16@64"),
        (("vgg16", "own"), "vgg16@224"),
        (("vgg16_fc7", "own"), "vgg16_fc7@224"),
        (("resnet50", "own"), "resnet50@224"),
        (("inception", "own"), "inception@299"),
        (("simclr", 64), None),  # its source's size, whatever the setting
        (("random", 64), "vgg16@64"),
        (("shuffled", "own", "vgg16_fc6"), "vgg16_fc6@224"),
    ],
)
def test_what_a_prior_is_read_with(settings, spec):
    assert priors.prior_spec(*settings) == spec


@pytest.mark.parametrize("part", ["disp", "glann", "logo-gan"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("prior=vgg16_fc7", "prior 'vgg16_fc7': .*from 224 to 512.* prior_size=own for the 224 pixels"),
        ("prior_size=owned", "'owned' must be a whole number from 32 to 512"),
        ("prior_size=-5", "must be a whole number"),
        ("prior=vgg17", "did you mean 'vgg16'"),
    ],
)
def test_a_prior_that_cannot_be_read_is_refused_before_anything_is_built(part, settings, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(f"{part}({settings})"))


def test_own_size_and_the_prior_of_a_control_reach_the_condition(make_run, monkeypatch):
    """A cheap extractor stands at the place of the fully connected layers, whose weights are the user's."""
    asked = []

    def load(spec, device="cpu"):
        asked.append(spec)
        return Extractor(spec, torch.nn.Flatten(), 8, 192, "0" * 64)

    monkeypatch.setattr(features, "load", load)
    own = _conditions(make_run("disp(prior=vgg16_fc7, prior_size=own)"))
    random = _conditions(make_run("disp(prior=random, control_of=vgg16_fc7, prior_size=own)"))
    assert asked == ["vgg16_fc7@224"] * 2 and own.shape == random.shape == (12, 192)
    assert not torch.allclose(own, random, atol=0.1)


def test_settings_that_came_later_are_in_the_identity_only_where_they_are_used():
    (plain,) = parse_method("disp(prior=random)")
    assert plain.settings == {"prior": "random", "prior_size": 64, "scale": "rms", "sampling": "mix"}
    assert parse_method("disp(prior=random, control_of=vgg16)") == (plain,)
    (other,) = parse_method("disp(prior=random, control_of=vgg16_fc7, prior_size=own)")
    assert other.settings["control_of"] == "vgg16_fc7" and other.settings["prior_size"] == "own"


def test_random_prior_has_shape_and_size_of_the_real_one_but_not_its_content(make_run):
    real = _conditions(make_run("disp(prior_size=32)"))
    fake = _conditions(make_run("disp(prior=random, prior_size=32)"))
    assert fake.shape == real.shape
    assert fake.square().mean().item() == pytest.approx(real.square().mean().item(), rel=1e-5)
    # 12 x 512 independent normals: kurtosis 3 (standard deviation 0.06), correlation 0 (0.013).
    assert (fake**4).mean().item() == pytest.approx(3, abs=0.3)
    assert abs((real * fake).mean().item()) < 0.06
    assert torch.equal(fake, _conditions(make_run("disp(prior=random, prior_size=32)")))
    assert not torch.equal(fake, _conditions(make_run("disp(prior=random, prior_size=32)", seed=1)))


def test_shuffled_prior_gives_every_image_the_vector_of_another(make_run):
    real = _conditions(make_run("disp(prior_size=32)"))
    other = _conditions(make_run("disp(prior=shuffled, prior_size=32)"))
    owner = [int((real - row).norm(dim=1).argmin()) for row in other]
    assert all(torch.equal(real[index], row) for index, row in zip(owner, other, strict=True))
    assert sorted(owner) == list(range(12)) and all(place != index for place, index in enumerate(owner))


@pytest.mark.parametrize("count", [2, 3, 50])
def test_derangements(count):
    seen = set()
    for seed in range(20):
        image = priors.derangement(count, torch.Generator().manual_seed(seed))
        assert sorted(image.tolist()) == list(range(count)) and (image != torch.arange(count)).all()
        seen.add(tuple(image.tolist()))
    assert len(seen) > 1 or count == 2
    with pytest.raises(UserError, match="at least two"):
        priors.derangement(1, torch.Generator())


@pytest.mark.parametrize(("scale", "norm"), [("unit", 1.0), ("4", 4.0)])
def test_scale_is_the_mean_norm_of_the_condition(scale, norm, make_run):
    table = _conditions(make_run(f"disp(prior_size=32, scale={scale})"))
    assert table.norm(dim=1).mean().item() == pytest.approx(norm, rel=1e-5)


def test_simclr_prior_comes_from_the_source(make_run, source):
    run = make_run("disp(prior=simclr)", sources=source)
    assert _conditions(run).shape == (12, 16)
    with pytest.raises(UserError, match="given no source 'simclr'"):
        make_run("disp(prior=simclr)")
    with pytest.raises(UserError, match="hold no encoder"):
        make_run("disp(prior=simclr)", sources={"simclr": source["network"]})


def test_sampled_conditions_are_mixtures_or_rows(make_run):
    for sampling, mixed in (("pure", False), ("mix", True)):
        run = make_run(f"disp(prior_size=32, sampling={sampling})")
        table, drawn = _conditions(run), _sampled_conditions(run, 40)
        is_row = [any(torch.equal(row, own) for own in table) for row in drawn]
        assert all(is_row) is not mixed


def test_unknown_names_are_refused(make_run):
    with pytest.raises(UserError, match="unknown sampling 'purr'; did you mean 'pure'"):
        build_method(parse_method("disp(sampling=purr)"))
    with pytest.raises(UserError, match="unknown extractor 'vgg61'; did you mean 'vgg16'"):
        make_run("disp(prior=vgg61)")


def test_baseline_condition_is_one_hot_with_the_declared_norm(make_run):
    assert torch.equal(_conditions(make_run("baseline")), torch.eye(12))
    assert torch.equal(_conditions(make_run("baseline(norm=2.5)")), torch.eye(12) * 2.5)
    matched = _conditions(make_run("baseline(norm=rms)")).norm(dim=1)
    assert torch.allclose(matched, torch.full((12,), math.sqrt(512)))
    prior = _conditions(make_run("disp(prior_size=32)"))
    assert matched.square().mean().item() == pytest.approx(prior.square().sum(1).mean().item(), rel=1e-4)


def test_baseline_learns_an_embedding_of_its_own_for_each_image(make_run):
    run = make_run("baseline", steps=3, batch=4)
    before = run.ctx.generator.condition_embedding.weight.detach().clone()
    run.advance(1)
    moved = (run.ctx.generator.condition_embedding.weight != before).any(0)
    assert int(moved.sum()) == 4  # the columns of the four images of the only batch


def test_baseline_refuses_other_norms():
    for norm in ("big", "0", "-1", "true"):
        with pytest.raises(UserError, match="method .baseline.: norm"):
            build_method(parse_method(f"baseline(norm={norm})"))


def test_classes_are_one_hot_and_sampled_evenly(make_run):
    labels = np.array([0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    run = make_run("class-conditional", labels=labels)
    assert torch.equal(_conditions(run), torch.eye(3)[labels])
    share = _sampled_conditions(run, 2000).mean(0)
    assert share[1] == 0 and share[0].item() == pytest.approx(0.5, abs=0.05)  # binomial sd 0.011
    with pytest.raises(UserError, match="data set 'pictures' has no class labels"):
        make_run("class-conditional")


def test_two_conditions_cannot_be_combined():
    with pytest.raises(UserError, match="'baseline' and 'disp' both claim the hook 'condition'"):
        build_method(parse_method("baseline + disp"))
