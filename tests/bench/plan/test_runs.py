"""Plans: sources first and once, runs shared between tables, what would start, and ten thousand runs."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.plan.estimate import estimate_cost
from bench.plan.load import load_table
from bench.plan.runs import MOST_SEEDS, make_plan, parse_seeds
from bench.store.runs import Store


@pytest.fixture
def store(store_root):
    return Store(store_root)


def test_sources_stand_before_their_dependants_and_once(store):
    plan = make_plan(load_table("table1"), "smoke", store)
    place = {run.uid: number for number, run in enumerate(plan.runs)}
    assert len(place) == len(plan.runs)
    dependants = [run for run in plan.runs if run.needs]
    assert dependants and all(place[uid] < place[run.uid] for run in dependants for uid in run.needs)
    sources = {uid for run in dependants for uid in run.needs}
    assert len(sources) == 2, "one source network and one SimCLR serve every row, column and seed"
    assert all(not run.cells for run in plan.runs if run.uid in sources)


def test_cells_are_rows_times_columns_times_seeds(store):
    table = load_table("table1")
    plan = make_plan(table, "smoke", store, seeds=[0, 4])
    cells = [cell for run in plan.runs for cell in run.cells]
    rows = [row.id for row in table.pick_rows(None)] + list(table.references)
    assert len(cells) == len(set(cells)) == len(rows) * len(table.columns) * 2
    assert {cell.seed for cell in cells} == {0, 4}


@pytest.mark.parametrize("scale", ["smoke", "mini", "paper"])
def test_dip_shares_its_runs_with_disp(scale, store):
    disp = {run.uid for run in make_plan(load_table("disp/table1"), scale, store).runs}
    plan = make_plan(load_table("dip/table1"), scale, store, columns=["anime", "faces"])
    dip = {run.uid for run in plan.runs}
    assert dip < disp
    assert len(disp - dip) == 2 * 2 * 3, "only the two ADA rows are DISP's alone"


def test_settings_change_the_uid_and_the_reference_points_stay(store):
    plain = make_plan(load_table("table1"), "smoke", store)
    changed = make_plan(load_table("table1", {"train.steps": 61}), "smoke", store)
    shared = {run.uid for run in plain.runs} & {run.uid for run in changed.runs}
    kinds = {run.spec.kind for run in plain.runs if run.uid in shared and run.cells}
    assert kinds == {"reference"}, "a real image knows nothing of training steps"


def test_what_starts(store):
    table = load_table("table1")
    plan = make_plan(table, "smoke", store, rows=["scratch"], columns=["faces"], seeds=[0, 1])
    trained = [run for run in plan.runs if run.spec.kind == "train"]
    done, failed = (store.open(run.spec) for run in trained)
    done.finish({"diverged_at": None, "seconds": 2.0})
    failed.fail("reason")
    again = make_plan(table, "smoke", store, rows=["scratch"], columns=["faces"], seeds=[0, 1])
    assert again.counts() == {"planned": 6, "done": 1, "failed": 1}
    assert {run.uid for run in again.to_start(None)}.isdisjoint({done.uid, failed.uid})
    assert failed.uid in {run.uid for run in again.to_start("failed")}
    assert done.uid not in {run.uid for run in again.to_start("all")}
    assert failed.uid not in {run.uid for run in again.to_start("lost")}, "it was the method's own failure"
    failed.fail("No space left on device", "machine")
    broken = make_plan(table, "smoke", store, rows=["scratch"], columns=["faces"], seeds=[0, 1])
    assert failed.uid in {run.uid for run in broken.to_start("lost")}
    assert failed.uid not in {run.uid for run in broken.to_start(None)}
    cost = estimate_cost(again, store, "failed")
    assert cost.seconds == 2.0 + 6 * 6.0 and cost.measured_on == 1, "one run, six reference points"


def test_missing_weights_are_named_with_their_place(store, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    plan = make_plan(load_table("table1"), "paper", store, rows=["transfergan"])
    assert plan.missing_weights() == {"sngan-128-imagenet": str(tmp_path / "sngan-128-imagenet.pt")}
    (tmp_path / "sngan-128-imagenet.pt").touch()
    assert plan.missing_weights() == {}


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0..2", [0, 1, 2]), ("3", [3]), ("0,3", [0, 3]), ("4..5,0", [4, 5, 0]), ("1,1,0..1", [1, 0])],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "2..0", "-1", "0..", "1.5", f"0..{MOST_SEEDS}", "0..99999999999"])
def test_bad_seeds(text):
    with pytest.raises(UserError, match="seeds '"):
        parse_seeds(text)


def test_ten_thousand_runs(store, computes_within):
    table = load_table("table1")
    rows = [row.id for row in table.pick_rows(None)]
    seeds = range(-(-10_000 // (2 * (len(rows) + 3))))
    with computes_within(2):
        plan = make_plan(table, "smoke", store, seeds=seeds)
    assert len(plan.runs) >= 10_000
    assert len(plan.to_start(None)) == len(plan.runs)
