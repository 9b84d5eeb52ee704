"""Neighbours within one set by halves of the blocks: the numbers of whole rows, to the last bit, whatever the data."""

import numpy as np
import pytest

from bench.metrics import distances
from bench.metrics.distances import SquaredDistances
from bench.metrics.own_distances import OwnDistances


def by_rows(features, k):
    """From differences of whole vectors, summed as `SquaredDistances` sums those in doubt."""
    wide = features.astype(np.float64)
    return np.array([np.sort(np.square(one - wide).sum(axis=1))[k] for one in wide])


class Watched(OwnDistances):
    """Notes what the way of halves gave."""

    def by_halves(self, k):
        self.halves = super().by_halves(k)
        return self.halves


def spread(stream):
    return stream.standard_normal((500, 24)) @ stream.standard_normal((24, 24))


def sorted_by_cluster(stream):
    """The first pieces are of the row's own cluster, the second of others."""
    centres = np.repeat(stream.standard_normal((5, 24)) * 3, 100, axis=0)
    return centres + stream.standard_normal((500, 24)) * 0.7


def outliers_first(stream):
    """The first piece is of vectors that are far from each other and near to later ones: bounds are loose at first."""
    far = stream.standard_normal((100, 24)) * 30
    return np.concatenate([far, np.repeat(far, 4, axis=0) + stream.standard_normal((400, 24)) * 0.5])


def with_copies(stream):
    """Few copies of many, and more than k of one."""
    some = stream.standard_normal((300, 24))
    return np.concatenate([some, some[:100], np.repeat(some[:1], 100, axis=0)])[stream.permutation(500)]


@pytest.mark.parametrize("make", [spread, sorted_by_cluster, outliers_first, with_copies])
@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_to_whole_rows(make, k, kind, monkeypatch):
    features = make(np.random.default_rng(k)).astype(kind)
    expected = by_rows(features, k)
    for block in (100, 113, 499):
        monkeypatch.setattr(distances, "BLOCK", block)
        own = Watched(features)
        found = own.smallest(k)
        assert own.halves is not None, "32 bits are enough here"
        np.testing.assert_array_equal(found, SquaredDistances(features, features).smallest(k))
        # The order of a sum of 24 squares
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_real_features(narrow, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 128)
    for features in narrow:
        own = Watched(features)
        found = own.smallest(5)
        assert own.halves is not None
        np.testing.assert_array_equal(found, SquaredDistances(features, features).smallest(5))


@pytest.mark.parametrize("gap", [1e6, 3e7])
def test_clusters_too_tight_for_32_bits_are_left_to_whole_rows(gap, monkeypatch):
    """Two of them, far apart: within a cluster all distances are below the error of 32 bits."""
    monkeypatch.setattr(distances, "BLOCK", 100)
    stream = np.random.default_rng(0)
    features = stream.standard_normal((1200, 6))
    features[::2] += gap
    own = Watched(features)
    found = own.smallest(3)
    assert own.halves is None
    np.testing.assert_allclose(found, by_rows(features, 3), rtol=1e-14)


def test_a_set_of_copies_alone_keeps_nothing(monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 64)
    own = Watched(np.ones((400, 3)))
    assert not own.smallest(4).any() and own.halves is not None


@pytest.mark.parametrize(("block", "k"), [(100, 13), (500, 5), (8, 1)])
def test_few_features_or_many_neighbours_go_by_whole_rows(block, k, monkeypatch):
    """One block has no other half; a piece of 8 bounds at most the nearest; 13 of 100 are too many to bound well."""
    monkeypatch.setattr(distances, "BLOCK", block)
    features = spread(np.random.default_rng(0))
    own = Watched(features)
    found = own.smallest(k)
    assert hasattr(own, "halves") == (block == 8)
    np.testing.assert_allclose(found, by_rows(features, k), rtol=1e-14)
