"""Reduction to cells, marks and verdicts, on results whose truth is known."""

import math
from typing import get_args

import numpy as np
import pytest
from scipy import stats

from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.cells import make_cells, per_seed
from bench.report.render import html, latex, markdown, text
from bench.report.render.cell_text import cell_text, shown_rows
from bench.report.verdicts import standing_of
from bench.spec.inception import Inception


def block_of(report, metric="fd", rule="best"):
    return next(block for block in report.blocks if (block.metric, block.rule) == (metric, rule))


def test_the_best_snapshot_is_chosen_a_seed_by_fd_and_gives_every_metric(protocol, run, frame, snapshots):
    results = frame(
        run("scratch", "anime", 0, snapshots((130, 0.9, 0.3), best=(120, 0.5, 0.1))),
        run("scratch", "anime", 1, snapshots((110, 0.8, 0.2), best=(140, 0.6, 0.4))),
    )
    best = per_seed(results, "best", protocol).set_index(["metric", "seed"])["value"]
    assert best["fd"].tolist() == [120, 110]
    assert best["precision"].tolist() == [0.5, 0.8]  # not the best precision: that of the snapshot
    final = per_seed(results, "final", protocol).set_index(["metric", "seed"])["value"]
    assert final["fd"].tolist() == [130, 110] and final["recall"].tolist() == [0.3, 0.2]


def test_a_cell_is_the_mean_with_its_own_t_interval(protocol, run, frame, snapshots):
    results = frame(*(run("scratch", "anime", s, snapshots((fd, 0.5, 0.1))) for s, fd in enumerate((800, 810, 850))))
    values = per_seed(results, "best", protocol).query("metric == 'fd'")
    cell = make_cells(values, "fd", ["scratch"], ["anime"], 3)["scratch", "anime"]
    assert cell.interval is not None and cell.interval.mean == 820
    # one row alone pools with itself, relative to its mean: nearly its own t interval, at a spread of 3 %
    own = stats.t.ppf(0.975, 2) * np.std([800, 810, 850], ddof=1) / math.sqrt(3)
    assert cell.interval.half_width == pytest.approx(own, rel=0.02)


def test_bounded_metrics_pool_their_plain_sd(protocol, run, frame, snapshots):
    results = frame(
        *(run("scratch", "anime", s, snapshots((100, p, 0.1))) for s, p in enumerate((0.50, 0.52, 0.54))),
        *(run("ada", "anime", s, snapshots((100, p, 0.1))) for s, p in enumerate((0.70, 0.74, 0.78))),
    )
    values = per_seed(results, "best", protocol).query("metric == 'precision'")
    cells = make_cells(values, "precision", ["scratch", "ada"], ["anime"], 3)
    sd = math.sqrt((2 * 0.02**2 + 2 * 0.04**2) / 4)
    for row in ("scratch", "ada"):
        interval = cells[row, "anime"].interval
        assert interval is not None
        assert (interval.sd, interval.df, cells[row, "anime"].pooled) == (pytest.approx(sd), 4, True)


def test_unlike_spreads_are_not_pooled(table, run, frame, snapshots):
    results = frame(
        *(run("scratch", "anime", s, snapshots((fd, 0.5, 0.1))) for s, fd in enumerate((99, 100, 101))),
        *(run("ada", "anime", s, snapshots((fd, 0.5, 0.1))) for s, fd in enumerate((50, 100, 150))),
    )
    block = block_of(build_report(table(), "mini", results))
    assert not block.cells["scratch", "anime"].pooled
    assert block.cells["scratch", "anime"].interval.df == 2
    assert "n - 1 a cell" in block.notes[0]


def test_a_diverged_seed_is_shown_and_counts_as_the_worst(table, run, frame, snapshots):
    results = frame(
        run("scratch", "anime", 0, snapshots((800.0, 0.5, 0.1))),
        run("scratch", "anime", 1, {10: {"fd": 900.0, "precision": 0.4, "recall": 0.0}}, status="diverged"),
        run("scratch", "anime", 2, snapshots((820.0, 0.6, 0.2))),
    )
    report = build_report(table(), "mini", results)
    final = block_of(report, rule="final").cells["scratch", "anime"]
    assert cell_text(final) == "median 820 (800 to ∞), 1 of 3 diverged †"
    precision = block_of(report, "precision", "final").cells["scratch", "anime"]
    assert cell_text(precision) == "median 0.5 (0 to 0.6), 1 of 3 diverged †"
    best = block_of(report).cells["scratch", "anime"]  # it was scored before it diverged
    assert cell_text(best) == "median 820 (800 to 900), 1 of 3 diverged † [120.38]"
    assert not best.mark
    assert any("†" in note for note in report.notes)


