"""What a report says of where its runs come from: stale runs are in no cell, mixtures are named."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.plan.inputs import Machine
from bench.plan.load import load_table
from bench.report.baselines import baselines_of
from bench.report.build import build_report
from bench.report.compare import compare
from bench.report.frame import OPTIONAL, REQUIRED, as_frame
from bench.report.origins import judged, origin_notes, unlike
from bench.report.recorded import load_recorded, save_recorded
from bench.report.render.cell_text import cell_text
from bench.store.runs import Store

NEW, OLD = "a" * 64, "b" * 64
DATA = "data/own-32/train.npy"


def _line(row="scratch", seed=0, value=10.0, **more):
    line = {
        "row": row, "column": "anime", "metric": "fd", "extractor": "effnet_lite0@96", "seed": seed, "step": 20,
        "value": value, "error": None, "n_generated": 2000, "n_reference": 1000, "status": "done",
        "uid": f"{row}_{seed}", "origin": "runs", "kind": "train", "commit": "be04c86",
        "inputs": f"{DATA}={NEW[:16]}", "packages": "numpy 2.1.0, torch 2.14.1",
    }  # fmt: skip
    return {**line, **more}


def _frame(*lines):
    return as_frame(list(lines), (*REQUIRED, *OPTIONAL))


@pytest.fixture
def machine(store_root):
    """A machine that has no data."""
    return Machine(Store(store_root), {DATA: None})


def test_other_inputs_than_the_machines_are_stale_and_in_no_cell(store_root, table):
    machine = Machine(Store(store_root), {DATA: NEW})
    old = _line(seed=1, value=99.0, inputs=f"{DATA}={OLD[:16]}", origin="recorded:cpu")
    frame = judged(_frame(_line(), old), machine)
    assert list(frame["status"]) == ["done", "stale"]
    report = build_report(table(), "mini", frame)
    told = cell_text(report.blocks[0].cells["scratch", "anime"])
    assert told == "10 (n=1, 1 of 3 stale, 1 of 3 missing) [120.38]"
    (note,) = [line for line in report.notes if line.startswith("Stale")]
    assert "scratch · anime (seed 1)" in note and "data set own at 32 px (train images)" in note


def test_where_nothing_is_here_a_cell_still_holds_one_set_only(machine):
    """Of runs with different data, those of the store and the newest lines stay."""
    frame = judged(
        _frame(_line(seed=0, inputs=f"{DATA}={OLD[:16]}", origin="recorded:cpu"), _line(seed=1), _line(seed=2)),
        machine,
    )
    assert list(frame["status"]) == ["stale", "done", "done"]


def test_commits_and_packages_that_differ_within_a_cell_are_named_by_cell():
    frame = _frame(
        _line(seed=0),
        _line(seed=1, commit="60bbd0b"),
        _line("lt", seed=0, commit="60bbd0b"),
        _line("ada", seed=0),
        _line("ada", seed=1, packages="numpy 2.1.0, torch 2.4.0"),
    )
    assert origin_notes(frame) == (
        "scratch · anime: its seeds are of different making: code be04c86 (seed 0), 60bbd0b (seed 1).",
        "ada · anime: its seeds are of different making: packages torch 2.14.1 (seed 0); torch 2.4.0 (seed 1).",
    )
    assert origin_notes(_frame(_line(seed=0), _line(seed=1))) == ()


def test_what_is_not_known_is_said():
    frame = _frame(_line(inputs=""), _line("lt", edited="part lt, still version 1"))
    assert origin_notes(frame) == (
        "Code that has changed since runs shown here were trained with it: part lt, still version 1.",
        "Inputs not recorded, as the runs are from before they were: scratch · anime (seed 0).",
    )


def test_a_recorded_set_keeps_what_its_runs_were_made_from(tmp_path):
    frame = _frame(_line(), _line(seed=1))
    save_recorded(frame, "mine", "disp/table1", "mini", tmp_path)
    kept = load_recorded("mine", root=tmp_path)
    assert list(kept["inputs"]) == list(frame["inputs"]) and list(kept["packages"]) == list(frame["packages"])


def test_of_a_set_from_before_inputs_were_recorded_that_is_said(tmp_path, monkeypatch):
    kept = load_recorded("cpu", "disp/table1", "mini").assign(inputs="")
    save_recorded(kept.drop(columns=["table", "scale"]), "before", "disp/table1", "mini", tmp_path)
    monkeypatch.setattr("bench.report.recorded.recorded_roots", lambda: [tmp_path])
    ours = kept[kept["row"] == "scratch"].assign(row="mine", uid="mine", inputs=f"{DATA}={NEW[:16]}")
    _, remarks = baselines_of("before", load_table("table1"), "mini", ours, "mine", None, None)
    assert "Of 'before', inputs not recorded: whether data and weights were ours is not known." in remarks


def test_baselines_of_other_data_are_left_out_and_named():
    ours, same = _frame(_line("mine")), _line("lt")
    other = _line("ada", inputs=f"{DATA}={OLD[:16]}")
    assert unlike(ours, _frame(same, other)) == {("ada", "anime"): "data set own at 32 px (train images)"}


def test_compare_says_why_a_method_has_no_scores(table):
    ours = _frame(_line("scratch+disp", status="stale", changed="weights mine"))
    with pytest.raises(UserError, match=r"no finished 'fd' scores .*Stale, .*disp · anime .*: weights mine;"):
        compare(table(), "mini", "scratch+disp", ours, _frame(_line()), "cpu")
