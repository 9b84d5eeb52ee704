"""One against the others: what `standings` tells apart, limits by the formulas written out, and each pair alone."""

import math

import numpy as np
import pytest
from scipy import stats

from bench import seeds
from bench.stats import holm, paired_difference, standings, versus, welch_difference
from bench.stats.additive import range_point, range_point_near


def table(things, blocks, name="versus", gap=0.3):
    stream = seeds.numpy_stream(0, name, things, blocks)
    made = stream.normal(0, 0.2, (1, blocks)) + stream.normal(0, 0.09, (things, blocks))
    made[:, :] += np.linspace(0, gap, things)[:, None]
    return [dict(enumerate(row)) for row in made]


def test_limits_and_p_are_tukeys():
    """By scipy's studentised range, with the error of the double-centred residuals."""
    rows = table(5, 4)
    made = np.array([list(row.values()) for row in rows])
    residual = made - made.mean(0) - made.mean(1, keepdims=True) + made.mean()
    error = math.sqrt((residual**2).sum() / 12) * math.sqrt(1 / 4)
    for one in (0, 4):
        others = [other for other in range(5) if other != one]
        found = versus(rows[one], [rows[other] for other in others])
        assert found.pooled and found.family == 5
        for other, pair in zip(others, found.pairings):
            difference = made[one].mean() - made[other].mean()
            assert pair.test.difference == pytest.approx(difference)
            assert pair.adjusted == pytest.approx(stats.studentized_range.sf(abs(difference) / error, 5, 12), rel=1e-6)
            half = stats.studentized_range.ppf(0.95, 5, 12) * error
            assert (pair.test.low, pair.test.high) == pytest.approx((difference - half, difference + half))
            assert (pair.test.n, pair.test.df, pair.paired) == (4, 12.0, True)
            assert pair.sd == pytest.approx(error * math.sqrt(8))


def test_what_is_told_apart_is_what_the_standings_tell_apart():
    some = 0
    for number in range(5):
        rows = table(6, 3, f"versus-{number}", gap=0.6)
        told = standings(rows)
        for one in (0, 3):
            others = [other for other in range(6) if other != one]
            found = versus(rows[one], [rows[other] for other in others])
            assert found.pooled == told.pooled
            if found.pooled:
                apart = {other for other, pair in zip(others, found.pairings) if pair.apart}
                assert apart == {j for pair in told.apart if one in pair for j in pair if j != one}
                assert all(pair.apart == (pair.adjusted < 0.05) for pair in found.pairings)
                assert all(pair.apart == (pair.test.low > 0 or pair.test.high < 0) for pair in found.pairings)
                some += len(apart)
    assert some > 10


def test_two_things_are_a_paired_t_test():
    one, other = table(2, 4)
    (pair,) = versus(one, [other]).pairings
    plain = paired_difference(list(one.values()), list(other.values()))
    for name in ("difference", "low", "high", "p", "n", "df", "sd"):
        assert getattr(pair.test, name) == pytest.approx(getattr(plain, name)), name
    assert pair.adjusted == pytest.approx(plain.p)


def test_seeds_that_are_not_shared_are_tested_alone_by_holm():
    rows = table(4, 4)
    one = {block + 10: value for block, value in rows[0].items()}
    found = versus(one, rows[1:])
    plain = [welch_difference(list(one.values()), list(row.values())) for row in rows[1:]]
    assert not found.pooled and not any(pair.paired for pair in found.pairings)
    assert [pair.test for pair in found.pairings] == plain
    assert [pair.adjusted for pair in found.pairings] == holm([test.p for test in plain])
    assert found.pairings[0].sd == pytest.approx(math.sqrt(np.var([*one.values()], ddof=1) +
                                                           np.var([*rows[1].values()], ddof=1)))  # fmt: skip


def test_spreads_that_differ_are_tested_pair_by_pair():
    stream = seeds.numpy_stream(0, "versus-uneven")
    made = stream.normal(0, 1, (6, 8)) * np.array([[0.01]] * 5 + [[3.0]]) + np.array([[0, 1, 2, 3, 4, 0]]).T
    rows = [dict(enumerate(row)) for row in made]
    found = versus(rows[0], rows[1:])
    assert not found.pooled and all(pair.paired and pair.test.df == 7 for pair in found.pairings)
    assert [pair.apart for pair in found.pairings][:4] == [True] * 4 and not found.pairings[4].apart


def test_one_seed_shows_no_spread():
    (pair,) = versus({0: 1.0}, [{0: 2.0}]).pairings
    assert pair.test.difference == -1 and math.isnan(pair.adjusted) and not pair.apart
    assert versus({0: 1.0}, [{0: 2.0}]).needed(0) is None
    (pair,) = versus({0: 1.0}, [{1: 2.0, 2: 3.0}]).pairings
    assert math.isnan(pair.test.low) and not pair.apart


def test_equal_seeds_have_no_spread():
    pairs = versus({0: 1.0, 1: 1.5}, [{0: 2.0, 1: 2.5}, {0: 1.0, 1: 1.5}]).pairings
    assert [pair.apart for pair in pairs] == [True, False] and [pair.adjusted for pair in pairs] == [0.0, 1.0]


def test_fewer_seeds_are_needed_for_a_larger_gap():
    found = versus(table(5, 4)[0], table(5, 4)[1:])
    assert found.needed(0, 0.4).seeds < found.needed(0, 0.1).seeds
    assert found.needed(3).seeds == found.needed(3, found.pairings[3].test.difference).seeds
    alone = versus({block + 10: value for block, value in table(5, 4)[0].items()}, table(5, 4)[1:])
    assert alone.needed(0, 0.4).seeds >= 2


@pytest.mark.parametrize("things", [2, 13])
def test_the_range_is_interpolated_closely(things):
    for df in (3.0, 9.0, 45.0, 400.0):
        assert range_point_near(0.95, things, df) == pytest.approx(range_point(0.95, things, df), rel=1e-4)
