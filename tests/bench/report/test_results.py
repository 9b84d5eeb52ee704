"""Run folders and recorded sets as one tidy frame."""

import math
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.paths import recorded_root
from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.recorded import RECORDED_COLUMNS, load_recorded, recorded_sets, save_recorded
from bench.report.results import COLUMNS, load_results
from bench.store.runs import Store


def write_run(store, spec, row, column, seed, values, diverged=None, done=True):
    """A run folder as a worker leaves it: one FD a step."""
    rows = {row.id: row for row in spec.rows}
    columns = {column.id: column for column in spec.columns}
    if row in rows:
        run = spec.run_spec(rows[row], columns[column], seed, "smoke")
    else:
        run = spec.reference_spec(row, columns[column], seed, "smoke")
    folder = store.open(run)
    folder.add_provenance({"bench": "0.1.0", "commit": "0123456789abcdef", "dirty": True})
    folder.append(
        folder.metrics_log,
        [
            {"step": step, "metric": "fd", "extractor": "effnet_lite0@64", "value": value, "error": None,
             "n_generated": 100, "n_reference": 200, "seconds": 0.1}
            for step, value in values.items()
        ],
    )  # fmt: skip
    if done:
        folder.finish({"steps": max(values), "diverged_at": diverged, "weights_sha256": None, "seconds": 1.0})
    return folder


@pytest.fixture
def shipped():
    return load_table("table1")


def test_an_empty_store_shows_every_planned_run_as_missing(tmp_path, shipped):
    frame = load_results("table1", "smoke", Store(tmp_path))
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["status"]) == {"missing"}
    assert frame["value"].isna().all() and frame["step"].isna().all()
    rows = [row for row in shipped.rows if row.printed_only is None and not row.control]
    planned = (len(rows) + len(shipped.references)) * len(shipped.columns) * shipped.seeds
    assert frame["uid"].nunique() == planned
    assert set(frame["row"]).isdisjoint({"bsa"})


def test_scores_statuses_and_counts_come_from_the_folders(tmp_path, shipped):
    store = Store(tmp_path)
    folder = write_run(store, shipped, "scratch", "anime", 0, {30: 120.0, 60: 110.0})
    write_run(store, shipped, "scratch", "anime", 1, {30: 500.0}, diverged=41)
    write_run(store, shipped, "scratch", "anime", 7, {60: 111.0})  # a seed beyond the table's own
    write_run(store, shipped, "floor", "anime", 0, {0: 9.0})
    write_run(store, shipped, "scratch-norm", "anime", 0, {60: 99.0})  # a control
    failed = write_run(store, shipped, "ada", "anime", 0, {30: 130.0}, done=False)
    (failed.path / "error.txt").write_text("MemoryError\n")
    frame = load_results(shipped, "smoke", store)

    mine = frame[frame["uid"] == folder.uid].sort_values("step")
    assert mine["value"].tolist() == [120.0, 110.0] and mine["step"].tolist() == [30, 60]
    line = mine.iloc[0]
    assert (line["row"], line["column"], line["seed"], line["metric"]) == ("scratch", "anime", 0, "fd")
    assert (line["extractor"], line["n_generated"], line["n_reference"]) == ("effnet_lite0@64", 100, 200)
    assert (line["status"], line["kind"], line["origin"], line["commit"]) == (
        "done",
        "train",
        "runs",
        "0123456789+",
    )
    status = {(r, s): t for r, s, t in zip(frame["row"], frame["seed"], frame["status"]) if t != "missing"}
    assert status[("scratch", 1)] == "diverged" and status[("scratch", 7)] == "done"
    assert status[("ada", 0)] == "failed" and status[("scratch-norm", 0)] == "done"
    assert frame[(frame["row"] == "floor") & (frame["seed"] == 0) & (frame["column"] == "anime")]["kind"].tolist() == [
        "reference"
    ]


def test_a_table_shares_its_runs_with_another(tmp_path, shipped):
    store = Store(tmp_path)
    write_run(store, shipped, "scratch", "faces", 0, {60: 100.0})
    frame = load_results("dip/table1", "smoke", store)
    assert frame[frame["status"] == "done"]["row"].tolist() == ["scratch"]


def test_record_and_read_back(tmp_path, shipped):
    store, root = Store(tmp_path / "store"), tmp_path / "recorded"
    write_run(store, shipped, "scratch", "anime", 0, {30: 120.125, 60: math.nan})
    frame = load_results(shipped, "smoke", store)
    saved = save_recorded(frame, "cpu", "disp/table1", "smoke", root)
    assert (saved.new, saved.replaced, saved.kept) == (1, 0, 0)
    assert saved.path == root / "cpu" / "disp-table1-smoke.csv"
    (root / "paper").mkdir()
    assert recorded_sets(root) == ["cpu"]
    back = load_recorded("cpu", "disp/table1", "smoke", root)
    assert back["value"].iloc[0] == 120.125 and math.isnan(back["value"].iloc[1])
    assert set(back["origin"]) == {"recorded:cpu"} and set(back["status"]) == {"done"}
    assert load_recorded("cpu", "dip/table1", root=root).empty


