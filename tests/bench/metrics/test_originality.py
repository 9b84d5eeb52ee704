"""Authenticity and the share nearest to training images: against scikit-learn's neighbours, and on copies."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from bench.errors import UserError
from bench.metrics import distances
from bench.metrics.originality import authentic_share, nearest_training_share


@pytest.fixture(scope="module")
def parts(narrow):
    """Training, test and fresh features of real pictures, and the noisy ones."""
    return narrow[0][:300], narrow[0][300:600], narrow[0][600:], narrow[1][:200]


def by_neighbours(train, fake):
    """As Alaa et al. define it: of each fake the nearest training feature, of that the nearest other one."""
    found = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(train.astype(float))
    far, place = found.kneighbors(fake.astype(float), n_neighbors=1)
    return (far[:, 0] > found.kneighbors(train.astype(float))[0][place[:, 0], 1]).mean()


def test_authenticity_is_its_definition_on_real_features(parts, monkeypatch):
    train, _, fresh, noisy = parts
    values = authentic_share(train, fresh), authentic_share(train, noisy)
    assert values == (by_neighbours(train, fresh), by_neighbours(train, noisy))
    assert 0.2 < values[0] < 1
    monkeypatch.setattr(distances, "BLOCK", 37)
    assert authentic_share(train[::-1], np.roll(fresh, 9, axis=0)) == values[0]


def test_copies_are_no_new_images(parts):
    train, test, fresh, noisy = parts
    copies = np.concatenate([train[:150], train[:50]])
    assert authentic_share(train, copies) == 0
    assert nearest_training_share(train, test, copies) == 1 and nearest_training_share(train, test, test) == 0
    near = copies + np.float32(1e-3) * noisy
    assert authentic_share(train, near) < 0.2 < authentic_share(train, fresh)
    assert nearest_training_share(train, test, near) > 0.9
    half = np.concatenate([copies[:100], fresh[:100]])
    assert authentic_share(train, half) == authentic_share(train, fresh[:100]) / 2
    doubled = np.concatenate([train, train])  # of a picture that is there twice even a copy at 0 is no new one
    assert authentic_share(doubled, copies) == 0


def test_nearest_is_by_brute_force_and_fair_for_fresh_images(parts):
    train, test, fresh, _ = parts
    both = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(np.concatenate([train, test]).astype(float))
    expected = (both.kneighbors(fresh.astype(float))[1][:, 0] < len(train)).mean()
    assert nearest_training_share(train, test, fresh) == expected
    assert abs(expected - 0.5) < 4 * 0.5 / np.sqrt(len(fresh))
    assert nearest_training_share(train, train, fresh) == 0.5  # equally near to both


def test_bad_input(parts):
    with pytest.raises(UserError, match="training features hold 1 rows"):
        authentic_share(parts[0][:1], parts[2])
    with pytest.raises(UserError, match="test features hold NaN"):
        nearest_training_share(parts[0], parts[1] * np.nan, parts[2])
