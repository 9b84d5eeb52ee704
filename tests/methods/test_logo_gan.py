"""Logo-GAN: labels from k-means on the prior's features, the conditions they give, and how they are sampled."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest
import torch

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError

priors = importlib.import_module("bench.methods.common.priors")


def _part(run):
    return next(part for name, part in run.method.parts if name == "logo-gan")


def _spread(points, labels):
    """Sum of squared distances to the means of the labels: what k-means makes small."""
    groups = [points[labels == label] for label in np.unique(labels)]
    return sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups)


def test_labels_are_the_best_partition_of_the_features(make_run, make_pictures):
    """Seven images have 63 partitions in two: none has a smaller spread than the method's."""
    run = make_run("logo-gan(clusters=2, prior_size=32)", images=make_pictures(7))
    points = priors.prior_table(run.ctx, "vgg16", 32, "raw").double().numpy()
    assert points.shape == (7, 512)
    labels = _part(run).label_M.numpy()
    partitions = [np.array((0, *rest)) for rest in itertools.product((0, 1), repeat=6)][1:]
    best = min(partitions, key=lambda partition: _spread(points, partition))
    assert np.array_equal(labels != labels[0], best != best[0])


def test_condition_is_the_one_hot_label(make_run):
    run = make_run("logo-gan(clusters=3, prior_size=32)")
    batch_index = torch.tensor([5, 0, 5, 11])
    batch = type("Batch", (), {"index_N": batch_index})()
    condition = run.method.condition(run.ctx, batch)
    labels = _part(run).label_M
    assert set(labels.tolist()) == {0, 1, 2} and condition.shape == (4, 3)
    assert torch.equal(condition, torch.eye(3)[labels[batch_index]])
    assert run.ctx.generator.condition_dim == run.ctx.discriminator.condition_dim == 3


def test_labels_are_sampled_by_cluster_size(make_run):
    run = make_run("logo-gan(clusters=3, prior_size=32)")
    _part(run).label_M = torch.tensor([0] * 9 + [2] * 3)
    asked = []

    def generator(z, condition):
        asked.append(condition)
        return torch.zeros(len(z), 3, 32, 32)

    run.method.sampler(run.ctx)(generator, torch.zeros(4000, 8), torch.Generator().manual_seed(0))
    shares = asked[0].mean(dim=0)
    assert shares[1] == 0
    assert shares[0].item() == pytest.approx(0.75, abs=0.035)  # five standard deviations: 5 * 0.43 / sqrt(4000)


def test_seeds_of_one_image_set_agree_on_its_clusters(make_run, make_pictures):
    """Far clusters are found whatever the stream; their numbers are the stream's."""
    light, dark = make_pictures(6) // 16 + 235, make_pictures(6) // 16
    images = np.concatenate([light, dark])
    runs = [make_run("logo-gan(clusters=2, prior_size=32)", images=images, seed=seed) for seed in range(2)]
    for run in runs:
        labels = _part(run).label_M
        assert set(labels[:6].tolist()) | set(labels[6:].tolist()) == {0, 1}
        assert len(set(labels[:6].tolist())) == len(set(labels[6:].tolist())) == 1


def test_a_checkpoint_brings_its_labels(make_run):
    run = make_run("logo-gan(clusters=3, prior_size=32)")
    state = {"labels": (_part(run).label_M + 1) % 3}
    _part(run).load_state_dict(state)
    assert torch.equal(_part(run).state_dict()["labels"], state["labels"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        "diffaugment + logo-gan(clusters=5, prior_size=32)",
        "freezed(blocks=2) + logo-gan(clusters=3, prior_size=32)",
    ],
)
def test_conforms(method):
    """The rows of DISP's table 11, small."""
    assert [finding for finding in check_method(method) if not finding.passed] == []


def test_bad_settings_are_named(make_run):
    with pytest.raises(UserError, match="clusters is 0"):
        build_method(parse_method("logo-gan(clusters=0)"))
    with pytest.raises(UserError, match="clusters is 13, must be at most the number of training images, 12"):
        make_run("logo-gan(clusters=13)")
    with pytest.raises(UserError, match="'logo-gan' and 'disp' both claim the hook 'condition'"):
        build_method(parse_method("logo-gan + disp"))
