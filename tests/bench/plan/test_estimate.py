"""What runs are said to take: measured figures before a table's own, a table's own before nothing."""

from __future__ import annotations

import json
import time

import pytest

from bench.errors import UserError
from bench.files.sizes import folder_bytes
from bench.plan import estimate
from bench.plan.estimate import SCORING_SECONDS, Estimates, estimate_cost
from bench.plan.kinds import RecordedKinds, kind
from bench.plan.load import load_table
from bench.plan.runs import Plan, make_plan
from bench.plan.schedule import PlannedRun
from bench.spec.resources import Resources
from bench.store.heartbeat import Heartbeat
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


def test_a_plan_looks_at_the_files_of_some_of_many_runs(tmp_path, monkeypatch):
    for number in range(10):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "spec.json").write_bytes(b"x" * (100 + number))
    known = Estimates(finished=[tmp_path / str(number) for number in range(10)])
    assert known.run_bytes() == 104, "the median of all, 104.5, in whole bytes"
    monkeypatch.setattr(estimate, "MOST_SIZED", 3)
    monkeypatch.setattr(estimate, "folder_bytes", lambda folder: looked_at.append(folder.name) or folder_bytes(folder))
    looked_at: list[str] = []
    assert (known.run_bytes(), looked_at) == (104, ["0", "4", "8"])


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


def set_steps(store, steps, **choice):
    """table1 at smoke with `--set train.steps`, and a row of the user's own."""
    overrides = {} if steps is None else {"train.steps": steps}
    table = load_table("table1", overrides).with_methods(["mine=diffaugment + baseline"])
    return make_plan(table, "smoke", store, rows=["scratch", "mine"], columns=["faces"], seeds=[7, 8], **choice)


def test_the_tables_figure_is_of_its_own_steps(store):
    own = next(run.spec.train.steps for run in set_steps(store, None).runs if run.spec.kind == "train")
    usual, longer, same = (set_steps(store, steps, references=False) for steps in (None, 50 * own, own))
    for plan, factor in ((usual, 1), (longer, 50), (same, 1)):
        cost = estimate_cost(plan, store)
        assert [span.expected for span in cost.spans.values()] == pytest.approx([6.0 * factor] * 4)
        assert cost.scaled == (factor > 1)
        assert {run.resources.memory_gb for run in plan.runs} == {1.5}
    points = [run for run in set_steps(store, 50 * own).runs if run.spec.kind == "reference"]
    assert points and {run.resources.minutes for run in points} == {0.1}, "they make no steps"


def test_runs_that_others_start_from_or_evaluate_have_their_own_steps(store):
    def minutes(name, **overrides):
        plan = make_plan(load_table(name, overrides), "smoke", store, seeds=[0], references=False)
        return {run.label: (run.resources.minutes, run.scaled) for run in plan.runs if run.spec.kind == "train"}

    usual, longer = minutes("table1"), minutes("table1", **{"train.steps": 120})
    sources = [label for label in usual if label.startswith("source")]
    assert sources and all(usual[label] == longer[label] for label in sources), "train.steps is not theirs"
    assert {longer[label][1] for label in usual.keys() - {*sources}} == {True}
    evaluated = minutes("disp/table4", **{"train.steps": 80})
    behind = {label: found for label, found in evaluated.items() if label.endswith("(training)")}
    own = minutes("disp/table4")
    assert behind and all(found == (own[label][0] * 2, True) for label, found in behind.items())


def test_a_source_takes_what_the_table_says_of_it(store):
    """SimCLR's steps of 64 images take many times as long as those of the rows that look at its features."""
    plan = make_plan(load_table("table1"), "mini", store, rows=["freezed+disp-simclr"], seeds=[0], references=False)
    sources = {run.spec.method[0].name: run for run in plan.runs if not run.cells}
    assert {name: run.resources.minutes for name, run in sources.items()} == {"class-conditional": 19, "simclr": 71}
    table = plan.table.at("mini").resources
    assert {run.resources.memory_gb for run in sources.values()} == {table.memory_gb}, "where the source says nothing"
    assert {run.resources for run in plan.runs if run.cells} == {table}
    # Also where others have been measured, which are no measure of it
    row = next(run for run in plan.runs if run.cells)
    interrupted(store, row.spec, 1000, 10.0)
    spans = estimate_cost(plan, store).spans
    assert spans[row.uid].expected == pytest.approx(row.spec.train.steps / 10)
    assert spans[sources["simclr"].uid].expected == 71 * 60


def interrupted(store, spec, step, rate):
    folder = store.open(spec)
    folder.beat("stopped", step, spec.train.steps, rate)