def test_unfinished_cells_say_so(table, run, frame, snapshots):
    empty: dict = {}
    results = frame(
        run("scratch", "anime", 0, snapshots((100.0, 0.5, 0.1))),
        run("scratch", "anime", 1, snapshots((50.0, 0.5, 0.1)), status="running"),
        run("scratch", "anime", 2, empty, status="missing"),
        run("ada", "anime", 0, empty, status="failed"),
        run("ada", "anime", 1, empty, status="missing"),
        run("ada", "anime", 2, empty, status="missing"),
    )
    cells = block_of(build_report(table(), "mini", results), rule="final").cells
    running = cell_text(cells["scratch", "anime"])  # the running score is not counted
    assert running == "100 (n=1, 1 of 3 running, 1 of 3 missing)"
    assert cell_text(cells["ada", "anime"]) == "1 of 3 failed, 2 of 3 missing"
    assert cell_text(cells["scratch", "faces"]) == "missing"


@pytest.mark.parametrize("status", ["failed", "interrupted", "running", "missing", "lost"])
def test_what_keeps_a_cell_from_being_whole_is_counted_itself(status, table, run, frame, snapshots):
    results = frame(
        run("scratch", "anime", 0, snapshots((100.0, 0.5, 0.1))),
        run("scratch", "anime", 1, snapshots((120.0, 0.5, 0.1))),
        run("scratch", "anime", 2, {}, status=status),
    )
    report = build_report(table(), "mini", results)
    counted = f"(n=2, 1 of 3 {status})"
    assert counted in cell_text(block_of(report).cells["scratch", "anime"])
    for render in (text.render, markdown.render, latex.render, html.render):
        assert counted in " ".join(render(report).split())


def test_a_width_of_zero_rounds_nothing(table, run, frame, snapshots):
    """Two seeds that agree at 0.005, and two at 0.01: not the same number, and not the same mark."""
    results = frame(
        *(run("scratch", "anime", s, snapshots((100, 0.5, 0.005))) for s in range(2)),
        *(run("ada", "anime", s, snapshots((100, 0.5, 0.0100))) for s in range(2)),
        *(run("scratch+disp", "anime", s, snapshots((100, 0.5, 0.01234))) for s in range(2)),
    )
    cells = block_of(build_report(table(seeds=2), "mini", results), "recall", "final").cells
    assert cell_text(cells["scratch", "anime"]) == "0.005 ± 0 (n=2)"
    assert cell_text(cells["ada", "anime"]) == "0.01 ± 0 (n=2)"
    assert cell_text(cells["scratch+disp", "anime"]) == "0.01234 ± 0 (n=2)"


def test_a_small_width_shows_its_digits(protocol, run, frame, snapshots):
    pairs = ((0.0051, 0.0051001), (0.005, 0.005 + 1e-18), (0.4, 0.4 + 6e-17))
    for (a, b), shown in zip(pairs, ("0.00510005 ± 0.00000064", "0.005 ± 0", "0.4 ± 0"), strict=True):
        results = frame(*(run("ada", "anime", s, snapshots((9, x, 0.1))) for s, x in enumerate((a, b))))
        values = per_seed(results, "best", protocol).query("metric == 'precision'")
        told = cell_text(make_cells(values, "precision", ["ada"], ["anime"], 2)["ada", "anime"])
        assert told == f"{shown} (n=2)"


def test_a_cell_that_prints_equal_has_an_equal_mark(table, run, frame, snapshots):
    """A paired difference can be clear where both intervals are wide: digits tell the two apart then."""
    results = frame(
        *(run("scratch", "anime", s, snapshots((fd, 0.5, 0.1))) for s, fd in enumerate((700, 800, 900))),
        *(run("ada", "anime", s, snapshots((fd * 1.0001, 0.5, 0.1))) for s, fd in enumerate((700, 800, 900))),
    )
    report = build_report(table(), "mini", results)
    block = block_of(report)
    assert (block.cells["scratch", "anime"].mark, block.cells["ada", "anime"].mark) == ("best", "")
    shown = {row.id: cells[0].text for row, cells in shown_rows(report, block)}
    assert shown["scratch"].split(" (")[0] != shown["ada"].split(" (")[0]
    assert shown["scratch"].startswith("800.0") and shown["ada"].startswith("800.1")


