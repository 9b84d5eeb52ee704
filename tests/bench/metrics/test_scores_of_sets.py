"""The newer scores through the scorer of runs: what they are computed on, and which way worse images move them."""

import numpy as np
import pytest

from bench import features
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.features.extractor import Extractor
from bench.metrics import Scorer
from bench.metrics.extrapolation import frechet_infinity
from bench.metrics.gaussian_kernel import gaussian_mmd
from bench.metrics.mixture import likelihood_gap
from bench.metrics.originality import authentic_share, nearest_training_share
from bench.metrics.sliced import monge_inception_distance
from bench.metrics.spectrum import vendi_score
from bench.spec.run import MetricSpec

OF_SETS = ("mind", "fd_infinity", "vendi", "cmmd")
OF_TRAINING = ("generalisation_gap", "authenticity", "training_nearest")
ON = "alexnet@63"


def metrics(*names):
    return [MetricSpec(name=name, extractor=ON) for name in names]


@pytest.fixture(scope="module")
def sets(pictures):
    """100 training, 200 test and 200 fresh pictures."""
    return pictures[:100], pictures[100:300], pictures[300:500]


@pytest.fixture(scope="module")
def scored(sets, worse):
    """Scores, by name, of fresh pictures and of worse ones."""
    train, test, fresh = sets
    scorer = Scorer(metrics(*OF_SETS, *OF_TRAINING), test, "a" * 64, training=lambda: (train, "b" * 64))
    generators = {
        "fresh": fresh,
        "again": np.ascontiguousarray(fresh[::-1]),
        "noise": worse[:200],
        "blur": np.mean([np.roll(fresh, (i, j), (1, 2)) for i in range(4) for j in range(4)], 0).astype(np.uint8),
        "dropped": np.repeat(fresh[:20], 10, axis=0),
        "constant": np.repeat(fresh[:1], 200, axis=0),
        "copies": np.concatenate([train, train]),
    }
    return {name: {score.metric: score for score in scorer.score(images)} for name, images in generators.items()}


def test_each_is_its_function_on_the_features(scored, sets):
    network = features.load(ON)
    train, test, fresh = map(network, sets)
    got = {name: score.value for name, score in scored["fresh"].items()}
    assert got["mind"] == pytest.approx(monge_inception_distance(test, fresh), rel=1e-9)
    assert got["vendi"] == pytest.approx(vendi_score(fresh), rel=1e-9)
    assert got["cmmd"] == pytest.approx(gaussian_mmd(test, fresh), rel=1e-6)
    assert got["authenticity"] == authentic_share(train, fresh)
    assert got["training_nearest"] == nearest_training_share(train, test, fresh)
    assert got["generalisation_gap"] == pytest.approx(likelihood_gap(train, test, fresh), rel=1e-6)
    by_pixels = np.argsort([digest.hex() for digest in image_digests(sets[2])])
    assert got["fd_infinity"] == pytest.approx(frechet_infinity(test, fresh[by_pixels]), rel=1e-6)
    score = scored["fresh"]["authenticity"]
    assert (score.n_generated, score.n_reference, score.version, score.error) == (200, 200, 1, None)


@pytest.mark.parametrize("worse_kind", ["noise", "blur", "dropped", "constant"])
def test_worse_images_move_the_distances_up(scored, worse_kind):
    for name in ("mind", "fd_infinity", "cmmd"):
        assert scored[worse_kind][name].value > 1.3 * scored["fresh"][name].value, name


def test_less_variety_lowers_vendi(scored):
    values = [scored[name]["vendi"].value for name in ("fresh", "dropped", "constant")]
    assert values == sorted(values, reverse=True) and values[2] == pytest.approx(1)


def test_copies_are_seen_by_the_scores_that_know_the_training_images(scored):
    copies, fresh = scored["copies"], scored["fresh"]
    assert copies["authenticity"].value == 0 and fresh["authenticity"].value > 0.4
    assert copies["training_nearest"].value == 1 and fresh["training_nearest"].value < 0.5
    assert copies["generalisation_gap"].value < -500 < -60 < fresh["generalisation_gap"].value


def test_the_order_of_files_does_not_matter(scored):
    for name, score in scored["fresh"].items():
        assert scored["again"][name].value == pytest.approx(score.value, rel=1e-5), name


def test_copies_are_copies_whatever_their_place_in_a_batch(sets, monkeypatch):
    """A training picture that is there twice: features that differ in digits would make its copies new ones."""
    original = Extractor.__call__

    def placed(self, images, batch=32):  # as a GPU's features do, by a picture's place
        return original(self, images, batch) * (1 + 1e-6 * np.arange(len(images), dtype=np.float32)[:, None])

    monkeypatch.setattr(Extractor, "__call__", placed)
    train, test, _ = sets
    doubled = np.concatenate([train[:50], train[:50]])
    scorer = Scorer(metrics(*OF_TRAINING[1:]), test, "a" * 64, training=lambda: (doubled, "c" * 64))
    assert [score.value for score in scorer.score(np.concatenate([train[40:50], train[:30]]))] == [0, 1]
    shared = Scorer(metrics("training_nearest"), train[:50], "d" * 64, training=lambda: (doubled, "c" * 64))
    assert shared.score(train[:50])[0].value == 0.5  # in both: as near to the one as to the other


def test_without_training_images_they_are_refused(sets):
    scorer = Scorer(metrics("authenticity"), sets[1], "a" * 64)
    with pytest.raises(UserError, match="the training images, which a score looks at, are not known here"):
        scorer.score(sets[2][:40])
