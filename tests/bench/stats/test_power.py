"""How many seeds a difference needs: against published tables, the noncentral t written out, and simulated seeds."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from bench import seeds
from bench.errors import UserError
from bench.stats import minimum_detectable_ratio, needed, power_at, seeds_needed, standings
from bench.stats.power import MOST


def paired_t(blocks):
    return float(stats.t.ppf(0.975, blocks - 1)), blocks - 1.0


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_of_a_t_test_as_in_the_tables(effect, pairs):
    """Two-sided 5 %, power 80 %, an effect in standard deviations of the differences: G*Power 3.1's sample sizes."""
    assert seeds_needed(effect, 1.0, paired_t) == pairs
    assert seeds_needed(-3 * effect, 3.0, paired_t) == pairs


@pytest.mark.parametrize("blocks", [2, 3, 5, 20])
@pytest.mark.parametrize("effect", [0.1, 1.0, 6.0])
def test_the_power_is_the_integral_over_the_spread_that_may_be_seen(blocks, effect):
    """Given s, the mean exceeds c s / sqrt(n) with a normal probability; s sqrt(df) / sigma is chi with df degrees."""
    point, df = paired_t(blocks)

    def at(chi):
        reach = point * chi / math.sqrt(df)
        shift = effect * math.sqrt(blocks)
        return (stats.norm.sf(reach - shift) + stats.norm.cdf(-reach - shift)) * stats.chi.pdf(chi, df)

    expected, _ = integrate.quad(at, 0, math.sqrt(df) + 20, limit=200)
    assert power_at(effect, 1.0, blocks, paired_t) == pytest.approx(expected, abs=1e-6)  # the quadrature's own accuracy


def test_it_is_the_inverse_of_the_gap_that_can_be_seen():
    for blocks in (3, 4, 7, 12, 30):
        gap = math.log(minimum_detectable_ratio(0.1, blocks))
        assert seeds_needed(1.0001 * gap, 0.1, paired_t) == blocks
        assert seeds_needed(0.98 * gap, 0.1, paired_t) > blocks


@pytest.mark.parametrize(("things", "blocks", "gap"), [(4, 3, 0.35), (4, 5, 0.2), (9, 4, 0.25)])
def test_seeds_told_apart_by_the_range_test_are_as_many_as_it_says(things, blocks, gap):
    """Tables in which one thing is better by a gap: how often it is told apart is the power at their seeds."""
    stream, tables, spread = seeds.numpy_stream(0, "power", things, blocks), 600, 0.09
    found = 0
    for _ in range(tables):
        made = stream.normal(0, 0.2, (1, blocks)) + stream.normal(0, spread, (things, blocks))
        made[0] -= gap
        found += sum(0 in pair for pair in standings([dict(enumerate(row)) for row in made]).apart)
    share = found / tables / (things - 1)
    df = (things - 1) * (blocks - 1)
    range_test = stats.studentized_range.ppf(0.95, things, df) / math.sqrt(2), df
    expected = power_at(gap, math.sqrt(2) * spread, blocks, lambda _: range_test)
    # Of a table's pairs, which share the better thing's noise, hardly more than one is independent; and Bartlett's
    # test leaves the pooled spread in one table of twenty where it need not
    assert share == pytest.approx(expected, abs=0.05 + 3 * math.sqrt(0.25 / tables))


def test_the_spread_is_known_roughly_and_so_are_the_seeds():
    """The limits are those of sd from 3 seeds: 0.52 and 6.3 times it (chi-square with 2 degrees of freedom)."""
    found = needed(1.0, 1.0, 2.0, paired_t)
    assert found.seeds == seeds_needed(1.0, 1.0, paired_t)
    assert found.low == seeds_needed(1.0, math.sqrt(2 / stats.chi2.ppf(0.975, 2)), paired_t) < found.seeds
    assert found.high == seeds_needed(1.0, math.sqrt(2 / stats.chi2.ppf(0.025, 2)), paired_t) > found.seeds
    sure = needed(1.0, 1.0, 1e6, paired_t)
    assert sure.low == sure.seeds == sure.high


def test_no_difference_is_never_told_apart_and_no_spread_needs_two_seeds():
    assert seeds_needed(0.0, 1.0, paired_t) is None and seeds_needed(1e-9, 1.0, paired_t) is None
    assert seeds_needed(1.0, 0.0, paired_t) == 2
    assert seeds_needed(2.81 / math.sqrt(MOST), 1.0, paired_t) == pytest.approx(MOST, rel=0.02)
    with pytest.raises(UserError, match="two seeds or more"):
        power_at(1.0, 1.0, 1, paired_t)
    assert np.isclose(power_at(1e-12, 1.0, 5, paired_t), 0.05)
