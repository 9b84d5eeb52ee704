"""A run with a setting and a label of one's own: what `run` makes, every verb can name, show, compare and keep."""

from __future__ import annotations

import pytest

from bench.plan.load import load_table
from bench.store.runs import Store

SET = ["--set", "train.steps=4"]
OURS = ["--method", "ours=r1 + baseline"]
LEVELS = {"scratch": 100.0, "ours": 80.0}


@pytest.fixture
def trained(store_root):
    """Scratch and a row of one's own, two seeds, with --set train.steps=4: as a worker leaves them."""
    spec = load_table("table1", {"train.steps": 4}).with_methods([OURS[1]])
    (faces,) = spec.pick_columns(["faces"])
    store, uids = Store(store_root), {}
    for row in spec.pick_rows(list(LEVELS)):
        for seed in (0, 1):
            folder = store.open(spec.run_spec(row, faces, seed, "smoke"))
            score = {
                "step": 4,
                "metric": "fd",
                "extractor": "effnet_lite0@64",
                "value": LEVELS[row.id] + seed,
            }
            folder.append(folder.metrics_log, [score])
            folder.finish({"steps": 4, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
            uids[row.id, seed] = folder.uid
    return uids


@pytest.fixture
def says(bench_command, trained, tmp_path):
    def says(*arguments, **env):
        done = bench_command(*arguments, cwd=tmp_path, BENCH_RECORDED=str(tmp_path / "sets"), **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return says


def test_plan_status_report_and_logs_name_it(says, trained):
    rows = ["--rows", "scratch", "--columns", "faces", "--seeds", "0..1", *SET, *OURS]
    assert "(6 planned, 4 done)" in says("plan", "table1", *rows).replace("4 done, 6 planned", "6 planned, 4 done")
    assert "ours · faces · seed 1" in says("status", "table1", "--all", *rows)
    assert trained["ours", 1] in says("logs", "ours faces seed 1", "--table", "table1", *SET, *OURS)
    told = says("report", "table1", "--metric", "fd", *rows)
    (scratch,) = {line.split("  ")[0] for line in told.splitlines() if line.startswith("From scratch")}
    assert scratch == "From scratch"
    assert any(line.startswith("ours ") and "(n=2)" in line and "80" in line for line in told.splitlines())
    assert "(added)" not in told and "missing" not in told.split("Runs:")[0] and "freezed" not in told
    assert "precision" not in told and "r1 + baseline (added)" in says(
        "report", "table1", "--metric", "fd", *SET, "--method", "r1 + baseline"
    )


def test_compare_record_and_list_name_it(says, trained, tmp_path):
    told = says("compare", "ours", "--against", "runs", *SET, *OURS)
    assert "ours against runs" in told and "Smoke numbers rank nothing" in told and "scratch" in told

    first = says("record", "table1", "--as", "mine", "--rows", "scratch", *SET)
    assert first.startswith(
        f"wrote {tmp_path / 'sets' / 'mine' / 'disp-table1-smoke.csv'}: 2 new runs, 0 renewed, 0 kept"
    )
    assert "left out, as they are of no row here or have other settings" in first
    assert "r1+baseline (2)" in first
    second = says("record", "table1", "--as", "mine", *SET, *OURS)
    assert "2 new runs, 2 renewed, 0 kept from before" in second and "left out" not in second
    listed = says("list", "recorded")
    assert "mine" in listed and "disp/table1 at smoke: 4 runs" in listed

    against = says("compare", "ours", "--against", "mine", *SET, *OURS)
    assert "ours against mine" in against and "not judged" in against
    elsewhere = says(
        "report",
        "table1",
        "--metric",
        "fd",
        "--recorded",
        "mine",
        *SET,
        *OURS,
        "--store",
        str(tmp_path / "x"),
    )
    assert any(line.startswith("ours ") and "(n=2" in line for line in elsewhere.splitlines())


def test_an_empty_search_says_where_it_looked(bench_command, trained, tmp_path):
    done = bench_command("compare", "ours", "--against", "mime", *SET, *OURS, BENCH_RECORDED=str(tmp_path / "sets"))
    assert done.returncode == 2
    assert f"unknown recorded set 'mime'; known: cpu (looked for in {tmp_path / 'sets'}, " in done.stderr


@pytest.mark.parametrize(
    "words", ["status table1", "report table1", "report dip --claims", "compare scratch --scale mini"]
)
def test_a_store_that_is_not_there_is_no_empty_one(words, bench_command, tmp_path):
    words = words.split()
    store = tmp_path / "misspelt"
    note = f"note: there is no store {store} (--store, $BENCH_STORE): no run is in it\n"
    done = bench_command(*words, BENCH_STORE=str(store))
    assert done.stderr.startswith(note) and not store.exists()
    store.mkdir()
    again = bench_command(*words, "--store", str(store))
    assert (again.returncode, again.stdout, note + again.stderr) == (done.returncode, done.stdout, done.stderr)
