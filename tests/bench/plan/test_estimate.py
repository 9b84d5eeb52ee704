"""What runs are said to take: measured figures before a table's own, a table's own before nothing."""

from __future__ import annotations

import pytest

from bench.plan.estimate import SCORING_SECONDS, Estimates, estimate_cost
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
