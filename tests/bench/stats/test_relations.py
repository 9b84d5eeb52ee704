"""The relations of claims against scipy, against closed forms, and on hostile input."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as reference

from bench import seeds
from bench.errors import UserError
from bench.stats import (
    Evidence,
    agree,
    alike,
    at_least,
    bound,
    every,
    lower,
    only,
    paired_difference,
    paired_ratio,
    some,
    spread_bound,
    trend,
)


def rng(*purpose):
    return seeds.numpy_stream(0, "test-relations", *purpose)


def decisions(*parts):
    return [part.decide() for part in parts]


def test_an_order_is_the_paired_test_read_in_one_direction():
    test = paired_ratio([60.0, 61.0, 66.0], [100.0, 104.0, 101.0])
    found = lower(test)
    assert (found.p_for, found.p_against) == (test.p, 1.0) and found.decide() == "supported"
    back = lower(paired_difference([3.0, 3.1, 3.3], [1.0, 1.2, 1.1]))
    assert back.p_for == 1.0 and back.decide() == "contradicted"
    assert lower(paired_ratio([60.0], [100.0])).decide() == "inconclusive"


@pytest.mark.parametrize("side", ["below", "above"])
@pytest.mark.parametrize("log", [False, True])
def test_a_bound_is_the_t_test_of_one_sample(side, log):
    values, limit = rng("bound").lognormal(0.4, 0.3, 6), 1.2
    found = bound(values, limit, side, log)
    x, null = (np.log(values), math.log(limit)) if log else (values, limit)
    one_sided = reference.ttest_1samp(x, null, alternative="less" if side == "below" else "greater")
    assert found.p_for == pytest.approx(min(1, 2 * one_sided.pvalue))
    assert found.p_against == pytest.approx(min(1, 2 * (1 - one_sided.pvalue)))
    limits = reference.ttest_1samp(x, null).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx(np.exp(limits) if log else list(limits))


def test_a_bound_decides_by_the_interval_that_is_printed():
    for values in rng("interval").normal(1.0, 0.5, (200, 4)):
        found = bound(values, 0.5, "above")
        expected = "supported" if found.low > 0.5 else "contradicted" if found.high < 0.5 else "inconclusive"
        assert found.decide() == expected
    exact = [bound([27.5, 27.5], limit, "below").decide() for limit in (30, 20, 27.5)]
    assert exact == ["supported", "contradicted", "inconclusive"]


def test_the_interval_of_a_spread_covers_it():
    """5 % of 3,000 miss; the simulation's standard error is 0.4 points."""
    for groups, n in ((1, 5), (4, 3)):
        samples = rng("spread", n).normal(7, 0.3, (3000, groups, n))
        found = [spread_bound(one, 0.3, "below") for one in samples]
        assert np.mean([one.low <= 0.3 <= one.high for one in found]) == pytest.approx(0.95, abs=0.016)
    relative = spread_bound([np.exp(samples[0, 0])], 0.5, "below", log=True)
    assert relative.estimate == pytest.approx(samples[0, 0].std(ddof=1))
    assert spread_bound([[5.0]], 0.1, "below").decide() == "inconclusive"


def test_alike_means_that_the_whole_interval_lies_inside_the_margin():
    for shift in (0.0, 0.03, 0.05, 0.1):
        for noise in rng("alike").normal(0, 0.02, (100, 4)):
            test = paired_ratio(np.exp(shift + noise), np.ones(4))
            expected = (
                "supported"
                if test.low > 1 / 1.05 and test.high < 1.05
                else "contradicted"
                if test.low > 1.05 or test.high < 1 / 1.05
                else "inconclusive"
            )
            assert alike(test, 0.05).decide() == expected
    assert decisions(*(alike(paired_difference([1.0, 2.0], [0.9, 1.9]), m) for m in (0.2, 0.05))) == [
        "supported", "contradicted",
    ]  # fmt: skip
    assert alike(paired_ratio([1.0], [1.0]), 0.05).decide() == "inconclusive"  # equal, but of one seed


def test_alike_equals_two_one_sided_tests_of_scipy():
    a, b = rng("tost").lognormal(0, 0.02, (2, 5))
    logs = np.log(a / b)
    margin = math.log(1.05)
    sides = (
        reference.ttest_1samp(logs, -margin, alternative="greater").pvalue,
        reference.ttest_1samp(logs, margin, alternative="less").pvalue,
    )
    assert alike(paired_ratio(a, b), 0.05).p_for == pytest.approx(min(1, 2 * max(sides)))


