"""Each relation gets the verdict of the truth, and another one when the truth turns round."""

import pytest

from bench.report.claims.judge import judge
from bench.report.claims.scores import Lack
from bench.spec.measures_to_come import MEASURES_TO_COME

COLUMNS = ("a", "b", "c", "d")


def rows(**means):
    """Means by table, row and column: one for all four columns, or four of them."""
    return {
        ("t/one", row, column): value
        for row, values in means.items()
        for column, value in zip(COLUMNS, values if isinstance(values, (list, tuple)) else [values] * 4)
    }


ORDER = {"order": ["mine", "base"]}
MIN = {"order": [{"min": ["mine", "other"]}, "base"]}
BEST = {"count": {"best": "mine", "at_least": 3}}
ONLY = {"count": {"best": "mine", "among": ["base"], "only_in": ["a", "b"]}}
GAP = {"bound": {"of": {"range": ["mine", "other"]}, "below": {"minus": ["base", {"max": ["mine", "other"]}]}}}
RATIO = {"bound": {"of": {"over": ["base", "mine"]}, "above": 2}}
PEAK = {"extremum": {"of": "mine", "at": "b", "kind": "min"}}
FALL = {"trend": {"of": "mine", "direction": "decreasing"}}
LISTS = {"agree": [["mine/a", "mine/b", "mine/c", "mine/d"], ["base/a", "base/b", "base/c", "base/d"]]}
CASES = {
    "order": (ORDER, rows(mine=5, base=9), rows(mine=9, base=5)),
    "order, one column the other way": (ORDER, rows(mine=5, base=9), rows(mine=[5, 5, 5, 9], base=[9, 9, 9, 5])),
    "order of three": (
        {"order": ["mine", "other", "base"]}, rows(mine=1, other=2, base=3), rows(mine=1, other=3, base=2),
    ),
    "order of lists": (
        {"order": [["mine", "other"], "base"]}, rows(mine=1, other=2, base=3), rows(mine=1, other=4, base=3),
    ),
    "order on average": (
        ORDER | {"mean": True}, rows(mine=[5, 5, 5, 9], base=[9, 9, 9, 8]), rows(mine=[9, 9, 9, 5], base=[5, 5, 5, 8]),
    ),
    "order in three of four": (
        ORDER | {"at_least": 3}, rows(mine=[5, 5, 5, 9], base=[9, 9, 9, 5]), rows(mine=[5, 5, 9, 9], base=[9, 9, 5, 5]),
    ),
    "the lowest of two": (MIN, rows(mine=5, other=12, base=9), rows(mine=10, other=12, base=9)),
    "a bound": ({"bound": {"of": ["mine", "base"], "above": 0}}, rows(mine=5, base=9), rows(mine=5, base=-9)),
    "a bound on a ratio": (RATIO, rows(mine=4, base=9), rows(mine=6, base=9)),
    "a range against a gap": (GAP, rows(mine=5, other=6, base=12), rows(mine=5, other=9, base=10)),
    "a spread": ({"bound": {"of": {"row": "mine", "of": "spread"}, "below": 0.3}}, rows(mine=5), None),
    "alike": ({"alike": {"of": ["mine", "base"], "within": 0.2}}, rows(mine=5, base=5), rows(mine=5, base=9)),
    "a trend": (FALL, rows(mine=[9, 7, 5, 3]), rows(mine=[3, 5, 7, 9])),
    "a trend with a step back": (FALL, rows(mine=[9, 7, 5, 3]), rows(mine=[9, 3, 6, 2])),
    "an extremum": (PEAK, rows(mine=[7, 4, 6, 8]), rows(mine=[7, 4, 3, 8])),
    "best in three of four": (
        BEST, rows(mine=[1, 1, 1, 4], base=2, other=3), rows(mine=[1, 1, 4, 4], base=2, other=3),
    ),
    "best in these only": (ONLY, rows(mine=[1, 1, 4, 4], base=2), rows(mine=[1, 1, 1, 4], base=2)),
    "agreement": (LISTS, rows(mine=[1, 2, 3, 4], base=[2, 3, 5, 9]), rows(mine=[1, 2, 3, 4], base=[9, 5, 3, 2])),
    "two relations": (
        {"all_of": [ORDER, {"order": ["base", "other"]}]}, rows(mine=1, base=2, other=3), rows(mine=1, base=3, other=2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("name", CASES)
def test_a_relation_flips_with_the_truth(name, n, claim, known, fake_scores):
    relation, true, wrong = CASES[name]
    assert judge(claim(**relation), "t/one", known, fake_scores(true, n)).verdict == "supported"
    if wrong is not None:
        assert judge(claim(**relation), "t/one", known, fake_scores(wrong, n)).verdict == "contradicted"


@pytest.mark.parametrize("name", CASES)
def test_one_seed_decides_nothing(name, claim, known, fake_scores):
    found = judge(claim(**CASES[name][0]), "t/one", known, fake_scores(CASES[name][1], 1))
    assert (found.verdict, found.reason) == ("inconclusive", "one seed shows no spread; run at least two")


@pytest.mark.parametrize("name", CASES)
def test_smoke_judges_nothing(name, claim, known, fake_scores):
    found = judge(claim(**CASES[name][0]), "t/one", known, fake_scores(CASES[name][1], scale="smoke"))
    assert (found.verdict, found.comparisons) == ("not judged", ())


def test_comparisons_are_adjusted_by_holm_and_the_whole_is_not(claim, known, fake_scores):
    """All parts of a conjunction at 5 % each are a 5 % test of it; a contradiction is one of many chances."""
    found = judge(claim(**ORDER), "t/one", known, fake_scores(rows(mine=8, base=9), sd=0.02))
    ps = sorted(one.p for one in found.comparisons)
    assert sorted(one.adjusted for one in found.comparisons)[0] == pytest.approx(4 * ps[0])
    assert found.verdict == ("supported" if ps[-1] <= 0.05 else "inconclusive")


def test_cells_of_several_tables(claim, known, fake_scores):
    means = {("t/one", "mine", "a"): 5, ("t/two", "base", "a"): 9, ("t/two", "mine", "b"): 3}
    for operands, columns in ((["mine", "t/two/base"], ["a"]), (["t/two/mine/b", "mine/a", "t/two/base/a"], [])):
        found = judge(claim(order=operands, columns=columns), "t/one", known, fake_scores(means))
        assert found.verdict == "supported" and "t/two base" in found.comparisons[-1].where
    beside = judge(claim(order=["mine", "base"], columns=["t/two/a"]), "t/one", known, fake_scores(means))
    assert beside.reason == "nothing has been run"  # mine of t/two in a is not there


def test_what_a_table_leaves_out_makes_no_comparison(claim, known, fake_scores):
    known.left_out = {("base", "d"), ("other", "a")}
    found = judge(claim(order=["mine", ["base", "other"]]), "t/one", known, fake_scores(rows(mine=1, base=2, other=3)))
    assert len(found.comparisons) == 6 and found.verdict == "supported"


def test_every_snapshot_and_a_share_of_the_training(claim, known, fake_scores):
    steps = {10: 9.0, 20: 8.0, 30: 7.0}
    means = {("t/one", "base", "a"): steps, ("t/one", "mine", "a"): {step: fd / 2 for step, fd in steps.items()}}
    whole = claim(order=[{"row": "mine", "snapshot": "every"}, {"row": "base", "snapshot": "every"}], columns=["a"])
    found = judge(whole, "t/one", known, fake_scores(means))
    assert found.verdict == "supported" and len(found.comparisons) == 3
    assert "mine at step 10 < base at step 10" in found.comparisons[0].where
    means["t/one", "mine", "a"][20] = 16.0
    assert judge(whole, "t/one", known, fake_scores(means)).verdict == "contradicted"


def test_a_row_that_diverged_at_every_seed_is_worse_than_one_that_did_at_none(claim, known, fake_scores):
    gone = {("t/one", "base", "a"): Lack("diverged at 3 of 3 seeds:", "base", ran=True, diverged=3)}
    scores = fake_scores({("t/one", "mine", "a"): 5}, lacks=gone)
    one = {"columns": ["a"]}
    found = judge(claim(order=["mine", "base"], **one), "t/one", known, scores)
    assert found.verdict == "supported" and found.comparisons[0].p == pytest.approx(2 / 64)
    assert judge(claim(order=["base", "mine"], **one), "t/one", known, scores).verdict == "contradicted"
    partly = {("t/one", "base", "a"): Lack("diverged at 1 of 3 seeds:", "base", ran=True)}
    found = judge(claim(order=["mine", "base"], **one), "t/one", known, fake_scores(scores.means, lacks=partly))
    assert found.verdict == "inconclusive" and "a: diverged at 1 of 3 seeds: base" in found.reason


def test_what_is_missing_is_named(claim, known, fake_scores):
    half = {key: mean for key, mean in rows(mine=5, base=9).items() if key[1:] not in (("base", "b"), ("mine", "c"))}
    found = judge(claim(**ORDER), "t/one", known, fake_scores(half))
    assert found.verdict == "inconclusive" and not found.untested
    assert found.reason == "not compared: b: no finished run of base; c: no finished run of mine"
    assert judge(claim(**ORDER), "t/one", known, fake_scores({})).untested


def test_a_claim_waits_for_its_measure(claim, known, fake_scores, monkeypatch):
    monkeypatch.setitem(MEASURES_TO_COME, "later-measure", "how much later it is")
    found = judge(claim(**ORDER, waits_for="later-measure"), "t/one", known, fake_scores(rows(mine=5, base=9)))
    assert (found.verdict, found.reason) == ("waits", "waits for the measure later-measure")
