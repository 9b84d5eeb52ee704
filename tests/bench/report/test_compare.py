"""A method against a recorded set: rank, ratios, Holm, and honesty about what n could show."""

import math

import pytest

from bench import seeds
from bench.errors import UserError
from bench.report.compare import compare, render, render_markdown


@pytest.fixture
def mine(run, snapshots, frame):
    """A method at 90, between DISP's 60 and scratch's 120; `offset` gives it other seeds."""

    def make(offset=0, level=90.0, n=3):
        stream = seeds.numpy_stream(1, "compare-fixture")
        runs = []
        for column in ("anime", "faces"):
            for seed in range(offset, offset + n):
                fd = level * math.exp(stream.normal(0, 0.02))
                runs.append(run("mine", column, seed, snapshots((fd, 0.5, 0.5))))
        return frame(*runs)

    return make


def verdicts(found, column):
    standing = next(standing for standing in found.standings if standing.column == column)
    return {baseline.row: baseline.verdict(found.metric) for baseline in standing.against}


def test_rank_and_verdicts_follow_the_truth(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(offset=10), results, "cpu")
    for standing in found.standings:
        assert (standing.rank, standing.of) == (3, 4)
        assert [baseline.row for baseline in standing.against][-1] == "scratch"  # sorted, best baseline first
        assert "floor" not in [baseline.row for baseline in standing.against]
        # the fixture's truth, three seeds of which are known to some 5 %
        scratch = standing.against[-1].comparison
        assert scratch is not None and not scratch.paired
        assert scratch.size == pytest.approx(90 / 120, rel=0.15)
    assert found.label == "FD(effnet_lite0@96)"


def test_shared_seeds_are_paired_and_holm_runs_over_everything(spec, simulated, mine):
    found = compare(spec, "mini", "mine", mine(n=5), simulated(range(5)), "cpu")
    every = [
        baseline.comparison for standing in found.standings for baseline in standing.against if baseline.comparison
    ]
    assert len(every) == 6
    assert all(comparison.paired and comparison.n == 5 for comparison in every)
    smallest = min(every, key=lambda one: one.p)
    assert smallest.adjusted == pytest.approx(min(1, smallest.p * len(every)))
    assert verdicts(found, "anime") == {"scratch": "better", "scratch+disp": "worse", "ada": "worse"}


def test_one_seed_is_said_in_so_many_words(spec, simulated, mine):
    found = compare(spec, "smoke", "mine", mine(n=1), simulated(range(1)), "cpu")
    told = render(found)
    assert "undecided: one seed" in told and "run at least two seeds of either side" in told
    assert "could have seen: none" not in told
    assert "run at least two seeds" in render_markdown(found)
    assert "one seed" not in render(compare(spec, "smoke", "mine", mine(), simulated(), "cpu"))


@pytest.mark.parametrize("rendering", [render, render_markdown])
def test_smoke_numbers_rank_nothing(spec, simulated, mine, rendering):
    """As in the report: no rank, and no verdict where a ratio would be decided at another scale."""
    told = {
        scale: rendering(compare(spec, scale, "mine", mine(n=5), simulated(range(5)), "cpu"))
        for scale in ("smoke", "mini")
    }
    assert "rank 3 of 4" in told["mini"] and "better" in told["mini"]
    assert "rank 3" not in told["smoke"] and "Smoke numbers rank nothing" in told["smoke"]
    assert "better" not in told["smoke"] and "undecided" not in told["smoke"] and "not judged" in told["smoke"]


def test_an_undecided_comparison_says_which_gap_it_could_have_seen(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(level=60.0), results, "cpu")
    assert verdicts(found, "anime")["ada"] == "undecided"
    assert "undecided (could have seen: " in render(found)


def test_other_metrics_go_by_differences_upwards(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(), results, "cpu", metric="recall")
    assert set(verdicts(found, "anime").values()) == {"better"}
    assert found.standings[0].rank == 1
    assert "ours - baseline" in render(found)


def test_a_diverged_method_has_no_rank(spec, results, run, snapshots, frame):
    ours = frame(run("mine", "anime", 0, snapshots((50, 0.5, 0.5))), run("mine", "anime", 1, {}, status="diverged"))
    found = compare(spec, "mini", "mine", ours, results, "cpu")
    assert found.standings[0].rank is None
    assert set(verdicts(found, "anime").values()) == {"undecided"}
    assert "†" in render(found)


def test_text_and_markdown(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(), results, "cpu")
    page, marked = render(found), render_markdown(found)
    assert page.startswith("mine against cpu: FD(effnet_lite0@96) in disp/table1 (scale mini)")
    assert "rank 3 of 4" in page and "3 paired" in page
    assert sum(line.startswith("|") for line in marked.splitlines()) == 2 * (2 + 3)


def test_mistakes_are_named(spec, results, mine):
    with pytest.raises(UserError, match="method 'other' has no finished"):
        compare(spec, "mini", "other", mine(), results)
    with pytest.raises(UserError, match="recorded set 'cpu' has no finished"):
        compare(spec, "mini", "mine", mine(), results.iloc[:0], "cpu")
    with pytest.raises(UserError, match="does not score 'kid'"):
        compare(spec, "mini", "mine", mine(), results, metric="kid")


def test_a_column_without_scores_of_ours_is_left_out(spec, results, mine):
    ours = mine()
    found = compare(spec, "mini", "mine", ours[ours["column"] == "faces"], results, "cpu")
    assert [standing.column for standing in found.standings] == ["faces"]


def test_a_recorded_copy_of_the_same_runs_is_no_baseline(spec, results):
    found = compare(spec, "mini", "ada", results, results, "cpu")
    for standing in found.standings:
        assert {baseline.row for baseline in standing.against} == {"scratch", "scratch+disp"}
        assert standing.of == 3
