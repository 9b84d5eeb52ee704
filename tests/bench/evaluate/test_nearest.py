"""Nearest training images: LPIPS by the package, pair by pair; copies have 0; augmented images are what is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import features
from bench.data.draws import training_images
from bench.evaluate import lpips_space
from bench.evaluate.draws import in_turn
from bench.evaluate.lpips_space import LpipsSpace
from bench.evaluate.nearest_images import augmented, nearest_of
from bench.features.perceptual import lpips_distance


@pytest.fixture(scope="module")
def pictures():
    """(6, 9) drawn pictures of 32 px: the first three of the first are among the second."""
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    return images[:6], images[3:][[5, 1, 0, 2, 3, 4, 6, 7, 8]]


def pairwise(one, other, net="alex"):
    """LPIPS (N, M), a call of the package for each pair."""
    module = lpips_distance(net)
    signed = [torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1 for images in (one, other)]
    with torch.no_grad():
        return np.array([[float(module(a[None], b[None])) for b in signed[1]] for a in signed[0]])


@pytest.mark.parametrize("budget", [lpips_space.BUDGET, 40_000])
def test_the_nearest_are_those_of_all_pairs_however_few_fit_into_memory(pictures, monkeypatch, budget):
    """The smaller budget holds one or two images' vectors."""
    monkeypatch.setattr(lpips_space, "BUDGET", budget)
    made, real = pictures
    far, index = LpipsSpace("alex").nearest(made, real)
    every = pairwise(made, real)
    assert index.tolist() == every.argmin(1).tolist()
    np.testing.assert_allclose(far, every.min(1), atol=1e-6)  # float32
    assert (far[3:] == 0).all() and (far[:3] > 0.01).all(), "copies are exactly 0 away"


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_squared_distances_of_vectors_are_lpips(pictures, net):
    made, real = pictures[0][:2], pictures[1][:3]
    space = LpipsSpace(net)
    found = lpips_space.squared_distances(space.vectors(made), space.vectors(real))
    # |a|^2 + |b|^2 - 2ab of numbers near 1: a few units in the last place of float32
    np.testing.assert_allclose(found, pairwise(made, real, net), atol=3e-6)


def test_the_mean_of_all_pairs(pictures):
    every = pairwise(pictures[0], pictures[0])
    assert LpipsSpace("alex").mean_of_pairs(pictures[0]) == pytest.approx(every[np.triu_indices(6, 1)].mean(), rel=1e-5)


def test_images_are_resized_first(pictures):
    made, real = pictures[0][:2], pictures[0][2:4]
    large = [images.repeat(2, 1).repeat(2, 2) for images in (made, real)]
    assert LpipsSpace("alex", 64).distances(*large) == pytest.approx(LpipsSpace("alex").distances(*large), abs=1e-7)
    assert LpipsSpace("alex", 64).distances(made, real) != pytest.approx(
        LpipsSpace("alex").distances(made, real), rel=1e-3
    )


def test_copies_are_nearest_and_noise_farthest(take):
    settings = {"samples": 12, "trials": 2}
    for extractor, name in ((None, "nearest_lpips"), ("alexnet@63", "nearest_distance")):
        found = {
            kind: take("nearest", kind, extractor=extractor, **settings)
            for kind in ("copies", "fresh", "blur", "noise")
        }
        assert all(set(values) == {name} for values in found.values())
        value = {kind: values[name].value for kind, values in found.items()}
        # Features depend on their batch in the last digits; LPIPS of a pair of equal images does not.
        assert value["copies"] == pytest.approx(0, abs=0 if extractor is None else 1e-3)
        assert value["copies"] < value["fresh"] < value["blur"] < value["noise"]
        assert (found["fresh"][name].n_generated, found["fresh"][name].n_reference) == (24, 60)


def test_trials_are_reduced_as_it_says(take):
    mean = take("nearest", "fresh", samples=6, trials=3)["nearest_lpips"]
    lowest = take("nearest", "fresh", samples=6, trials=3, reduce="lowest")["nearest_lpips"]
    trials = [
        take("nearest", "fresh", samples=6 * count, trials=1)["nearest_lpips"].value * count for count in (1, 2, 3)
    ]
    parts = np.diff([0, *trials])
    assert mean.value == pytest.approx(parts.mean()) and lowest.value == pytest.approx(parts.min())
    assert mean.error == lowest.error == pytest.approx(parts.std(ddof=1), rel=1e-4)


def test_it_is_recorded_with_its_features(lines, odd_run):
    line = lines("nearest", "fresh", samples=8, trials=1, extractor="alexnet@63")["nearest_distance"]
    assert (line["extractor"], line["error"]) == ("alexnet@63", None)
    line = lines("nearest", "fresh", samples=8, trials=1)["nearest_lpips"]
    assert line["extractor"] == "" and 0 < line["value"] < 1


def test_augmented_training_images_are_compared_with_themselves(take):
    """A smaller crop is farther; without a crop half of the images are only mirrored."""
    found = [
        take("nearest", images="augmented", samples=100, trials=1, crop=crop)["nearest_lpips"].value
        for crop in (1.0, 0.8, 0.3)
    ]
    assert 0 < found[0] < found[1] < found[2]


def test_what_a_flip_and_a_crop_make_of_an_image():
    image = np.arange(16, dtype=np.uint8).repeat(16).reshape(1, 16, 16, 1).repeat(3, 3).transpose(0, 2, 1, 3) * 10
    stream = torch.Generator().manual_seed(0)
    whole = augmented(image.repeat(40, 0), 1.0, stream)
    mirrored = [np.array_equal(one, image[0, :, ::-1]) for one in whole]
    assert all(same or np.array_equal(one, image[0]) for same, one in zip(mirrored, whole, strict=True))
    assert 8 < sum(mirrored) < 32  # of 40: outside once in 50,000 streams
    # A quarter of the area: 8 columns of a ramp, enlarged, whose values span 7 steps of 10.
    cut = augmented(image.repeat(40, 0), 0.25, stream)[:, 0, :, 0].astype(int)
    assert set(cut.max(1) - cut.min(1)) <= set(range(66, 75)) and len({one.min() for one in cut}) > 5


def test_images_are_drawn_in_turn():
    drawn = in_turn(5, 12, 2, torch.Generator().manual_seed(0)).reshape(2, 12)
    for trial in drawn:
        assert sorted(trial[:5]) == sorted(trial[5:10]) == [0, 1, 2, 3, 4] and len(set(trial[10:])) == 2
    assert drawn[0].tolist() != drawn[1].tolist()


def test_the_nearest_of_features_is_that_of_all_pairs(odd_run):
    images = training_images(odd_run.data, 0).images
    values = features.load("alexnet@63")(images[:20])
    gaps = ((values[:6, None].astype(float) - values[None, 6:]) ** 2).sum(-1)
    assert nearest_of(values[:6], values[6:]).tolist() == gaps.argmin(1).tolist()
