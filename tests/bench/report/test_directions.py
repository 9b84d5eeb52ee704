"""Numbers of which nearer to 0 is better, or neither way: marks, ranks, verdicts, best seeds and claims."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.errors import UserError
from bench.metrics import Measure
from bench.metrics.measures import measures
from bench.plan.claim_names import claim_problem
from bench.report.build import build_report
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.report.claims.scores import Scores
from bench.report.compare import compare
from bench.report.figures.curves import score_curves
from bench.report.render.cell_text import cell_text
from bench.report.render.comparison_text import render
from bench.report.verdicts import standing_of
from bench.spec.claim import Claim

# Around 0 and far from it, and to the other side: ADA's mean is the lowest, scratch's the nearest to 0 by its mean
VALUES = {"scratch": (3.0, 2.9, -5.8), "scratch+disp": (1.0, 1.1, 0.9), "ada": (-4.0, -4.1, -3.9)}


@pytest.fixture
def copying(fresh_registries):
    """Register a score with a direction; gives the function."""

    def register(better):
        shown = {"summary": "how far it copies", "title": "copying", "short": "C", "better": better}
        measures().add("copying", "test:copying", "", Measure(name="copying", compute=lambda sets, k: 0.0, **shown))

    return register


@pytest.fixture
def made(table, run, frame):
    """A table whose second score is `copying`, and its results at scale mini; `lost`: a seed that diverged."""

    def make(values=VALUES, lost=()):
        spec = table(metrics=["fd", "copying"], claims=[])
        scale = spec.scales["mini"]
        extractor = scale.protocol.metrics[0].extractor
        metrics = [scale.protocol.metrics[0], scale.protocol.metrics[0].model_copy(update={"name": "copying"})]
        protocol = scale.protocol.model_copy(update={"metrics": tuple(metrics)})
        spec = spec.model_copy(
            update={"scales": {**spec.scales, "mini": scale.model_copy(update={"protocol": protocol})}}
        )
        lines = [
            run(row, "anime", seed, {20: {"fd": 9.0 + seed, "copying": value}}, extractor=extractor)
            if (row, seed) not in lost
            else run(row, "anime", seed, {20: {"fd": math.nan, "copying": math.nan}}, status="diverged")
            for row, own in values.items()
            for seed, value in enumerate(own)
        ]
        return spec, frame(*lines)

    return make


def marks(report):
    (block,) = [block for block in report.blocks if block.metric == "copying" and block.paper_rule]
    return {row: block.cells[row, "anime"].mark for row in VALUES}, block


def test_nearer_to_zero_is_better_by_each_seeds_distance(copying, made):
    """By means scratch would be the best: its seeds lie on both sides of 0, none of them near (too few to exclude)."""
    copying("zero")
    spec, results = made()
    found, block = marks(build_report(spec, "mini", results))
    assert found == {"scratch": "alike", "scratch+disp": "best", "ada": ""}
    assert block.title.startswith("C(effnet_lite0@96), nearer to 0 is better")
    cells = {row: block.cells[row, "anime"] for row in VALUES}
    assert cells["scratch"].interval.mean == pytest.approx(0.0333, abs=1e-3), "the mean is of the values"
    (one,) = standing_of("anime", cells["scratch"], {"ada": cells["ada"]}, "copying", "mini", {}).against
    pair = one.comparison
    assert pair.what == "difference" and pair.size == pytest.approx((3.0 + 2.9 + 5.8) / 3 - 4.0)
    theirs = results[results["row"] != "scratch+disp"]
    report = compare(spec, "mini", "scratch+disp", results[results["row"] == "scratch+disp"], theirs, metric="copying")
    assert report.standings[0].rank == 1 and "|ours| - |baseline|" in render(report)
    assert {one.row: one.verdict for one in report.standings[0].against}["ada"] == "better"
    main = replace(build_report(spec, "mini", results), main="copying")
    low, high = score_curves(main).axes[0].get_ylim()
    assert low < 0 < high


def test_where_neither_way_is_better_nothing_is_marked_or_ranked(copying, made):
    copying("none")
    spec, results = made()
    found, block = marks(build_report(spec, "mini", results))
    assert set(found.values()) == {""} and "neither way is better" in block.title
    theirs = results[results["row"] == "scratch+disp"]  # scratch's seeds would widen the spread that all rows share
    report = compare(spec, "mini", "ada", results[results["row"] == "ada"], theirs, metric="copying")
    assert report.standings[0].rank is None and "no rank: neither way is better" in render(report)
    assert {one.row: one.verdict for one in report.standings[0].against}["scratch+disp"] == "smaller"
    best = build_report(spec.model_copy(update={"best_of": 3}), "mini", results)
    by_fd = next(block for block in best.blocks if block.metric == "copying" and block.paper_rule)
    assert by_fd.cells["ada", "anime"].best_of == -4.0, "of the seed with the lowest FD"


def test_a_seed_without_a_value_is_no_worst_where_none_is(copying, made):
    copying("none")
    spec, results = made(lost={("ada", 1)})
    _, block = marks(build_report(spec, "mini", results))
    assert cell_text(block.cells["ada", "anime"]) == "median -3.95 (-4 to -3.9), 1 of 3 diverged †"
    spec, results = made(lost={("ada", 0), ("ada", 1), ("ada", 2)})
    _, block = marks(build_report(spec, "mini", results))
    assert cell_text(block.cells["ada", "anime"]) == "3 of 3 diverged †"


def claim(**relation):
    return Claim.model_validate({"id": "c", "text": "It is.", "metric": "copying", "columns": ["anime"], **relation})


@pytest.mark.parametrize(
    ("best", "other", "verdict"), [("scratch+disp", "ada", "supported"), ("ada", "scratch+disp", "contradicted")]
)
def test_a_claim_counts_the_nearest_to_zero_as_the_best(copying, made, best, other, verdict):
    copying("zero")
    spec, results = made()
    count = claim(count={"best": best, "among": [other], "at_least": 1})
    scores = Scores("mini", lambda name: None, (spec, results))
    assert judge(count, spec.name, KnownTables(spec), scores).verdict == verdict


def test_a_claim_on_the_best_of_what_has_none_is_refused(copying, made):
    copying("none")
    spec, results = made()
    count = claim(count={"best": "ada", "among": ["scratch"], "at_least": 1})
    refused = claim_problem(count, spec.name, lambda name: spec)
    assert refused == "claim c counts the best of 'copying', of which neither way is better"
    with pytest.raises(UserError, match="of which neither way is better"):
        judge(count, spec.name, KnownTables(spec), Scores("mini", lambda name: None, (spec, results)))
    assert claim_problem(claim(order=["ada", "scratch"]), spec.name, lambda name: spec) is None, "lower it may be"


@pytest.mark.parametrize(("better", "decided"), [("zero", False), ("none", False), ("lower", True)])
def test_a_row_that_diverged_everywhere_is_at_neither_end(copying, made, better, decided):
    copying(better)
    spec, results = made(lost={("ada", seed) for seed in range(3)})
    scores = Scores("mini", lambda name: None, (spec, results))
    found = judge(claim(order=["scratch+disp", "ada"]), spec.name, KnownTables(spec), scores)
    assert bool(found.comparisons) == decided
    far = claim(order=[{"row": "scratch+disp", "of": "abs"}, {"row": "ada", "of": "abs"}])
    assert bool(judge(far, spec.name, KnownTables(spec), scores).comparisons) == (better != "none")