def test_versions_of_a_score_are_never_averaged_or_compared(table, run, frame, snapshots):
    scores = [snapshots((100, 0.5, 0.40 + s / 100)) for s in range(3)]
    results = frame(
        *(run("scratch", "anime", s, scores[s], version=1) for s in range(3)),
        run("scratch+disp", "anime", 0, snapshots((90, 0.5, 0.01)), version=1),
        *(run("scratch+disp", "anime", s, scores[s]) for s in (1, 2)),
        *(run("ada", "anime", s, scores[s]) for s in range(3)),
    )
    report = build_report(table(), "mini", results)
    block = block_of(report, "recall", "final")
    old, mixed, new = (block.cells[row, "anime"] for row in ("scratch", "scratch+disp", "ada"))
    assert (old.version, mixed.version, new.version) == (1, 2, 2)
    assert mixed.values == pytest.approx((0.41, 0.42)) and mixed.total == 3
    assert "(n=2, 1 of 3 of an older score)" in cell_text(mixed)
    assert "(n=3, v1)" in cell_text(old) and old.rank is None and new.rank == (1, 2)
    found = standing_of("anime", new, {"old": old, "mixed": mixed}, "recall", "mini", {})
    told = {one.row: one.comparison is None for one in found.against}
    assert told == {"old": True, "mixed": False} and found.against[1].verdict == "of another version of the score"
    assert any("v1: recall as an older version" in note for note in block.notes)
    assert block_of(report, "fd").notes == tuple(n for n in block_of(report, "fd").notes if "version" not in n)
    assert "1 of 3 of an older score" in text.render(report)


def test_marks_hold_the_best_and_what_cannot_be_told_apart(spec, results):
    cells = block_of(build_report(spec, "mini", results)).cells
    for column in ("anime", "faces"):
        marks = {row: cells[row, column].mark for row in ("scratch", "scratch+disp", "ada")}
        assert marks["scratch"] == ""
        assert sorted([marks["scratch+disp"], marks["ada"]]) == ["alike", "best"]
        assert cells["floor", column].mark == ""  # a reference point does not compete


def test_marks_run_upwards_for_precision(table, run, frame, snapshots):
    results = frame(
        *(run("scratch", "anime", s, snapshots((100, 0.90 + s / 100, 0.1))) for s in range(5)),
        *(run("ada", "anime", s, snapshots((100, 0.50 + s / 90, 0.1))) for s in range(5)),
    )
    cells = block_of(build_report(table(seeds=5), "mini", results), "precision").cells
    assert (cells["scratch", "anime"].mark, cells["ada", "anime"].mark) == ("best", "")


def test_one_seed_marks_nothing(table, simulated):
    report = build_report(table(seeds=1), "mini", simulated(range(1)))
    assert not any(cell.mark for block in report.blocks for cell in block.cells.values())
    assert "no test is possible" in " ".join(block_of(report).notes)
    assert cell_text(block_of(report).cells["scratch", "anime"]).endswith("(n=1) [120.38]")


def test_printed_numbers_stand_under_the_papers_rule_only(spec, results):
    report = build_report(spec, "mini", results)
    assert [block.rule for block in report.blocks] == ["best"] * 3 + ["final"] * 3
    assert block_of(report).cells["bsa", "faces"].printed == "123.2"
    assert block_of(report, "recall").cells["scratch", "anime"].printed == "0.00"
    assert not any(cell.printed for cell in block_of(report, rule="final").cells.values())


