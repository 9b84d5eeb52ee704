"""What runs are said to take: measured figures before a table's own, a table's own before nothing."""

from __future__ import annotations

import json

import pytest

from bench.errors import UserError
from bench.files.sizes import folder_bytes
from bench.plan.estimate import SCORING_SECONDS, Estimates, estimate_cost, kind
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.plan.schedule import PlannedRun
from bench.spec.scale import Resources
from bench.store.runs import Store


@pytest.fixture
def store(store_root):
    return Store(store_root)


def finished(store, spec, seconds, memory):
    folder = store.open(spec)
    folder.beat("done", 6, 6, None, memory=memory)
    folder.finish({"diverged_at": None, "seconds": seconds})


def test_finished_runs_of_the_kind_are_believed_first(store, tiny_spec):
    told = Resources(minutes=3, memory_gb=2, gpu_memory_gb=11)
    for seed, seconds in enumerate((10.0, 20.0, 90.0)):
        finished(store, tiny_spec(seed=seed), seconds, 1000 + seed)
    same = PlannedRun(tiny_spec(seed=9), resources=told)
    other = PlannedRun(tiny_spec("diffaugment + baseline"), resources=told)
    bare = PlannedRun(tiny_spec("diffaugment + baseline", seed=1))
    known = Estimates.measured(store, [same, other])
    assert (known.seconds(same), known.memory(same)) == (20.0, 1002), "median time, largest memory"
    assert (known.seconds(other), known.memory(other)) == (180.0, 2_000_000_000)
    assert known.gpu_memory(other) == 11_000_000_000
    assert (known.seconds(bare), known.memory(bare), known.gpu_memory(bare)) == (None, None, None)


def test_a_record_from_before_a_setting_is_of_the_same_kind(store, tiny_spec):
    spec = tiny_spec(seed=0)
    finished(store, spec, 10.0, 1000)
    record = store.folder(spec.uid).spec_file
    record.write_text(json.dumps(without_none(json.loads(record.read_text()))))
    assert Estimates.measured(store, [PlannedRun(tiny_spec(seed=1))]).seconds_of[kind(spec)] == [10.0]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"data": 3, "method": 4}', '{"measure": 1, "data": {"resolution": 8}, "sources": []}']
)
def test_a_damaged_record_is_named(text, store, tiny_spec):
    finished(store, tiny_spec(seed=0), 10.0, 1000)
    store.folder(tiny_spec(seed=0).uid).spec_file.write_text(text)
    with pytest.raises(UserError, match=r"spec\.json is not a run's spec.*move the run folder away"):
        Estimates.measured(store, [PlannedRun(tiny_spec(seed=1))])


def without_none(value):
    if not isinstance(value, dict):
        return value
    return {key: without_none(inner) for key, inner in value.items() if inner is not None}


def test_the_room_of_a_run_is_that_of_all_its_files(store, tiny_spec):
    finished(store, tiny_spec(seed=0), 10.0, 1000)
    folder = store.folder(tiny_spec(seed=0).uid).path
    (folder / "state").mkdir(exist_ok=True)
    (folder / "state" / "final.pt").write_bytes(b"x" * 12345)
    (folder / "elsewhere").symlink_to(folder)
    files = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    assert folder_bytes(folder) == sum(path.lstat().st_size for path in files)


def test_reference_points_are_short(store):
    plan = make_plan(load_table("table1"), "smoke", store, rows=["scratch"], columns=["faces"], seeds=[0])
    point = next(run for run in plan.runs if run.spec.kind == "reference")
    assert Estimates().seconds(point) == 6.0, "no longer than a training of the table"
    point.resources = Resources(minutes=600)
    assert Estimates().seconds(point) == SCORING_SECONDS


def test_a_plan_without_finished_runs_costs_what_its_table_says(store):
    def plan(scale):
        return make_plan(load_table("table1"), scale, store, rows=["scratch"], columns=["faces"], seeds=[0, 1])

    points = 2 * len(load_table("table1").references)
    assert estimate_cost(plan("smoke"), store).seconds == pytest.approx((2 + points) * 6.0)
    assert estimate_cost(plan("smoke"), store).measured_on == 0
    assert estimate_cost(plan("paper"), store).seconds is None, "nobody has measured the paper's scale"
