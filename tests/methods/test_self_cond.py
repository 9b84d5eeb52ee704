"""Self-Conditional GAN: clusters of D's features, labels that keep their meaning, conditions and sampling."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.store.checkpoints import fingerprint

clusters = importlib.import_module("bench.methods.common.clusters")
self_cond = importlib.import_module("bench.methods.self_cond")


def _stream(seed=0):
    return torch.Generator().manual_seed(seed)


def _part(run):
    return next(part for name, part in run.method.parts if name == "self-cond")


def _agreement(new, old, permutation):
    return sum(permutation[a] == b for a, b in zip(new, old, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_matched_labels_agree_as_much_as_any_permutation(seed):
    random = np.random.default_rng(seed)
    new, old = random.integers(0, 4, 30), random.integers(0, 4, 30)
    renamed = clusters.matched(new, old, 4)
    best = max(_agreement(new, old, permutation) for permutation in itertools.permutations(range(4)))
    assert (renamed == old).sum() == best
    pairs = set(zip(new.tolist(), renamed.tolist(), strict=True))
    assert len(pairs) == len(set(new.tolist())) == len({after for _, after in pairs}), "not a renaming"


def test_matching_undoes_a_permutation():
    old = np.array([0, 0, 1, 2, 2, 2, 3])
    assert np.array_equal(clusters.matched(np.array([2, 0, 3, 1])[old], old, 4), old)


def test_centres_are_means_and_starved_labels_get_a_point():
    points = np.random.default_rng(0).normal(size=(10, 3))
    labels = np.array([0, 0, 0, 2, 2, 0, 2, 2, 0, 0])
    found = clusters.centres(points, labels, 3, _stream())
    for label in (0, 2):
        expected = np.array([points[i] for i in range(10) if labels[i] == label]).mean(axis=0)
        np.testing.assert_allclose(found[label], expected, atol=1e-14)
    assert any(np.array_equal(found[1], point) for point in points)


def test_kmeans_finds_far_groups_and_starts_where_it_is_told():
    random = np.random.default_rng(1)
    middle = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([one + random.normal(size=(20, 2)) for one in middle])
    free = clusters.kmeans(points, 3, _stream())
    assert sorted(np.bincount(free.labels_)) == [20, 20, 20]
    # From starts in the groups, each label is its start's group: the order is not k-means' to choose.
    told = clusters.kmeans(points, 3, _stream(), middle[[2, 0, 1]])
    assert np.array_equal(told.labels_, np.repeat([1, 2, 0], 20))


def _features(run):
    """D's features of all training images, by the formula: evaluation mode, no gradient."""
    images = torch.from_numpy(run.ctx.images_u8_NHWC).permute(0, 3, 1, 2).float() / 127.5 - 1
    discriminator = run.ctx.discriminator.eval()
    with torch.no_grad():
        values = discriminator.features(images).double().numpy()
    discriminator.train()
    return values


def _begin(run, step):
    run.ctx.begin_step(step)
    run.method.begin_step(run.ctx)
    return _part(run).label_M.numpy()


def test_first_clustering_is_of_the_untrained_discriminator(make_run):
    run = make_run("self-cond(clusters=3)")
    points = _features(run)
    labels = _begin(run, 0)
    spread = sum(((points[labels == k] - points[labels == k].mean(0)) ** 2).sum() for k in range(3))
    reference = KMeans(3, n_init=30, random_state=0).fit(points)
    # Both are the best of many starts; float32 and float64 features differ by 1e-6.
    assert spread == pytest.approx(reference.inertia_, rel=1e-4)


def test_reclustering_starts_from_the_old_labels_and_keeps_their_names(make_run):
    """Against a plain transcription: means of old labels, Lloyd's iterations, the best of all renamings."""
    run = make_run("self-cond(clusters=3, interval=2)")
    old = np.arange(12) % 3
    _part(run).label_M = torch.from_numpy(old)
    for parameter in run.ctx.discriminator.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=_stream(5))
    points = _features(run)
    means = np.array([points[old == k].mean(axis=0) for k in range(3)])
    for _ in range(100):
        new = ((points[:, None] - means[None]) ** 2).sum(-1).argmin(1)
        means = np.array([points[new == k].mean(axis=0) for k in range(3)])
    best = max(_agreement(new, old, one) for one in itertools.permutations(range(3)))
    labels = _begin(run, 2)
    assert len(set(zip(new.tolist(), labels.tolist(), strict=True))) == 3, "another partition"
    assert (labels == old).sum() == best


