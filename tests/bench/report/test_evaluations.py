"""What a report makes of evaluations: one snapshot, no further replicates, the best seed by the score of the run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.plan.expand import Table
from bench.report.build import build_report
from bench.report.frame import COLUMNS, as_frame

FD = "effnet_lite0@32"
PURE = {"measure": "rescore", "sampling": "pure"}
FDS = {"scratch": (50.0, 60.0, 61.0), "mix": (30.0, 31.0, 40.0), "pure": (20.0, 40.0, 60.0)}


@pytest.fixture
def table():
    value = {
        "name": "mine", "title": "Samplings", "seeds": 3, "snapshot": "best", "best_of": 3, "metrics": ["fd"],
        "rows": [
            {"id": "scratch", "label": "Scratch", "method": "baseline"},
            {"id": "mix", "label": "Mix", "method": "disp"},
            {"id": "pure", "label": "Pure", "of": {"row": "mix"}, "evaluate": PURE},
        ],
        "columns": [{"id": "own", "label": "Own"}],
        "scales": {"mini": {
            "network": {"name": "sngan-32"}, "train": {"steps": 20, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
            "protocol": {"name": "p", "version": 1, "every": 10, "metrics": [{"name": "fd", "extractor": FD}]},
            "data": {"name": "shapes", "resolution": 32, "shots": 16}, "generated": 24, "reference": 24,
        }},
    }  # fmt: skip
    return Table.model_validate(value)


def results(fds=FDS, status="done"):
    """Two snapshots of each training, the second one worse; one line of each evaluation, at the first."""
    lines = []
    for row, values in fds.items():
        for seed, value in enumerate(values):
            common = {"row": row, "column": "own", "seed": seed, "metric": "fd", "extractor": FD, "kind": "train",
                      "status": status if row == "pure" else "done", "uid": f"{row}{seed}", "origin": "runs",
                      "commit": "abc"}  # fmt: skip
            if row == "pure":
                lines.append(
                    {**common, "step": 10, "value": value, "measure": "rescore", "run_score": FDS["mix"][seed]}
                )
            else:
                lines += [{**common, "step": 10, "value": value}, {**common, "step": 20, "value": value + 9}]
    return as_frame(lines, COLUMNS)


def cells(table, frame):
    return {block.rule: {row: block.cells[row, "own"] for row in FDS} for block in
            build_report(table, "mini", frame).blocks}  # fmt: skip


def test_an_evaluation_stands_under_the_tables_rule_alone(table):
    shown = cells(table, results())
    assert shown["best"]["pure"].values == FDS["pure"]
    assert shown["final"]["pure"].values == () and shown["final"]["pure"].total == 0, "not missing: it is not to be had"
    assert shown["final"]["mix"].values == tuple(value + 9 for value in FDS["mix"])


def test_rows_of_the_same_trainings_are_no_further_replicates(table):
    """Left out of the pool, they have their own sd; without them the pool is what it is in a table without the row."""
    shown = cells(table, results())["best"]
    alone = table.model_copy(update={"rows": table.rows[:2]})
    without = build_report(alone, "mini", results({row: FDS[row] for row in ("scratch", "mix")}))
    pooled = {row: without.blocks[0].cells[row, "own"].interval for row in ("scratch", "mix")}
    assert {row: shown[row].interval for row in pooled} == pooled and shown["mix"].pooled
    assert not shown["pure"].pooled and shown["pure"].interval.df == 2
    assert shown["pure"].interval.sd == pytest.approx(np.std(FDS["pure"], ddof=1))
    report = build_report(table, "mini", results())
    assert "; rows of the same trainings as one above them have their own." in report.caption[0]
    assert "same trainings" not in without.caption[0]


def test_a_rescored_row_has_its_own_best_seed(table):
    assert [cells(table, results())["best"][row].best_of for row in FDS] == [50.0, 30.0, 20.0]


OUTPUT = """
from bench.evaluate.card import Result, RunMeasure, Value
from bench.metrics.output import Output

MEASURES = [
    RunMeasure(
        name="toy",
        summary="a toy",
        outputs=(Output(name="toy_gap", summary="a", title="a toy's gap", short="gap", better="higher", unit="m"),),
        compute=lambda subject, settings: Result([Value("toy_gap", 1.0)]),
    )
]
"""


def test_an_output_has_its_own_card_and_the_best_seed_of_the_runs(table, load_plugin):
    """Seed 0 has the best run (30), whatever the output says of the seeds."""
    load_plugin(OUTPUT)
    rows = [row.model_copy(update={"evaluate": {"measure": "toy"}}) if row.id == "pure" else row for row in table.rows]
    toy = table.model_copy(update={"rows": tuple(rows), "metrics": ("fd", "toy_gap")})
    frame = results()
    frame.loc[frame["row"] == "pure", ["metric", "extractor", "measure"]] = ["toy_gap", "", "toy"]
    report = build_report(toy, "mini", frame)
    (block,) = [block for block in report.blocks if block.metric == "toy_gap" and block.rule == "best"]
    assert block.cells["pure", "own"].best_of == FDS["pure"][0] and block.cells["mix", "own"].values == ()
    assert block.title.startswith("gap in m, higher is better; best snapshot")
    text = " ".join(report.caption)
    assert "pure: evaluates runs trained for this table; measure toy; best snapshot." in text


def test_a_stale_or_diverged_evaluation_is_shown_and_in_no_mean(table):
    stale = cells(table, results(status="stale"))["best"]["pure"]
    assert stale.values == () and stale.statuses == {"stale": 3}
    frame = results()
    frame.loc[(frame["row"] == "pure") & (frame["seed"] == 1), ["status", "value", "step"]] = [
        "diverged",
        np.nan,
        pd.NA,
    ]
    diverged = cells(table, frame)["best"]["pure"]
    assert diverged.statuses == {"done": 2, "diverged": 1} and diverged.spread.ok == 2 and diverged.interval is None
