"""Diversity within classes and conditions: all pairs by hand; a class that collapses is seen at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from bench import features
from bench.errors import UserError
from bench.evaluate import conditioned
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.features.perceptual import lpips_distance
from bench.spec.run import evaluation_run

FEW = {"images": 4}


def by_hand(groups):
    """The mean LPIPS of all pairs of each group of images."""
    module = lpips_distance("alex")
    found = []
    for images in groups:
        signed = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            pairs = [float(module(a[None], b[None])) for place, a in enumerate(signed) for b in signed[:place]]
        found.append(np.mean(pairs))
    return np.array(found)


@pytest.fixture
def seen(monkeypatch):
    """The groups of images that the measure has looked at."""
    groups, make = [], conditioned.images_of_class
    monkeypatch.setattr(conditioned, "images_of_class", lambda *given: groups.append(make(*given)) or groups[-1])
    return groups


def test_it_is_the_mean_over_classes_of_all_pairs(take, seen):
    found = take("diversity", worst=0.5, **FEW)
    each = by_hand(seen)
    assert len(each) == 4 and all(len(images) == 4 for images in seen)
    mean, worst = found["diversity_lpips"], found["diversity_lpips_worst"]
    assert mean.value == pytest.approx(each.mean(), rel=1e-5)
    assert mean.error == pytest.approx(each.std(ddof=1) / 2, rel=1e-4)
    assert worst.value == pytest.approx(np.sort(each)[:2].mean(), rel=1e-5)
    assert (mean.n_generated, worst.n_generated, set(found)) == (16, 8, {"diversity_lpips", "diversity_lpips_worst"})


def test_on_features_it_is_scipys(take, seen):
    found = take("diversity", extractor="alexnet@63", **FEW)
    each = [pdist(features.load("alexnet@63")(images).astype(float)).mean() for images in seen]
    assert found["diversity_distance"].value == pytest.approx(np.mean(each), rel=1e-5)
    assert found["diversity_distance_worst"].value == pytest.approx(min(each), rel=1e-5)


def test_a_class_that_collapses_is_the_worst(take):
    """One of four classes has a single image: the worst falls to 0, the mean by the share of that class."""
    fair, collapsed = take("diversity", worst=0.25, **FEW), take("diversity", "collapsed", worst=0.25, **FEW)
    assert fair["diversity_lpips_worst"].value > 0.01
    assert collapsed["diversity_lpips_worst"].value == pytest.approx(0, abs=1e-9)
    assert collapsed["diversity_lpips"].value < fair["diversity_lpips"].value


def test_conditions_of_training_images(take, monkeypatch):
    asked = []
    make = conditioned.images_like

    def images_like(subject, index, *purpose):
        asked.append(index)
        return make(subject, index, *purpose)

    monkeypatch.setattr(conditioned, "images_like", images_like)
    found = take("diversity", within="conditions", groups=3, **FEW)
    assert [len(set(index)) for index in asked] == [1, 1, 1] and len({index[0] for index in asked}) == 3
    assert 0 < found["diversity_lpips_worst"].value <= found["diversity_lpips"].value


def test_it_is_recorded(lines):
    found = lines("diversity", groups=2, **FEW)
    assert {line["extractor"] for line in found.values()} == {""} and found["diversity_lpips"]["n_generated"] == 8


def test_more_groups_than_there_are(take):
    with pytest.raises(UserError, match="groups is 5, must be at most the 4 classes of the run"):
        take("diversity", groups=5, **FEW)


@pytest.mark.parametrize(
    ("method", "train", "settings", "message"),
    [
        ("unconditional", {}, {}, "within classes: the method of run .* cannot be asked for a class"),
        (
            "unconditional",
            {},
            {"within": "conditions"},
            "within conditions: the method of run .* conditions on nothing",
        ),
        ("class-conditional", {"batch_statistics": 4}, {}, "is sampled in batches of 4 by their own statistics"),
        ("class-conditional", {}, {"images": 1}, "measure 'diversity': images: Input should be greater than or equal"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_trains(tiny_spec, method, train, settings, message):
    run = tiny_spec(method, scored=True, **train)
    with pytest.raises(UserError, match=message):
        refuse_impossible(evaluation_run(parse_measure({"measure": "diversity", **settings}), run, run.protocol))