def test_a_recorded_set_says_a_scores_version_where_it_is_not_the_first(tmp_path, shipped):
    """A set from before has no such column, reads as version 1, and stays as it is when it is written again."""
    store, root = Store(tmp_path / "store"), tmp_path / "recorded"
    folder = write_run(store, shipped, "scratch", "anime", 0, {60: 120.0})
    path = save_recorded(load_results(shipped, "smoke", store), "cpu", "disp/table1", "smoke", root).path
    before = path.read_text()
    assert before.splitlines()[0] == ",".join(RECORDED_COLUMNS)
    back = load_recorded("cpu", root=root)
    assert back["version"].tolist() == [1]
    assert save_recorded(back[list(COLUMNS)], "cpu", "disp/table1", "smoke", root).path.read_text() == before
    recall = {"step": 60, "metric": "recall", "extractor": "vgg16@32", "value": 0.5, "version": 2}
    folder.append(folder.metrics_log, [recall])
    save_recorded(load_results(shipped, "smoke", store), "cpu", "disp/table1", "smoke", root)
    assert path.read_text().splitlines()[0] == ",".join((*RECORDED_COLUMNS, "version"))
    back = load_recorded("cpu", root=root)
    assert dict(zip(back["metric"], back["version"])) == {"fd": 1, "recall": 2}


def test_the_shipped_recorded_set_is_written_back_byte_for_byte(tmp_path):
    frame = load_recorded("cpu")
    assert len(frame) > 300
    for table, scale in set(zip(frame["table"], frame["scale"])):
        chosen = frame[(frame["table"] == table) & (frame["scale"] == scale)]
        made = save_recorded(chosen.drop(columns=["table", "scale"]), "cpu", table, scale, tmp_path).path
        assert made.read_bytes() == (recorded_root() / "cpu" / made.name).read_bytes()


def test_a_recorded_set_fills_in_for_absent_runs_only(tmp_path, shipped, monkeypatch):
    store, root = Store(tmp_path / "store"), tmp_path / "recorded"
    for seed in (0, 1):
        write_run(store, shipped, "scratch", "anime", seed, {60: 120.0})
    save_recorded(load_results(shipped, "smoke", store), "cpu", "disp/table1", "smoke", root)
    fresh = Store(tmp_path / "fresh")
    write_run(fresh, shipped, "scratch", "anime", 0, {60: 77.0})
    monkeypatch.setattr("bench.report.recorded.recorded_roots", lambda: [root])
    frame = load_results(shipped, "smoke", fresh, recorded="cpu")
    found = {
        s: (v, o) for s, v, o, t in zip(frame["seed"], frame["value"], frame["origin"], frame["status"]) if t == "done"
    }
    assert found == {0: (77.0, "runs"), 1: (120.0, "recorded:cpu")}


def test_mistakes_are_named(tmp_path, shipped):
    (tmp_path / "cpu").mkdir()
    with pytest.raises(UserError, match="unknown recorded set 'cpx'; known: cpu .looked for in "):
        load_recorded("cpx", root=tmp_path)
    (tmp_path / "cpu" / "bad.csv").write_text("row,column\n")
    with pytest.raises(UserError, match=r"bad.csv:1: the header must be"):
        load_recorded("cpu", root=tmp_path)
    (tmp_path / "cpu" / "bad.csv").write_text(",".join((*RECORDED_COLUMNS, "verison")) + "\n")
    with pytest.raises(UserError, match=r"bad.csv:1: .*; version, .* may follow"):
        load_recorded("cpu", root=tmp_path)
    frame = load_results(shipped, "smoke", Store(tmp_path / "none"))
    with pytest.raises(UserError, match="nothing of disp/table1"):
        save_recorded(frame, "cpu", "disp/table1", "smoke", tmp_path)
    with pytest.raises(UserError, match="lower-case"):
        save_recorded(frame, "../x", "disp/table1", "smoke", tmp_path)
    with pytest.raises(UserError, match="no scale"):
        load_results(shipped, "huge", Store(tmp_path / "none"))


def test_a_table_of_no_paper_has_no_papers_numbers_and_no_papers_order(store_root):
    spec = load_table(str(Path(__file__).parents[3] / "experiments" / "families.yaml"))
    report = build_report(spec, "mini", load_results(spec, "mini", Store(store_root)))
    text = " ".join(report.caption)
    assert report.paper is None and "printed" not in text and "the paper's order" not in text
    assert "the table's rule is the final snapshot" in text
