"""The data-copying test on generators that copy, underfit and do neither, and against its definition."""

import pickle

import numpy as np
import pytest

from bench.errors import UserError
from bench.metrics import data_copying


@pytest.fixture(scope="module")
def sets(narrow, pictures):
    """Real features: train (500), test (300), fresh (400) from the same pictures, and a noise."""
    from bench import features

    values = features.load("alexnet@63")(pictures[:1200])
    noise = np.random.default_rng(2).standard_normal((400, 256)).astype(np.float32)
    return values[:500], values[500:800], values[800:1200], noise


def test_verdicts_on_real_features(sets):
    train, test, fresh, noise = sets
    scale = train.std()
    fair = data_copying(train, test, fresh)
    # Fresh pictures: near standard normal, so beyond 4 about once in 16,000 draws.
    assert abs(fair.c_t) < 4 and abs(fair.z_global) < 4
    copied = data_copying(train, test, train[:400] + 0.01 * scale * noise)
    assert copied.c_t < -6 and copied.z_global < -10
    underfit = data_copying(train, test, fresh + 2 * scale * noise)
    assert underfit.c_t > 6 and underfit.z_global > 10
    for result in (fair, copied, underfit):
        assert result.cells == 3 and 1 <= result.cells_used <= 3 and 0 < result.test_share <= 1


def test_cells_find_copying_that_the_whole_space_hides():
    """A tight and a loose mode; the generator prefers the loose one and nearly copies there."""
    stream = np.random.default_rng(0)

    def draw(tight, loose):
        left, right = stream.standard_normal((tight, 2)) * 0.1 - 100, stream.standard_normal((loose, 2)) * 10
        return np.concatenate([left, right])

    train, test = draw(200, 200), draw(200, 200)
    near_copies = np.tile(train[200:], (2, 1))[:360] + 0.1 * stream.standard_normal((360, 2))
    result = data_copying(train, test, np.concatenate([draw(40, 0), near_copies]), cells=2)
    assert result.cells_used == 2 and result.test_share == 1
    assert result.z_global > -3 and result.c_t < -6


def test_one_cell_is_the_statistic_written_out():
    stream = np.random.default_rng(0)
    train, test, generated = (stream.standard_normal((count, 3)) for count in (50, 40, 60))

    def nearest(points):
        return np.sqrt(((points[:, None] - train[None]) ** 2).sum(-1)).min(1)

    u = (nearest(generated)[:, None] > nearest(test)[None]).sum()
    expected = (u - (40 * 60 / 2 - 0.5)) / np.sqrt(40 * 60 * 101 / 12)
    assert data_copying(train, test, generated, cells=1).c_t == pytest.approx(expected, rel=1e-12)


def test_standard_normal_where_nothing_is_wrong():
    stream = np.random.default_rng(0)
    scores = []
    for _ in range(120):
        train, test, generated = (stream.standard_normal((count, 4)) for count in (300, 100, 100))
        scores.append(data_copying(train, test, generated, cells=1).c_t)
    # 120 draws: mean to 0.09, deviation to 0.065; a shared training set correlates distances: wide bounds.
    assert abs(np.mean(scores)) < 0.4 and 0.8 < np.std(scores) < 1.4


def test_seeded(sets):
    train, test, fresh, _ = sets
    before = pickle.dumps(np.random.get_state())
    assert data_copying(train, test, fresh, seed=3) == data_copying(train, test, fresh, seed=3)
    assert pickle.dumps(np.random.get_state()) == before


def test_what_cannot_be_tested_is_said(sets):
    train, test, fresh, _ = sets
    with pytest.raises(UserError, match="none of 3 cells"):
        data_copying(train, test, fresh[:15])
    with pytest.raises(UserError, match="cells=0 must be 1 to 499"):
        data_copying(train, test, fresh, cells=0)
    with pytest.raises(UserError, match="cells=600"):
        data_copying(train, test, fresh, cells=600)
    with pytest.raises(UserError, match="generated features hold NaN"):
        data_copying(train, test, fresh * np.nan)