def test_an_interrupted_run_and_runs_of_other_steps_tell_the_pace(store, tiny_spec):
    interrupted(store, tiny_spec(steps=1000), 240, 2.0)
    same, twice = PlannedRun(tiny_spec(steps=1000, seed=1)), PlannedRun(tiny_spec(steps=2000))
    known = Estimates.measured(store, [same, twice])
    assert (known.seconds(same), known.seconds(twice)) == (500.0, 1000.0), "half a second a step"
    finished(store, tiny_spec(steps=500, seed=2), 100.0, 1000)
    known = Estimates.measured(store, [twice])
    low, expected, high = known.span(twice, None)
    assert (low, expected, high) == (400.0, 700.0, 1000.0), "0.2 and 0.5 seconds a step"
    finished(store, tiny_spec(steps=2000, seed=2), 333.0, 1000)
    assert Estimates.measured(store, [twice]).seconds(twice) == 333.0, "runs of the very kind win"


def test_a_pace_over_few_steps_counts_where_there_is_nothing_else(store, tiny_spec):
    finished(store, tiny_spec(steps=10), 30.0, 1000)
    told = PlannedRun(tiny_spec(steps=1000), resources=Resources(minutes=1))
    bare, near = PlannedRun(tiny_spec(steps=1000, seed=1)), PlannedRun(tiny_spec(steps=200), resources=told.resources)
    known = Estimates.measured(store, [told, bare, near])
    assert known.seconds(told) == 60.0, "10 of 1000 steps are mostly the start"
    assert (known.seconds(bare), known.seconds(near)) == (3000.0, 600.0)


def test_what_one_kind_is_known_to_take_stands_in_for_others_step_by_step(store, tiny_spec):
    interrupted(store, tiny_spec(steps=1000), 240, 2.0)
    runs = [PlannedRun(tiny_spec(steps=1000)), PlannedRun(tiny_spec("diffaugment + baseline", steps=100))]
    table = load_table("table1")
    cost = estimate_cost(Plan(table, "smoke", runs), store)
    assert [span.expected for span in cost.spans.values()] == [500.0, 50.0]
    assert (cost.measured_on, cost.paced_on, cost.scaled) == (0, 1, True)


def test_a_heartbeat_keeps_the_rate_of_a_run_that_stops(store, tiny_spec, monkeypatch):
    """A run whose steps go on until it stops has told how many a second it made."""
    monkeypatch.setattr("bench.store.heartbeat.HEARTBEAT_SECONDS", 0.01)
    folder = store.open(tiny_spec(steps=1000))
    with Heartbeat(folder, 1000) as beat:
        until = time.monotonic() + 10
        while (folder.heartbeat() or {}).get("rate") is None and time.monotonic() < until:
            beat.step += 1
            time.sleep(0.01)
        beat.step += 10
    last = folder.heartbeat()
    assert last["state"] == "stopped" and last["step"] == beat.step
    assert 1 < last["rate"] < 10_000


@pytest.mark.parametrize(("own", "minutes"), [("", 0.3), ("    resources: {minutes: 0.1}\n", 0.1)])
def test_a_table_that_extends_another_scales_the_figure_that_it_inherits(own, minutes, store, tmp_path):
    text = f"""schema_version: 1
extends: disp/table1
title: Three times as long
rows: [scratch]
columns: [faces]
scales:
  smoke:
    train: {{steps: 180}}
{own}"""
    (tmp_path / "longer.yaml").write_text(text)
    for steps, factor in ((None, 1), (360, 2)):
        table = load_table(str(tmp_path / "longer.yaml"), {"train.steps": steps} if steps else None)
        plan = make_plan(table, "smoke", store, seeds=[0], references=False)
        assert [run.resources.minutes for run in plan.runs] == [pytest.approx(minutes * factor)]


def test_a_training_that_another_table_lends_takes_what_that_table_says(store):
    """sle/table8 has no figure: its trainings are those of sle/table2 and sle/table3, fine-tuned from nothing."""
    for steps, factor in ((None, 1), (1000, 0.5)):
        table = load_table("sle/table8", {"train.steps": steps} if steps else None)
        runs = make_plan(table, "mini", store, seeds=[0]).runs
        lent = [run.resources for run in runs if run.spec.kind == "train"]
        minutes = load_table("sle/table2").at("mini").resources.minutes
        assert len(lent) == 6 and {one.minutes for one in lent} == {minutes * factor}
        evaluations = [run for run in runs if run.spec.kind == "evaluate"]
        assert {run.resources for run in evaluations} == {Resources(minutes=minutes)}, "at most, and whatever the steps"


def test_records_that_differ_in_their_seeds_alone_are_looked_at_once(store, tiny_spec):
    known = RecordedKinds()
    specs = [tiny_spec(seed=0), tiny_spec(seed=12), tiny_spec("diffaugment + baseline")]
    assert [known.of(store.open(spec)) for spec in specs] == [kind(spec) for spec in specs]
    folder = store.folder(specs[1].uid)
    folder.spec_file.unlink()
    with pytest.raises(UserError, match="is not a run folder"):
        known.of(folder)
