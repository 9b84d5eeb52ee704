"""A data set of one's own as a column: every verb that takes --columns knows it, and says whose it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.data.building import build
from bench.plan.load import load_table
from bench.store.runs import Store

MINE = ["--columns", "mine"]
LEVELS = {"scratch": {"mine": 100.0, "anime": 300.0}, "diffaugment": {"mine": 80.0, "anime": 200.0}}


@pytest.fixture
def trained(store_root, tmp_path, monkeypatch, fresh_registries):
    """Two rows on a set of the user's and on a column of the table, two seeds, at mini: as a worker leaves them."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    stream = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number in range(80):
        pixels = stream.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    build("mine", 32, tmp_path / "pictures", test_share=0.5, jobs=1)
    table = load_table("table1", columns=["mine"])
    store, uids = Store(store_root), {}
    for row in table.pick_rows(list(LEVELS)):
        for column in table.pick_columns(["mine", "anime"]):
            for seed in (0, 1):
                folder = store.open(table.run_spec(row, column, seed, "mini"))
                value = LEVELS[row.id][column.id] + seed
                score = {"step": 2000, "metric": "fd", "extractor": "effnet_lite0@96", "value": value, "version": 1}
                folder.append(folder.metrics_log, [score])
                folder.finish({"steps": 2000, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
                uids[row.id, column.id, seed] = folder.uid
    return uids


@pytest.fixture
def says(bench_command, trained, tmp_path):
    def says(*arguments, status=0):
        done = bench_command(*arguments, cwd=tmp_path, BENCH_RECORDED=str(tmp_path / "sets"))
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    return says


def test_plan_status_and_logs_know_it(says, trained):
    rows = ["--scale", "mini", "--rows", "scratch", "--seeds", "0..1"]
    told = says("plan", "table1", *rows, "--columns", "anime,mine", "--no-references")
    assert "4 runs (4 done); 0 to start" in told and trained["scratch", "mine", 1] in told
    assert "scratch · mine · seed 1" in says("status", "table1", "--all", *rows, *MINE)
    for column, where in {"mine": [], "anime": ["--table", "table1"]}.items():
        told = says("logs", "scratch", "--scale", "mini", "--seeds", "1", "--columns", column, *where)
        assert trained["scratch", column, 1] in told


def test_a_label_that_was_printed_finds_its_run_without_the_option(says, trained):
    """Among the tables of all papers, and in one."""
    assert trained["scratch", "mine", 1] in says("logs", "scratch · mine · seed 1")
    for label, column in (("scratch mine seed 1", "mine"), ("scratch · anime · seed 1", "anime")):
        assert trained["scratch", column, 1] in says("logs", label, "--table", "table1", "--scale", "mini")


def test_a_report_says_whose_it_is_and_judges_no_claim_by_it(says):
    both = says("report", "table1", "--scale", "mini", "--columns", "anime,mine", "--metric", "fd")
    whose = (
        "mine: mine, 32 px (a data set of your own, which the paper's claims and printed numbers are not about; the "
        "table's columns have up to 2000 reference images); 1000 generated against 40 reference images of the test "
        "split."
    )
    assert whose in " ".join(both.split())
    scratch = next(line for line in both.splitlines() if line.startswith("From scratch"))
    anime, mine = scratch.split("[120.38]")  # the paper's number, of anime alone
    assert "300.5" in anime and "100.5" in mine and "[" not in mine
    assert "Claims not tested" in both

    alone = " ".join(says("report", "table1", "--scale", "mini", *MINE, "--metric", "fd").split())
    assert whose in alone and "100.5" in alone and "300.5" not in alone
    for absent in ("[", "Claims not tested", "printed numbers are another", "avatars"):
        assert absent not in alone
    assert "of your own" not in alone.replace("(a data set of your own", "")


def test_without_the_option_a_report_names_the_runs_that_it_does_not_show(says):
    told = says("report", "table1", "--scale", "mini", "--metric", "fd")
    note = "Runs here on data sets of your own: mine (4); --columns mine shows them."
    assert note in told and "mine" not in told.replace(note, "") and "300.5" in told


def test_compare_and_record_know_it(says, tmp_path):
    scale = ["--scale", "mini", *MINE]
    told = says("compare", "diffaugment", "--against", "runs", *scale)
    assert "mine: diffaugment 80" in told and "anime" not in told and "rank 1 of 2" in told
    told = says("record", "table1", "--as", "kept", *scale)
    assert "4 new runs, 0 renewed, 0 kept" in told
    told = says("compare", "diffaugment", "--against", "kept", *scale)
    assert "mine: diffaugment 80" in told
    told = says("compare", "diffaugment", "--against", "cpu", *scale, status=2)
    assert (
        "recorded set 'cpu' has no finished 'fd' scores in column mine, where 'diffaugment' has some; it has columns "
        "anime, faces. --against runs compares" in told
    )


def test_a_mistyped_name_is_told_the_nearest(says):
    for verb in (["plan"], ["run"], ["report"], ["status"], ["submit", "--profile", "test-node"]):
        told = says(verb[0], "table1", *verb[1:], "--columns", "mime", status=2)
        assert told.splitlines()[-1].endswith("unknown column 'mime' of disp/table1; did you mean 'mine'?")
