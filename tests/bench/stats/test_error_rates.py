"""How often a relation calls a statement supported that is not true, or contradicted that is: simulated seeds.

Under the boundary null (the statement is just not true) at most 5 % may be supported. Every test below has a level of
2.5 % (agreement 5 %) by its making; of 1,000 draws, 5 % lies five standard errors (0.5 points) above 2.5 %. With a big
effect nearly every draw must be called what it is: of 200 draws, 90 % lies five standard errors (1.2 points) below the
power, which exceeds 97 % throughout.
"""

import itertools
import math

import numpy as np
import pytest

from bench import seeds
from bench.stats import agree, alike, at_least, bound, every, lower, only, paired_ratio, some, spread_bound, trend

DRAWS, FEW = 1000, 200
SEEDS = pytest.mark.parametrize("n", [3, 5])
X = np.log([25.0, 50.0, 100.0, 250.0])


def draw(name, n, means, sd=0.05, draws=DRAWS):
    """Scores (draws, rows, n): log-normal around exp(means), with a factor per seed that all rows share."""
    stream = seeds.numpy_stream(0, "error-rates", name, n)
    means = np.asarray(means, dtype=float)[None, :, None]
    shared = stream.normal(0, 0.2, (draws, 1, n))
    return np.exp(means + shared + stream.normal(0, sd, (draws, means.shape[1], n)))


def rate(found, verdict):
    return float(np.mean([one.decide() == verdict for one in found]))


def ratio(a, b):
    return lower(paired_ratio(a, b))


def ordered(rows):
    return every([ratio(a, b) for a, b in itertools.pairwise(rows)])


def lowest_in_the_middle(rows):
    return every([ratio(rows[1], rows[0]), ratio(rows[1], rows[2])])


def three_of_four(rows):
    return at_least(3, [ratio(row, rows[0]) for row in rows[1:]])


def only_the_first(rows):
    return only([ratio(rows[1], rows[0])], [ratio(row, rows[0]) for row in rows[2:]])


def lowest_of_three(rows):
    return some([ratio(row, rows[0]) for row in rows[1:]])


def below_half(rows):
    return bound(rows[0], 0.5, "below", log=True)


def within_5_percent(rows):
    return alike(paired_ratio(*rows), 0.05)


def falls(rows):
    return trend(X, np.log(rows).T, "decreasing")


# What makes evidence of one draw; means of its rows where the statement is just not true, true, and wrong
EDGE = math.log(1.05)
CASES = {
    "order": (ordered, (0, 0), (0, 0.7), (0.7, 0)),
    "order of three, one step of which is none": (ordered, (0, 0.7, 0.7), (0, 0.7, 1.4), (0, 1.4, 0.7)),
    "extremum, a tie to one side": (lowest_in_the_middle, (0, 0, 0.7), (0.7, 0, 0.7), (0, 0.7, 0.7)),
    "count, the third a tie": (
        three_of_four, (0, -0.7, -0.7, 0, 0.7), (0, -0.7, -0.7, -0.7, 0), (0, -0.7, 0.7, 0.7, 0.7),
    ),
    "only, another one too": (only_the_first, (0, -0.7, 0, 0.7), (0, -0.7, 0.7, 0.7), (0, -0.7, -0.7, 0.7)),
    "the lowest of three, all of them ties": (lowest_of_three, (0, 0, 0, 0), (0, 0.7, -0.7, 0.7), (0, 0.7, 0.7, 0.7)),
    "bound": (below_half, (math.log(0.5),), (math.log(0.1),), (math.log(2),)),
    "trend": (falls, (0, 0, 0, 0), (1.5, 1, 0.5, 0), (0, 0.5, 1, 1.5)),
}  # fmt: skip


@SEEDS
@pytest.mark.parametrize("name", CASES)
def test_what_is_just_not_true_is_rarely_supported(name, n):
    relation, edge, _, _ = CASES[name]
    assert rate(map(relation, draw(name, n, edge)), "supported") <= 0.05


@SEEDS
@pytest.mark.parametrize("name", CASES)
def test_claims_flip_with_the_truth(name, n):
    relation, _, true, wrong = CASES[name]
    assert rate(map(relation, draw(name, n, true, draws=FEW)), "supported") > 0.9
    assert rate(map(relation, draw(name, n, wrong, draws=FEW)), "contradicted") > 0.9


@SEEDS
def test_an_order_has_the_level_that_it_should(n):
    """2.5 % in each direction: 4 standard errors are 2 points."""
    found = list(map(ordered, draw("level", n, (0, 0))))
    for verdict in ("supported", "contradicted"):
        assert rate(found, verdict) == pytest.approx(0.025, abs=0.02)


@SEEDS
def test_what_all_rows_share_contradicts_few_true_statements(n):
    """Eight true orders of which one is a tie: Bonferroni's bound on being contradicted is 2.5 %."""
    tied = draw("all", n, (0, 0, 1, 2, 3, 4, 5, 6, 7))
    assert rate(map(ordered, tied), "contradicted") <= 0.05


@SEEDS
def test_alike_at_the_margin_is_rarely_supported_and_rarely_contradicted(n):
    found = list(map(within_5_percent, draw("margin", n, (EDGE, 0), sd=0.005)))
    assert max(rate(found, "supported"), rate(found, "contradicted")) <= 0.05
    assert rate(map(within_5_percent, draw("alike", n, (0, 0), sd=0.003, draws=FEW)), "supported") > 0.9
    assert rate(map(within_5_percent, draw("unlike", n, (0.7, 0), draws=FEW)), "contradicted") > 0.9
    # Few noisy seeds show no likeness: what is not found to differ is not thereby alike
    assert rate(map(within_5_percent, draw("noisy", n, (0, 0), sd=0.1)), "supported") <= 0.05


@SEEDS
def test_a_spread_at_its_bound_is_rarely_called_small_or_large(n):
    groups = np.log(draw("spread", n, (0, 1), sd=0.0)) * 0.25  # the shared 0.2 becomes 0.05
    found = [spread_bound(np.exp(rows[:1]), 0.05, "below", log=True) for rows in groups]
    assert max(rate(found, "supported"), rate(found, "contradicted")) <= 0.05
    for limit, verdict in ((2.0, "supported"), (0.001, "contradicted")):
        assert rate((spread_bound(np.exp(rows[:1]), limit, "below", log=True) for rows in groups[:FEW]), verdict) > 0.9


@pytest.mark.parametrize("rows", [4, 5])
def test_unrelated_orders_rarely_agree(rows):
    """Of all orders, which are equally likely where the lists are unrelated, at most 5 % are called either."""
    first = range(rows)
    found = [agree(first, order) for order in itertools.permutations(first)]
    assert 0 < rate(found, "supported") <= 0.05 and 0 < rate(found, "contradicted") <= 0.05
    noise = seeds.numpy_stream(0, "error-rates", "agree", rows).normal(0, 0.05, size=(60, 2, rows))
    truth = np.arange(rows)
    assert rate((agree(truth + a, truth + b) for a, b in noise), "supported") > 0.9
    assert rate((agree(truth + a, b - truth) for a, b in noise), "contradicted") > 0.9