def test_clusters_in_another_order_get_their_old_names_back(make_run, monkeypatch):
    run = make_run("self-cond(clusters=3, interval=2)")
    first = _begin(run, 0)
    straight = self_cond.centres
    monkeypatch.setattr(self_cond, "centres", lambda *given: straight(*given)[[1, 2, 0]])
    assert np.array_equal(_begin(run, 2), first)


def test_labels_stand_still_between_clusterings(make_run):
    run = make_run("self-cond(clusters=3, interval=3)")
    seen = []
    for step in range(4):
        if step:
            _part(run).label_M = torch.zeros(12, dtype=torch.int64)
        seen.append(len(set(_begin(run, step).tolist())))
    assert seen == [3, 1, 1, 3]


def test_a_sample_labels_every_image(make_run):
    """k-means sees 4 of 12 images; the others get the nearest of its centres."""
    run = make_run("self-cond(clusters=2, sample=4)")
    points, labels = _features(run), _begin(run, 0)
    assert labels.shape == (12,) and set(labels) <= {0, 1}
    run.ctx.begin_step(0)  # the same streams once more
    chosen = torch.randperm(12, generator=run.ctx.stream("self-cond", "sample")).numpy()[:4]
    part = points[chosen]
    halves = [np.array((0, *rest)) for rest in itertools.product((0, 1), repeat=3)][1:]
    spread = [sum(((part[h == k] - part[h == k].mean(0)) ** 2).sum() for k in (0, 1)) for h in halves]
    half = halves[int(np.argmin(spread))]
    means = np.array([part[half == k].mean(axis=0) for k in (0, 1)])
    nearest = ((points[:, None] - means[None]) ** 2).sum(-1).argmin(1)
    assert np.array_equal(nearest != nearest[0], labels != labels[0])


def test_a_look_at_the_features_changes_nothing_in_d(make_run):
    run = make_run("self-cond(clusters=3)")
    discriminator = run.ctx.discriminator
    discriminator.blocks[0].eval()  # a mode of its own
    before = fingerprint(discriminator.state_dict())
    modes = [module.training for module in discriminator.modules()]
    _begin(run, 0)
    assert fingerprint(discriminator.state_dict()) == before
    assert [module.training for module in discriminator.modules()] == modes
    assert all(p.grad is None for p in discriminator.parameters())


def test_condition_is_the_one_hot_label(make_run):
    run = make_run("self-cond(clusters=4)")
    labels = torch.from_numpy(_begin(run, 0))
    index = torch.tensor([3, 3, 0, 11])
    condition = run.method.condition(run.ctx, type("Batch", (), {"index_N": index})())
    assert torch.equal(condition, torch.eye(4)[labels[index]])


def test_labels_are_sampled_by_cluster_size(make_run):
    run = make_run("self-cond(clusters=3)")
    _part(run).label_M = torch.tensor([1] * 8 + [2] * 2)
    asked = []

    def generator(z, condition):
        asked.append(condition)
        return torch.zeros(len(z), 3, 32, 32)

    run.method.sampler(run.ctx)(generator, torch.zeros(4000, 8), _stream())
    assert asked[0].mean(dim=0)[0] == 0
    assert asked[0].mean(dim=0)[2].item() == pytest.approx(0.2, abs=0.032)  # five standard deviations


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    ["self-cond(clusters=3, interval=2)", "diffaugment + self-cond(clusters=2, interval=2, sample=8)"],
)
def test_conforms(method):
    """Stopped at step 3 of 6: the clusterings are at 0, 2 and 4."""
    assert [finding for finding in check_method(method) if not finding.passed] == []


def test_bad_settings_are_named(make_run):
    for text, error in {
        "clusters=0": "clusters is 0",
        "interval=0": "interval is 0",
        "sample=99": "sample is 99, must be at least the number of clusters, 100",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"self-cond({text})"))
    with pytest.raises(UserError, match="clusters is 100, must be at most the number of training images, 12"):
        make_run("self-cond")
    with pytest.raises(UserError, match="'disp' and 'self-cond' both claim the hook 'condition'"):
        build_method(parse_method("disp + self-cond"))
    with pytest.raises(UserError, match="no clusters before the first step"):
        make_run("self-cond(clusters=2)").sample(2)