def test_verdicts_need_the_papers_data_and_features(spec, results, table, run, frame, snapshots):
    assert not any(c.verdict for block in build_report(spec, "mini", results).blocks for c in block.cells.values())
    extractor = "inception@299"
    levels = {"scratch": (120.0, 121.0, 120.5), "scratch+disp": (90.0, 90.5, 91.0), "ada": (60.0, 60.2, 60.4)}
    runs = [
        run(row, "anime", seed, snapshots((fd, 0.6, 0.1)), extractor=extractor)
        for row, fds in levels.items()
        for seed, fd in enumerate(fds)
    ]
    block = block_of(build_report(table(extractor, inception="clean-fid"), "paper", frame(*runs)))
    assert block.label == "FID" and "comparable" not in " ".join(block.notes)
    verdicts = {row: block.cells[row, "anime"].verdict for row in levels}
    assert verdicts == {"scratch": "consistent", "scratch+disp": "worse", "ada": "better"}


VARIANTS = {
    "inception@299": "clean-fid",
    "inception_pytorch@299": "pytorch-fid",
    "inception_tensorflow@299": "tensorflow",
    "inception_torchvision@299": "torchvision",
}
TOLD = {word: f"the paper's: {word}" for word in VARIANTS.values()} | {
    "unknown": "the paper does not say which",
    "other": "the paper uses one that we do not have",
}


@pytest.mark.parametrize("extractor", VARIANTS)
def test_a_verdict_needs_the_papers_own_inception(extractor, table, run, frame, snapshots):
    """For every word that a table may say: a verdict on the same variant, on any other one a note in its place."""
    runs = [
        run("scratch", "anime", seed, snapshots((fd, 0.6, 0.1)), extractor=extractor)
        for seed, fd in enumerate((10.0, 10.1, 10.2))  # far from the 120.38 that is printed
    ]
    ours = VARIANTS[extractor]
    for theirs in get_args(Inception):
        report = build_report(table(extractor, inception=theirs), "paper", frame(*runs))
        block = block_of(report)
        cell = block.cells["scratch", "anime"]
        assert cell.printed == "120.38"
        note = f"[printed]: other Inception, not comparable ({TOLD[theirs]}; ours: {ours})."
        assert (cell.verdict, note in block.notes) == (("better", False) if theirs == ours else (None, True))
        assert f"{extractor} (Inception: {ours})" in " ".join(report.caption)
        assert block.label == ("FID" if ours == "clean-fid" else f"FID({ours})")


def test_other_networks_get_no_verdict_whatever_the_paper_used(table, run, frame, snapshots):
    extractor = "effnet_lite0@96"
    runs = [run("scratch", "anime", seed, snapshots((10.0 + seed, 0.6, 0.1)), extractor=extractor) for seed in range(3)]
    for theirs in get_args(Inception):
        block = block_of(build_report(table(extractor, inception=theirs), "paper", frame(*runs)))
        note = f"[printed]: on an Inception ({TOLD[theirs]}), ours on {extractor}, not comparable."
        assert note in block.notes and block.cells["scratch", "anime"].verdict is None


def test_the_shipped_tables_know_that_their_papers_inception_is_unknown():
    assert {load_table(name).inception for name in ("disp/table1", "dip/table1")} == {"unknown"}


def test_smoke_numbers_rank_nothing(spec, results):
    report = build_report(spec, "smoke", results)
    assert report.claims == () and report.notes[0].startswith("Smoke numbers rank nothing")
    assert not any(cell.mark for block in report.blocks for cell in block.cells.values())
    assert not any("Gap" in note for block in report.blocks for note in block.notes)
    assert "marked:" not in " ".join(report.caption) and " *" not in text.render(report).replace("BSA*", "")


def test_best_of_seeds_is_the_seed_with_the_lowest_fd(table, run, frame, snapshots):
    results = frame(*(run("scratch", "anime", s, snapshots(x)) for s, x in enumerate([(90, 0.9, 0.1), (80, 0.5, 0.2)])))
    report = build_report(table(best_of=2, seeds=2), "mini", results)
    assert block_of(report).cells["scratch", "anime"].best_of == 80
    assert block_of(report, "precision").cells["scratch", "anime"].best_of == 0.5
    assert block_of(report, rule="final").cells["scratch", "anime"].best_of is None


def test_controls_appear_only_when_run(spec, results, run, frame, snapshots):
    assert "control" not in [row.id for row in build_report(spec, "mini", results).rows]
    more = frame(run("control", "anime", 0, snapshots((1.0, 1.0, 1.0))))
    report = build_report(spec, "mini", more)
    assert next(row for row in report.rows if row.id == "control").kind == "control"
    assert not block_of(report).cells["control", "anime"].mark
