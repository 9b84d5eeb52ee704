"""`bench run ALL` and what follows it, on a project of three small tables in place of those that ship."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from bench.cli.main import cli
from bench.errors import UserError
from bench.plan import fragments, load, table_files
from bench.spec.measures_to_come import MEASURES_TO_COME
from bench.store.runs import Store

pytestmark = pytest.mark.slow
METRICS = [{"name": "fd", "extractor": "effnet_lite0@32"}]
ONE = {
    "title": "One",
    "paper": "own",
    "seeds": 1,
    "snapshot": "best",
    "metrics": ["fd"],
    "rows": [{"id": "scratch", "label": "Scratch", "method": "baseline"}],
    "columns": [{"id": "few", "label": "Few"}, {"id": "many", "label": "Many"}],
    "scales": {
        "smoke": {
            "network": {"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}},
            "train": {"steps": 2, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
            "protocol": {"name": "p", "version": 1, "every": 2, "metrics": METRICS},
            "data": {"name": "shapes", "resolution": 32},
            "generated": 24,
            "reference": 40,
            "columns": {"few": {"data": {"shots": 10}}, "many": {"data": {"shots": 20}}},
        }
    },
}  # fmt: skip
TWO = {
    "extends": "all-own/one",
    "title": "Two",
    "rows": ["scratch", {"id": "augmented", "label": "Augmented", "method": "diffaugment + baseline"}],
    "columns": ["few"],
}
TWIN = {"same_as": "all-own/two", "title": "Twin", "labels": {"augmented": "With DiffAugment"}}
LATER = {**ONE, "title": "Later", "evaluate": {"measure": "later-measure"}}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Run commands in this process, whose folder of tables is this test's own, and in a folder of this test."""
    folder = tmp_path / "tables" / "all-own"
    folder.mkdir(parents=True)
    for name, value in {"one": ONE, "two": TWO, "twin": TWIN, "later": LATER}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
    for module in (fragments, load, table_files):
        monkeypatch.setattr(module, "TABLES", tmp_path / "tables")
    monkeypatch.setitem(MEASURES_TO_COME, "later-measure", "how much later it is")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        done = CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False)
        assert done.return_value in (None, 0), done.output
        return done.output

    return run


def test_each_run_is_trained_once_and_shown_by_every_table(bench, tmp_path):
    here = ("--store", "store")
    planned = bench("plan", "ALL", *here)
    assert "all-own/one  2 runs (2 planned); 2 to start" in planned
    assert "the same runs: all-own/twin = all-own/two" in planned
    assert "left out, as they wait for a measure: all-own/later (later-measure)" in planned
    assert "3 trainings a seed, 4 cells; 1 serve more than one table" in planned
    assert "ALL at scale smoke: 3 runs (3 planned); 3 to start" in planned
    # Three trainings serve the four cells, and the two of the twin.
    assert "3 runs finished" in bench("run", "ALL", "--jobs", "1", *here)
    assert len(list(Store(tmp_path / "store"))) == 3
    assert "ALL at scale smoke: 3 runs (3 done); 0 to start" in bench("plan", "ALL", *here)
    report = bench("report", "ALL", *here)
    for title in ("all-own/one: One", "all-own/two: Two", "all-own/twin: Twin"):
        assert title in report
    assert "With DiffAugment" in report and "missing" not in report
    assert "all-own/later: Later. Waits for the measure 'later-measure'" in report
    assert bench("list", "tables", *here).count("2 x 1, 2 done, 0 min") == 3
    # Without a name it is every table that has such runs
    assert "all-own/two: Two" in bench("report", "--set", "train.steps=2", *here)
    with pytest.raises(UserError, match="no table has runs at scale smoke"):
        bench("report", "--set", "train.steps=1", *here)
    # The recorded set has both tables; the twin is not written a second time.
    assert bench("record", "ALL", "--as", "mine", "--root", "sets", *here).count("wrote ") == 2
    written = pd.concat(pd.read_csv(path) for path in (tmp_path / "sets" / "mine").glob("*.csv"))
    assert set(written["table"]) == {"all-own/one", "all-own/two"} and written["uid"].nunique() == 3


def test_a_set_that_another_table_was_recorded_for_fills_in_its_twin(bench, tmp_path, monkeypatch):
    bench("run", "all-own/two", "--jobs", "1", "--store", "store")
    bench("record", "all-own/two", "--as", "mine", "--root", "sets", "--store", "store")
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    for name, cells in (("twin", 2), ("one", 1)):
        report = bench("report", f"all-own/{name}", "--recorded", "mine", "--store", "empty")
        assert f"{cells} done" in report and "some from recorded:mine" in report
    compared = bench(
        "compare", "augmented", "--table", "all-own/twin", "--against", "mine", "--rows", "scratch", "--store", "store"
    )
    assert "augmented against mine" in compared


def test_a_setting_that_some_table_cannot_have_leaves_that_one_out(bench_command, store_root):
    """sle/table5 and its figure look at steps that a shorter training does not reach; what none has is a mistake."""
    done = bench_command("plan", "ALL", "--set", "train.steps=4")
    assert done.returncode == 0 and "left out: sle/table5, as --set train.steps=4: cell baseline-20k/cat" in done.stderr
    assert "left out: sle/fig5" in done.stderr and done.stderr.count("left out") == 2
    assert "the run does not keep step 20000" in done.stderr
    wrong = bench_command("plan", "ALL", "--set", "train.stepz=4")
    assert wrong.returncode == 2 and "train.stepz" in wrong.stderr and len(wrong.stderr.splitlines()) == 1
