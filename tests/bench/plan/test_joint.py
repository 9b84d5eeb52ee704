"""All tables as one plan: each run once, what tables share, what is left out."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.plan.expand import Table
from bench.plan.joint import make_joint_plan
from bench.plan.load import load_table, table_names
from bench.plan.runs import make_plan
from bench.plan.store_view import StoreView
from bench.plan.waiting import to_come
from bench.store.runs import Store

TABLES = ("disp/table1", "dip/table1")
MOST_TRAININGS = 360  # of a seed, at mini and at smoke, for all tables together


def joint(tables, store, scale="smoke", **choice):
    return make_joint_plan(
        [load_table(name) if isinstance(name, str) else name for name in tables], scale, store, **choice
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_each_run_is_there_once_and_called_by_the_first_table_that_has_it(store):
    plan = joint(TABLES, StoreView(store))
    apart = [make_plan(load_table(name), "smoke", store) for name in TABLES]
    uids = [run.uid for run in plan.runs]
    assert len(uids) == len(set(uids)) and set(uids) == {run.uid for part in apart for run in part.runs}
    assert len(uids) < sum(len(part.runs) for part in apart)
    labels = {run.uid: run.label for run in plan.runs}
    for name, part in reversed(list(zip(TABLES, apart, strict=True))):
        for run in part.runs:
            if not any(run.uid == other.uid for other in apart[0].runs) or part is apart[0]:
                assert labels[run.uid] == f"{name}: {run.label}"
    before = {}  # sources come before what needs them
    for place, run in enumerate(plan.runs):
        assert all(before.get(uid, place) < place for uid in run.needs)
        before[run.uid] = place


def test_what_tables_share_is_counted(store):
    alone = joint(["disp/table1"], StoreView(store)).sharing()
    both = joint(TABLES, StoreView(store)).sharing()
    one, other = ({run.uid for run in make_plan(load_table(name), "smoke", store, seeds=[0]).runs
                   if run.spec.kind == "train"} for name in TABLES)  # fmt: skip
    assert (alone.trainings, alone.shared, alone.evaluations) == (len(one), 0, 0)
    assert (both.trainings, both.shared) == (len(one | other), len(one & other)) and both.shared > 0
    rows = [len(load_table(name).pick_rows(None)) * len(load_table(name).columns) for name in TABLES]
    assert (alone.cells, both.cells) == (rows[0], sum(rows))


def test_other_seeds_change_the_runs_and_not_what_a_seed_takes(store):
    usual, others = (joint(TABLES, StoreView(store), seeds=seeds) for seeds in (None, [3, 4]))
    assert usual.sharing() == others.sharing()
    assert {run.spec.seed for run in others.runs if run.cells} == {3, 4}


def test_what_is_trained_for_the_evaluation_of_another_seed_is_not_counted(store):
    """A classifier is trained on the samples of each run of lt/table1, and has itself the seed 0."""
    plan = joint(["lt/cas"], StoreView(store), "mini")
    trained = {run.uid: run for run in plan.runs if run.spec.kind == "train"}
    on_samples = [run for run in trained.values() if "run" in run.spec.sources]
    assert len(on_samples) == 12 and {run.spec.seed for run in on_samples} == {0}
    # A seed: four runs and their classifiers; what a run starts from is trained once.
    assert plan.sharing().trainings == len(trained) - 2 * (4 + 4) == 9


def test_an_alias_is_the_other_table_and_what_waits_is_left_out(store):
    value = load_table("disp/table1").model_dump(exclude_unset=True)
    alias = Table.model_validate({**value, "name": "dip/other", "same_as": "disp/table1"})
    waiting = Table.model_validate({**value, "name": "disp/later", "evaluate": {"measure": "later-measure"}})
    plan = joint(["disp/table1", alias, waiting], StoreView(store))
    assert (plan.same, plan.waiting) == ({"dip/other": "disp/table1"}, {"disp/later": "later-measure"})
    assert [part.name for part in plan.parts] == ["disp/table1"]
    # Without the other table the alias is planned itself.
    assert [part.name for part in joint([alias], StoreView(store)).parts] == ["dip/other"]
    with pytest.raises(UserError, match=r"nothing to plan: every table waits for a measure \(disp/later\)"):
        joint([waiting], StoreView(store))


def test_the_store_is_looked_through_once_and_known_to_every_table(store, monkeypatch):
    table = load_table("disp/table1")
    spec = table.run_spec(table.rows[0], table.columns[0], 0, "smoke")
    folder = store.open(spec)
    folder.finish({"steps": 4, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
    scans, names = [], Store.uids
    monkeypatch.setattr(Store, "uids", lambda self: scans.append(1) or names(self))
    plan = joint(TABLES, StoreView(store))
    assert len(scans) == 1
    for runs in (plan.runs, *(part.runs for part in plan.parts)):
        assert {run.uid for run in runs if run.status == "done"} == {spec.uid}


def test_asking_again_asks_for_the_finished_runs_of_every_table(store):
    table = load_table("disp/table1")
    spec = table.run_spec(table.rows[0], table.columns[0], 0, "smoke")
    store.open(spec).finish({"steps": 4, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
    plan = joint(TABLES, StoreView(store))
    assert spec.uid not in {run.uid for run in plan.to_start(None)}
    plan.ask_again()
    assert plan.again == {spec.uid} and spec.uid in {run.uid for run in plan.to_start(None)}


def test_without_training_no_table_starts_one(store):
    plan = joint(TABLES, StoreView(store))
    plan.train_nothing()
    assert {run.spec.kind for run in plan.to_start(None)} == {"reference"}
    assert [{run.spec.kind for run in part.to_start(None)} for part in plan.parts] == [{"reference"}] * 2


@pytest.mark.parametrize("scale", ["smoke", "mini"])
def test_all_tables_together_are_within_their_budget(scale, store):
    tables = [load_table(name) for name in table_names()]
    there = [table for table in tables if scale in table.scales]
    plan = joint(there, StoreView(store), scale)
    assert plan.sharing().trainings <= MOST_TRAININGS
    assert set(plan.waiting) == {table.name for table in tables if to_come(table) is not None}
