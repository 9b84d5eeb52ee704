"""Who is told apart: against the formulas written out, and by simulation for errors and power."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench import seeds
from bench.stats import holm, paired_difference, standings

SPREAD, SEEDS = 0.09, 0.2  # relative sd of a run beside its row and seed, and of what all runs of a seed share
TABLES = 200
DOCS = Path(__file__).parents[3] / "docs" / "reports.md"


def tables(things, blocks, ratio, count=TABLES):
    """Logs of scores (things, blocks) in which the first thing is better by a ratio."""
    stream = seeds.numpy_stream(0, "standings", things, blocks, round(100 * ratio))
    for _ in range(count):
        made = stream.normal(0, SEEDS, (1, blocks)) + stream.normal(0, SPREAD, (things, blocks))
        made[0] -= math.log(ratio)
        yield made


def found(made):
    return standings([dict(enumerate(row)) for row in made])


def by_pairs(made):
    """The best mean, and what paired tests against it, each by its own sd and Holm-corrected, tell from it."""
    best = int(made.mean(1).argmin())
    others = [i for i in range(len(made)) if i != best]
    adjusted = holm([paired_difference(made[i], made[best]).p for i in others])
    return best, {i for i, p in zip(others, adjusted) if p <= 0.05}


def test_two_things_are_told_apart_as_a_paired_t_test_does():
    for made in tables(2, 4, 1.2, 60):
        assert bool(found(made).apart) == (paired_difference(made[0], made[1]).p <= 0.05)


def test_many_are_told_apart_by_tukeys_range_of_the_double_centred_residuals():
    for made in tables(5, 4, 1.3, 10):
        residual = made - made.mean(0) - made.mean(1, keepdims=True) + made.mean()
        error = math.sqrt((residual**2).sum() / 12 / 4)
        told = found(made)
        for i, j in itertools.combinations(range(5), 2):
            apart = stats.studentized_range.sf(abs(made[i].mean() - made[j].mean()) / error, 5, 12) < 0.05
            assert not told.pooled or apart == bool({(i, j), (j, i)} & told.apart)
        assert not told.pooled or told.sd == pytest.approx(error * 2 * math.sqrt(2))


def test_ranks_and_groups_follow_from_the_pairs():
    told = standings([{s: level + 0.01 * (s * k % 3) for s in range(4)} for k, level in enumerate((3, 1, 1.002, 2), 1)])
    assert told.apart == {(1, 3), (2, 3), (1, 0), (2, 0), (3, 0)}
    assert (told.low, told.high) == ((4, 1, 1, 3), (4, 2, 2, 3))
    assert [set(group) for group in told.groups] == [{1, 2}, {3}, {0}]


def test_overlapping_groups_are_all_named():
    """a and b, b and c are alike, a and c are not: no split of three things says that."""
    made = np.array([[0.0], [1.0], [2.0]]) + np.array([[0.3, -0.3, 0.0], [-0.3, 0.0, 0.3], [0.0, 0.3, -0.3]])
    told = found(made)
    assert told.apart == {(0, 2)} and told.groups == ((0, 1), (1, 2))
    assert (told.low, told.high) == ((1, 1, 2), (2, 3, 3))


def test_seeds_that_are_not_shared():
    """Missing seeds widen what is compared by them; things that no seed connects are never told apart."""
    full = {s: 0.01 * (-1) ** s for s in range(6)}
    low = {s: value - 1 for s, value in full.items()}
    assert standings([full, {s: low[s] + 0.001 * s for s in (0, 1, 2)}]).apart == {(1, 0)}
    elsewhere = {s + 100: value - 5 + 0.001 * s for s, value in full.items()}
    told = standings([full, {s: v - 2 + 0.002 * s for s, v in full.items()}, elsewhere])
    assert told.apart == {(1, 0)} and (told.low[2], told.high[2]) == (1, 3)


def test_one_seed_says_nothing_and_equal_seeds_say_all():
    assert standings([{0: 1.0}, {0: 2.0}]) is None
    assert standings([{0: 1.0, 1: 1.5}, {0: 2.0, 1: 2.5}]).apart == {(0, 1)}
    assert standings([{0: 1.0, 1: 1.5}] * 2).apart == frozenset()


def test_a_thing_of_anothers_noise_does_not_narrow_the_spread():
    made = next(tables(4, 3, 1.0))
    rows = [dict(enumerate(row)) for row in made]
    copy = {s: value + 1e-9 * s for s, value in rows[0].items()}
    assert standings([*rows, copy], [True] * 4 + [False]).sd == pytest.approx(standings(rows).sd)
    assert standings([*rows, copy]).df > standings(rows).df


def test_spreads_that_differ_are_not_pooled():
    stream = seeds.numpy_stream(0, "standings-uneven")
    made = stream.normal(0, 1, (6, 8)) * np.array([[0.01]] * 5 + [[3.0]])
    told = found(made + np.arange(6)[:, None])
    assert not told.pooled and (0, 1) in told.apart and not any(5 in pair for pair in told.apart)


@pytest.mark.parametrize(("things", "blocks"), [(13, 3), (13, 5), (4, 3), (4, 5)])
def test_equal_things_are_told_apart_in_one_table_of_twenty(things, blocks):
    wrong = sum(bool(found(made).apart) for made in tables(things, blocks, 1.0)) / TABLES
    assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / TABLES)


def power(things, blocks, ratio):
    """How often a thing is told from the better first one; how often by pairs of their own spread."""
    ours = theirs = 0
    for made in tables(things, blocks, ratio):
        told = found(made).apart
        ours += sum((0, j) in told for j in range(1, things))
        best, apart = by_pairs(made)
        theirs += len(apart) if best == 0 else 0
    return (count / (things - 1) / TABLES for count in (ours, theirs))


@pytest.mark.parametrize("things", [4, 13])
@pytest.mark.parametrize("blocks", [3, 5])
@pytest.mark.parametrize("ratio", [1.2, 1.4])
def test_power_is_what_the_page_says_and_no_less_than_by_pairs(things, blocks, ratio):
    """The page's figures are of 2,000 tables; those here are of fewer."""
    lines = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) % \| (\d+) % \| (\d+) % \|$", DOCS.read_text(), re.M)
    said = {(int(k), int(n), int(gap)): (int(ours) / 100, int(pairs) / 100) for k, n, gap, ours, pairs in lines}
    ours, theirs = power(things, blocks, ratio)
    assert ours >= theirs
    assert (ours, theirs) == pytest.approx(said[things, blocks, round(100 * ratio) - 100], abs=0.08)
