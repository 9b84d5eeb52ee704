"""bench.stats on simulated truth, against scipy, and on hostile input."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from bench import seeds
from bench.errors import UserError
from bench.stats import (
    holm,
    log_interval,
    minimum_detectable_ratio,
    paired_difference,
    paired_ratio,
    pooled_sd,
    predictive_interval,
    spread,
    t_interval,
    verdict,
    welch_difference,
    welch_ratio,
)

REPETITIONS = 3000
# 2 points around 95 %; the simulation's own standard error is sqrt(.95 * .05 / 3000) = 0.4 points
NEAR = pytest.approx(0.95, abs=0.02)


def rng(*purpose):
    return seeds.numpy_stream(0, "test-stats", *purpose)


def covered(intervals, truth):
    truth = np.broadcast_to(truth, len(intervals))
    return np.mean([one.low <= true <= one.high for one, true in zip(intervals, truth)])


@pytest.mark.parametrize("n", [3, 5])
def test_t_interval_covers_the_mean(n):
    samples = rng("t", n).normal(100, 7, (REPETITIONS, n))
    assert covered([t_interval(x) for x in samples], 100) == NEAR


def test_a_higher_confidence_covers_more():
    samples = rng("t99").normal(100, 7, (REPETITIONS, 3))
    assert covered([t_interval(x, confidence=0.8) for x in samples], 100) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("n", [3, 5])
def test_log_interval_covers_the_geometric_mean(n):
    samples = np.exp(rng("log", n).normal(4.5, 0.3, (REPETITIONS, n)))
    assert covered([log_interval(x) for x in samples], math.exp(4.5)) == NEAR


@pytest.mark.parametrize("n", [3, 5])
def test_the_pooled_interval_covers_and_is_narrower(n):
    """Six rows of equal spread, pooled without a look at their sample spreads (the rule has its own test)."""
    groups = rng("pooled", n).normal(0, 3, (REPETITIONS // 2, 6, n)) + np.arange(6)[:, None]
    sds, own, pooled = groups.var(axis=2, ddof=1).mean(axis=1) ** 0.5, [], []
    for table, sd in zip(groups, sds):
        pooled.append(t_interval(table[0], sd=sd, df=6 * (n - 1)))
        own.append(t_interval(table[0]))
    assert covered(pooled, 0) == NEAR
    assert np.mean([x.half_width for x in pooled]) < 0.85 * np.mean([x.half_width for x in own])


@pytest.mark.slow
def test_pooled_sd_where_the_rule_lets_it():
    """Coverage after the rule has chosen between the pooled and the own spread stays near nominal."""
    groups, hits, times = rng("rule").normal(0, 3, (REPETITIONS, 4, 5)), [], 0
    for table in groups:
        pooled = pooled_sd(table)
        times += pooled is not None
        hits.append(t_interval(table[0], sd=pooled[0], df=pooled[1]) if pooled else t_interval(table[0]))
    assert covered(hits, 0) == NEAR
    assert times > 0.9 * REPETITIONS  # Bartlett's test wrongly refuses one table in twenty


def test_pooled_sd_by_hand():
    found = pooled_sd([[1, 3], [10, 12, 14], [5.0]])
    # squares about the means: 2 with 1 degree of freedom, 8 with 2; the single value has none
    assert found == (pytest.approx(math.sqrt(10 / 3)), 3)


def test_pooled_sd_refuses_unlike_spreads():
    line = np.arange(5.0)
    alike, unlike = [line, 2 * line], [line, 9 * line]
    assert reference.bartlett(*alike).pvalue > 0.05 > reference.bartlett(*unlike).pvalue
    assert pooled_sd(alike) is not None
    assert pooled_sd(unlike) is None
    assert pooled_sd([[5, 5], [0, 1]]) is None  # no spread beside some spread
    assert pooled_sd([[5, 5], [7, 7]]) == (0, 2)
    assert pooled_sd([[5], [7]]) is None
    assert pooled_sd([]) is None


@pytest.mark.parametrize("n", [3, 5])
def test_paired_ratio_covers_the_true_ratio(n):
    stream = rng("paired", n)
    shared = stream.normal(0, 0.3, (REPETITIONS, n))
    a = np.exp(math.log(80) + shared + stream.normal(0, 0.1, shared.shape))
    b = np.exp(math.log(100) + shared + stream.normal(0, 0.1, shared.shape))
    ratios = [paired_ratio(x, y) for x, y in zip(a, b)]
    assert covered(ratios, 0.8) == NEAR
    unpaired = [welch_ratio(x, y) for x, y in zip(a[:300], b[:300])]
    # the shared part of the seeds cancels in pairs only
    assert np.median([r.sd for r in ratios]) < 0.6 * np.median([r.sd for r in unpaired])


def test_welch_ratio_covers_with_unequal_spread_and_size():
    stream = rng("welch")
    a = np.exp(stream.normal(4, 0.1, (REPETITIONS, 5)))
    b = np.exp(stream.normal(5, 0.4, (REPETITIONS, 4)))
    assert covered([welch_ratio(x, y) for x, y in zip(a, b)], math.exp(-1)) == NEAR


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_predictive_interval_covers_the_least_of_k(n, k):
    stream = rng("predict", n, k)
    ours, theirs = (
        stream.normal(100, 8, (REPETITIONS, n)),
        stream.normal(100, 8, (REPETITIONS, k)).min(axis=1),
    )
    assert covered([predictive_interval(x, best_of=k) for x in ours], theirs) == NEAR


@pytest.mark.parametrize("k", [1, 3, 5])
def test_predictive_interval_covers_with_a_pooled_sd(k):
    stream = rng("predict-pooled", k)
    ours, theirs = (
        stream.normal(100, 8, (REPETITIONS, 3)),
        stream.normal(100, 8, (REPETITIONS, k)).min(axis=1),
    )
    sds = 8 * np.sqrt(stream.chisquare(20, REPETITIONS) / 20)
    assert covered([predictive_interval(x, k, sd=sd, df=20) for x, sd in zip(ours, sds)], theirs) == NEAR


def test_predictive_interval_of_one_more_seed_is_the_textbook_one():
    values = [95.0, 103.0, 110.0]
    half = reference.t.ppf(0.975, 2) * np.std(values, ddof=1) * math.sqrt(1 + 1 / 3)
    found = predictive_interval(values)
    assert (found.low, found.high) == (
        pytest.approx(np.mean(values) - half),
        pytest.approx(np.mean(values) + half),
    )


def test_quadrature_for_two_agrees_with_simulation():
    """k=2 with a known sd has no Student t to fall back on: compare with a million draws."""
    found = predictive_interval([0.0, 0.0, 0.0], best_of=2, sd=1.0, df=math.inf)
    stream = rng("quadrature")
    draws = stream.normal(size=(1_000_000, 2)).min(axis=1) + stream.normal(size=1_000_000) / math.sqrt(3)
    # the quantile's standard error is below 0.005
    assert [found.low, found.mean, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.5, 0.975]), abs=0.02)


def test_predictive_interval_is_deterministic_and_falls_with_k():
    values = [100.0, 110.0, 120.0]
    assert predictive_interval(values, 5) == predictive_interval(values, 5)
    medians = [predictive_interval(values, k).mean for k in (1, 2, 5, 20)]
    assert medians == sorted(medians, reverse=True)
    assert predictive_interval(values, 10**6, sd=1.0, df=1).low < 0  # a wild case still has its quantiles


def test_verdicts():
    ours = [100.0, 101.0, 102.0]
    assert verdict(ours, 100.5) == "consistent"
    assert verdict(ours, 150.0) == "better"
    assert verdict(ours, 50.0) == "worse"
    assert verdict(ours, 50.0, better="higher") == "better"
    assert verdict([60.0, 100.0, 140.0], 105.0) == "undecided"  # inside, but wider than +-25 %
    assert verdict([60.0, 100.0, 140.0], 1000.0) == "better"  # outside is decided however wide the interval
    assert verdict([100.0], 100.0) == "undecided"
    assert verdict([100.0], 100.0, sd=2.0, df=10) == "consistent"
    # Nearer to 0 is better, from either side; as far off on the other side decides nothing
    around = [-10.0, -10.1, -9.9]
    found = [verdict(around, printed, better="zero") for printed in (-10.0, -20.0, -5.0, 20.0, 0.0, 10.0)]
    assert found == ["consistent", "better", "worse", "better", "worse", "undecided"]
    assert [verdict(ours, printed, better="none") for printed in (100.5, 150.0, 50.0)] == [
        "consistent", "smaller", "larger",
    ]  # fmt: skip
    # the best of five lies below the mean: a number that one seed would not reach is no surprise then
    assert verdict(ours, 96.5, sd=1.0, df=20) == "worse"
    assert verdict(ours, 98.5, best_of=5, sd=1.0, df=20) == "consistent"


def test_paired_tests_equal_scipy():
    a, b = rng("scipy").uniform(50, 150, (2, 7))
    mine, theirs = paired_ratio(a, b), reference.ttest_rel(np.log(a), np.log(b))
    limits = theirs.confidence_interval(0.95)
    assert [mine.p, mine.df] == pytest.approx([theirs.pvalue, theirs.df])
    assert [mine.low, mine.high] == pytest.approx(np.exp([limits.low, limits.high]))
    assert paired_difference(a, b).p == pytest.approx(reference.ttest_rel(a, b).pvalue)


def test_welch_tests_equal_scipy():
    stream = rng("scipy-welch")
    a, b = stream.uniform(50, 150, 4), stream.uniform(80, 90, 9)
    mine, theirs = welch_ratio(a, b), reference.ttest_ind(np.log(a), np.log(b), equal_var=False)
    limits = theirs.confidence_interval(0.95)
    assert [mine.p, mine.df] == pytest.approx([theirs.pvalue, theirs.df])
    assert [mine.low, mine.high] == pytest.approx(np.exp([limits.low, limits.high]))
    assert welch_difference(a, b).p == pytest.approx(reference.ttest_ind(a, b, equal_var=False).pvalue)


def test_equal_samples_differ_by_nothing():
    same = paired_ratio([5.0, 6.0], [5.0, 6.0])
    assert (same.ratio, same.low, same.high, same.p) == (1, 1, 1, 1)
    assert paired_difference([1.0, 2.0], [0.0, 1.0]).p == 0  # the same gap at every seed


def test_one_seed_has_a_centre_and_no_limits():
    one = t_interval([812.0])
    assert (one.mean, one.n, one.df) == (812, 1, 0)
    assert math.isnan(one.half_width) and math.isnan(one.low) and math.isnan(one.sd)
    ratio = paired_ratio([80.0], [100.0])
    assert ratio.ratio == pytest.approx(0.8) and math.isnan(ratio.p) and math.isnan(ratio.low)
    assert math.isnan(welch_ratio([80.0], [100.0, 101.0]).p)
    assert t_interval([812.0], sd=10.0, df=math.inf).half_width == pytest.approx(19.6, abs=0.01)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; made monotone: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    with_gap = holm([0.01, math.nan, 0.02])
    assert with_gap[0] == pytest.approx(0.02) and math.isnan(with_gap[1]) and with_gap[2] == pytest.approx(0.02)


def test_minimum_detectable_ratio_is_found_with_the_stated_power():
    sd, n = 0.2, 5
    gap = math.log(minimum_detectable_ratio(sd, n))
    samples = rng("power").normal(gap, sd, (20000, n))
    p = reference.ttest_1samp(samples, 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.015)  # standard error 0.003
    assert minimum_detectable_ratio(sd, 1) == math.inf
    assert minimum_detectable_ratio(0.0, 3) == 1
    assert minimum_detectable_ratio(sd, 3) > minimum_detectable_ratio(sd, 5)


def test_a_diverged_seed_counts_as_the_worst():
    found = spread([800.0, math.nan, 900.0])
    assert (found.median, found.low, found.high, found.ok, found.n) == (900, 800, math.inf, 2, 3)
    found = spread([0.5, math.inf, 0.7], worst=0.0)
    assert (found.median, found.low, found.ok) == (0.5, 0, 2)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: t_interval([]), "non-empty"),
        (lambda: t_interval([[1.0, 2.0]]), "shape"),
        (lambda: t_interval(["a"]), "numbers"),
        (lambda: t_interval([1.0, math.nan]), "spread"),
        (lambda: t_interval([1.0, 2.0], confidence=95), "between 0 and 1"),
        (lambda: t_interval([1.0, 2.0], sd=1.0), "together"),
        (lambda: t_interval([1.0, 2.0], sd=-1.0, df=3), "sd"),
        (lambda: t_interval([1.0, 2.0], sd=1.0, df=0), "df"),
        (lambda: log_interval([1.0, 0.0]), "above 0"),
        (lambda: paired_ratio([1.0, 2.0], [1.0]), "shared seed"),
        (lambda: paired_ratio([1.0, -2.0], [1.0, 2.0]), "above 0"),
        (lambda: welch_ratio([1.0, math.inf], [1.0, 2.0]), "spread"),
        (lambda: predictive_interval([1.0, 2.0], best_of=0), "best_of"),
        (lambda: predictive_interval([1.0, 2.0], best_of=1.5), "best_of"),  # type: ignore[arg-type]
        (lambda: predictive_interval([1.0, 2.0], confidence=1.0), "confidence"),
        (lambda: verdict([1.0, 2.0], math.nan), "printed"),
        (lambda: holm([1.5]), "between 0 and 1"),
        (lambda: minimum_detectable_ratio(-1.0, 3), "sd >= 0"),
    ],
)
def test_mistakes_are_named(call, word):
    with pytest.raises(UserError, match=word) as caught:
        call()
    assert "\n" not in str(caught.value)