def test_a_trend_is_the_mean_of_the_slopes_of_the_seeds():
    x = np.log([25, 50, 100, 250, 500])
    y = 5 - 0.4 * x + rng("trend").normal(0, 0.05, (4, 5))
    found = trend(x, y, "decreasing")
    slopes = [reference.linregress(x, one).slope for one in y]
    assert found.estimate == pytest.approx(np.mean(slopes))
    assert found.p_for == pytest.approx(2 * reference.ttest_1samp(slopes, 0, alternative="less").pvalue)
    assert decisions(found, trend(x, y, "increasing")) == ["supported", "contradicted"]


def test_a_clear_step_the_other_way_contradicts_a_trend():
    y = np.array([5.0, 4.0, 3.0, 3.8, 2.0]) + rng("step").normal(0, 0.02, (4, 5))
    assert reference.linregress(range(5), y.mean(0)).slope < 0
    assert trend(range(5), y, "decreasing").decide() == "contradicted"


def test_agreement_equals_scipy_and_enumeration():
    stream = rng("agree")
    for size in (4, 5, 9):
        a, b = stream.normal(size=(2, size))
        found = agree(a, b)
        assert found.estimate == pytest.approx(reference.kendalltau(a, b).statistic)
        assert found.p_for == pytest.approx(reference.kendalltau(a, b, method="exact", alternative="greater").pvalue)
    a, b = [1.0, 2.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 3.0, 5.0]
    taus = [reference.kendalltau(a, order).statistic for order in itertools.permutations(b)]
    found = agree(a, b)
    assert found.p_for == pytest.approx(np.mean(np.array(taus) >= found.estimate - 1e-12))
    assert decisions(agree([1, 2, 3, 4], [5, 6, 7, 8]), agree([1, 2, 3, 4], [8, 7, 6, 5])) == [
        "supported", "contradicted",
    ]  # fmt: skip
    assert agree([1, 2, 3], [1, 2, 3]).decide() == "inconclusive"  # 1 of 6 orders
    assert agree([1, 2, 3, 4], [2, 2, 2, 2]).decide() == "inconclusive"


def test_several_parts_by_hand():
    parts = [Evidence(0.01, 1.0), Evidence(0.03, 1.0), Evidence(0.4, 0.6)]
    assert (every(parts).p_for, some(parts).p_for, at_least(2, parts).p_for) == pytest.approx((0.4, 0.03, 0.06))
    # "all hold" is false if one fails: 3 x 0.6; "at least 2 of 3" if two do: 2 x the second smallest; "some" if all do
    against = [Evidence(1.0, p) for p in (0.6, 0.02, 0.001)]
    assert [every(against).p_against, at_least(2, against).p_against, some(against).p_against] == pytest.approx(
        [0.003, 0.04, 0.6]
    )
    assert only([Evidence(0.01, 1)], [Evidence(1, 0.02)]).decide() == "supported"
    assert only([Evidence(0.01, 1)], [Evidence(0.001, 1)]).decide() == "contradicted"
    untested = Evidence(math.nan, math.nan)
    assert every([Evidence(0.01, 1.0), untested]).decide() == "inconclusive"
    assert every([Evidence(1.0, 0.01), untested]).decide() == "contradicted"
    assert at_least(1, [Evidence(0.01, 1.0), untested]).decide() == "supported"
    assert math.isnan(every([untested]).p_for)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: bound([1.0, 2.0], 0.0, "above", log=True), "above 0"),
        (lambda: bound([1.0, math.nan], 0.0, "above"), "spread"),
        (lambda: spread_bound([[1.0, 2.0]], 0.0, "below"), "above 0"),
        (lambda: alike(paired_ratio([1.0, 2.0], [1.0, 2.0]), -0.1), "margin"),
        (lambda: trend([2.0, 1.0], [[1.0, 2.0]], "increasing"), "increasing x"),
        (lambda: trend([1.0], [[1.0]], "increasing"), "two increasing x"),
        (lambda: agree([1.0], [2.0]), "two lists"),
        (lambda: agree([1.0, 2.0], [2.0]), "two lists"),
        (lambda: at_least(3, [Evidence(1, 1)]), "at least 3 of 1"),
    ],
)
def test_mistakes_are_named(call, word):
    with pytest.raises(UserError, match=word) as caught:
        call()
    assert "\n" not in str(caught.value)
