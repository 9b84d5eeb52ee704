"""Precision, recall, density and coverage: equal to prdc where nothing ties, closed balls where it does."""

import time

import numpy as np
import pytest
from prdc import compute_prdc

from bench.errors import UserError
from bench.metrics import density_coverage, distances, precision_recall


def reference(real, fake, k):
    return compute_prdc(real_features=real, fake_features=fake, nearest_k=k)


@pytest.mark.parametrize("k", [1, 3, 5, 10, 40])
def test_equal_to_prdc_on_real_features(k, narrow, wide):
    for real, fake in (narrow, wide):
        expected = reference(real, fake, k)
        got = precision_recall(real, fake, k_precision=k, k_recall=k)
        assert got == (expected["precision"], expected["recall"])
        assert density_coverage(real, fake, k) == pytest.approx((expected["density"], expected["coverage"]), rel=1e-12)
    assert 0 < got.precision < 1  # not a trivial case


def test_the_two_neighbours_are_two_calls_of_prdc(narrow):
    real, fake = narrow
    assert precision_recall(real, fake) == (
        reference(real, fake, 10)["precision"],
        reference(real, fake, 40)["recall"],
    )


def test_equal_in_float64(narrow):
    real, fake = (part.astype(np.float64) for part in narrow)
    expected = reference(real, fake, 5)
    assert precision_recall(real, fake, 5, 5) == (expected["precision"], expected["recall"])
    assert density_coverage(real, fake, 5) == pytest.approx((expected["density"], expected["coverage"]), rel=1e-12)


def closed_balls(real, fake, k):
    """All four by the papers' formulas, from differences of whole vectors: no product, no cancellation."""

    def distances(a, b):
        return np.array([[np.square(x - y).sum() for y in b] for x in a.astype(np.float64)])

    of_real, of_fake = (np.sort(distances(part, part), axis=1)[:, k] for part in (real, fake))
    between = distances(real, fake)
    inside = between <= of_real[:, None]
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": (between <= of_fake).any(axis=1).mean(),
        "density": inside.sum() / k / len(fake),
        "coverage": inside.any(axis=1).mean(),
    }


@pytest.mark.parametrize("k", [1, 5, 40])
def test_copies_give_ties_that_no_rounding_decides(k, narrow, monkeypatch):
    """Copies of reals, of each other, and more of them than k: none of it depends on blocks or types."""
    real, fake = narrow
    real = real[:150]
    memorised = np.concatenate([real[:60], real[:60], fake[:30], np.repeat(real[60:62], 45, axis=0)])
    expected = closed_balls(real, memorised, k)
    for cast in (np.float32, np.float64):
        a, b = real.astype(cast), memorised.astype(cast)
        for block in (512, 33, 1):
            monkeypatch.setattr(distances, "BLOCK", block)
            for left, right in ((a, b), (a[::-1], b[::-1])):
                assert precision_recall(left, right, k, k) == (expected["precision"], expected["recall"])
                assert density_coverage(left, right, k) == pytest.approx(
                    (expected["density"], expected["coverage"]), rel=1e-12
                )


def test_a_generator_that_holds_reals_verbatim_recalls_them(wide):
    """40 % of the reals, each 60 times: every ball of the 40th neighbour is its centre, and holds its real."""
    real, _ = wide
    real = real[:150]
    held = real[:60]
    fake = np.repeat(held, 60, axis=0)
    assert precision_recall(real, fake) == (1, len(held) / len(real))
    assert reference(real, fake, 40)["recall"] < 0.05  # open balls, which is what this guards against


def test_a_collapsed_generator_is_cheap():
    """All fakes alike: the pairs in doubt are one pair of vectors, not a million."""
    stream = np.random.default_rng(0)
    real = stream.standard_normal((2000, 64))
    fake = np.repeat(real[:1], 2000, axis=0)
    start = time.process_time()
    assert precision_recall(real, fake) == (1, 1 / 2000)
    assert time.process_time() - start < 20  # 0.3 s; minutes if each of the pairs were computed


def test_known_answers():
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert precision_recall(real, real + 100, 1, 1) == (0, 0)
    assert density_coverage(real, real + 100, 1) == (0, 0)
    # Balls reach to the nearest neighbour, at 1, and are closed: 0.5 lies in two, 3.9 in one, 7 and 9 in none.
    fake = np.array([[0.5], [3.9], [7.0], [9.0]])
    assert precision_recall(real, fake, 1, 1).precision == 0.5
    assert density_coverage(real, fake, 1) == (0.75, 0.75)
    # The fakes' balls: 0.5 +- 3.4, 3.9 +- 3.1, 7 +- 2, 9 +- 2: all four reals are inside the first.
    assert precision_recall(real, fake, 1, 1).recall == 1
    collapsed = np.zeros((4, 1))
    assert precision_recall(real, collapsed, 1, 1) == (1, 0.25)  # balls of radius 0 hold their centre
    # 4 is exactly as far from 3 as 3 from its neighbour: inside, as Kynkäänniemi et al. define it.
    edge = np.array([[4.0], [4.0], [50.0], [50.0]])
    assert precision_recall(real, edge, 1, 1).precision == 0.5
    assert density_coverage(real, edge, 1) == (0.5, 0.25)


def test_order_does_not_matter(narrow):
    real, fake = narrow
    assert precision_recall(real, fake) == precision_recall(real[::-1], np.roll(fake, 11, axis=0))
    assert density_coverage(real, fake) == density_coverage(real[::-1], np.roll(fake, 11, axis=0))


@pytest.mark.parametrize(
    ("ks", "message"), [((20, 5), "k=20 is impossible with 20 real"), ((5, 30), "30 fake"), ((0, 5), "k=0")]
)
def test_impossible_neighbours(ks, message):
    stream = np.random.default_rng(0)
    with pytest.raises(UserError, match=message):
        precision_recall(stream.standard_normal((20, 3)), stream.standard_normal((30, 3)), *ks)


def test_the_largest_possible_neighbour_works():
    stream = np.random.default_rng(0)
    real, fake = stream.standard_normal((20, 3)), stream.standard_normal((30, 3))
    assert 0 <= precision_recall(real, fake, 19, 29).precision <= 1
    with pytest.raises(UserError, match="k=20"):
        density_coverage(real, fake, 20)


def test_bad_features():
    with pytest.raises(UserError, match="columns"):
        precision_recall(np.zeros((50, 3)), np.zeros((50, 4)))
    with pytest.raises(UserError, match="NaN"):
        density_coverage(np.zeros((50, 3)), np.full((50, 3), np.inf))
