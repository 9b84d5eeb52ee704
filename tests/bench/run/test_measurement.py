"""Measures that look at no finished run: planned, run alone, reported with their machine; and the cost of a step."""

from __future__ import annotations

import json

import pytest
import torch
import yaml

from bench import networks
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, PlainSettings, Result, RunMeasure, Value
from bench.evaluate.registry import parse_measure
from bench.evaluate.step_cost import step_cost
from bench.launch.local.queue import Queue
from bench.launch.slurm.packing import pack
from bench.metrics.output import Output
from bench.plan.inputs import Machine
from bench.plan.kinds import kind
from bench.plan.load import load_table
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.plan.schedule import PlannedRun
from bench.report.build import build_report
from bench.report.compare import compare
from bench.report.results import load_results
from bench.run.build import build_context
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.spec.measurement import measurement_run
from bench.spec.run import RunSpec, evaluation_run
from bench.store.runs import Store
from bench.train.bare_steps import BareSteps

TABLE = {
    "title": "What steps cost", "seeds": 1, "snapshot": "final",
    "metrics": ["seconds_per_step", "memory_gb", "parameters_m"],
    "evaluate": {"measure": "cost", "steps": 2, "rounds": 2},
    "rows": [
        {"id": "small", "label": "Small", "method": "unconditional"},
        {"id": "large", "label": "Large", "method": "diffaugment"},
    ],
    "columns": [{"id": "shapes", "label": "Shapes"}],
    "scales": {"mini": {
        "data": {"name": "shapes", "resolution": 32, "shots": 16}, "stand_in": "shapes for faces",
        "network": {"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}},
        "train": {"steps": 2, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
        "rows": {"large": {"network": {"name": "sngan-32", "options": {"g_width": 64, "d_width": 64}}}},
    }},
}  # fmt: skip


def written(folder, **changes):
    path = folder / "cost.yaml"
    path.write_text(yaml.safe_dump({**TABLE, **changes}, sort_keys=False))
    return str(path)


def cost_of(run, **settings):
    """The task that measures the cost of a run's step."""
    spec = parse_measure({"measure": "cost", "steps": 1, "rounds": 1, **settings}, "best")
    return measurement_run(spec, run.data, run.seed, method=run.method, network=run.network, train=run.train)


def test_a_measurement_is_a_task_of_what_its_measure_asks_for(tiny_spec):
    """No snapshot, no sampling, no protocol; the training of the same settings has another name, and keeps it."""
    run = tiny_spec("disp(prior=random)")
    task = cost_of(run)
    assert task.uid.startswith("cost-disp-random_shapes-32-16_s0_") and task.evaluated is None
    assert task.measure.settings == {"steps": 1, "rounds": 1}
    assert {"protocol", "network", "train", "method"} - set(json.loads(task.canonical())) == {"protocol"}
    alone = measurement_run(task.measure, run.data, 0)
    assert set(json.loads(alone.canonical())) == {
        "data",
        "kind",
        "measure",
        "method",
        "schema_version",
        "seed",
        "sources",
    }
    assert alone.uid.startswith("cost_shapes-32-16_s0_")
    assert RunSpec.model_validate_json(task.model_dump_json()).uid == task.uid
    with pytest.raises(ValueError, match="of a run has no method, network or training of its own"):
        other = evaluation_run(parse_measure({"measure": "rescore"}), run, tiny_spec(scored=True).protocol)
        RunSpec(**{**{name: getattr(other, name) for name in RunSpec.model_fields}, "network": run.network})
    assert len({kind(one) for one in (task, alone, cost_of(tiny_spec("diffaugment")))}) == 3


def test_it_runs_through_every_verb(tmp_path, bench_command, store_root):
    """Nothing is trained for it, also where nothing may be; the report says the machine."""
    path, here = written(tmp_path), ["--scale", "mini"]
    planned = bench_command("plan", path, *here)
    assert "2 runs, of which 2 evaluations" in planned.stdout and "2 measurements of time: each" in planned.stdout
    done = bench_command("run", path, *here, "--jobs", "2", "--no-train")
    assert done.returncode == 0 and "2 runs finished" in done.stdout, done.stdout + done.stderr
    assert "small · shapes · seed 0" in bench_command("status", path, *here, "--all").stdout
    report = " ".join(bench_command("report", path, *here).stdout.split())
    assert "Measured on: " in report and "thread" in report
    assert "measure cost, steps 2, rounds 2; of no trained run." in report.lower()
    assert "Shapes: shapes" in report and "generated against" not in report

    table, store = load_table(path), Store(store_root)
    assert problems(make_plan(table, "mini", store), deep=True) == []
    results = load_results(table, "mini", store)
    by_row = results.set_index(["row", "metric"])["value"]
    for row in table.rows:
        spec = table.shown_spec(row, table.columns[0], 0, "mini")
        parts = networks.build(spec.network.name, **spec.network.options)
        count = sum(parameter.numel() for part in parts for parameter in part.parameters())
        assert by_row[row.id, "parameters_m"] == pytest.approx(count / 1e6)
        folder = store.folder(spec.uid)
        assert {"data/shapes-32/train.npy"} <= set(folder.inputs()["read"])
        assert {"measure/cost", f"part/{spec.method[0].name}"} <= set(folder.inputs()["sources"])
        assert Machine(store).status(folder) == "done"
        with pytest.raises(UserError, match="is a measurement of no finished run: it has no generator"):
            reopen(folder, store, "final")
    assert by_row["large", "memory_gb"] > by_row["small", "memory_gb"] >= 0
    assert by_row["small", "hours_per_10k"] == pytest.approx(by_row["small", "seconds_per_step"] * 10_000 / 3600)
    done = bench_command("record", path, *here, "--as", "mine", "--root", str(tmp_path / "sets"))
    assert done.returncode == 0 and "machine" in next((tmp_path / "sets" / "mine").glob("*.csv")).read_text()[:600]


def test_numbers_of_several_machines_are_not_compared(tmp_path):
    """No mark across them, no rank, and a note; parameters, which no machine changes, are marked."""
    table = load_table(written(tmp_path, seeds=3))
    results = load_results(table, "mini", Store(tmp_path / "none"))
    results["status"], results["step"], results["machine"] = "done", 0, "a"
    results["value"] = results["row"].map({"small": 1.0, "large": 9.0}) + 0.01 * results["seed"].astype(float)
    one = {block.metric: block for block in build_report(table, "mini", results).blocks}
    assert one["seconds_per_step"].cells["small", "shapes"].mark == "best"
    results.loc[results["row"] == "large", "machine"] = "b"
    two = {block.metric: block for block in build_report(table, "mini", results).blocks}
    assert two["seconds_per_step"].cells["small", "shapes"].mark == ""
    assert "Taken on 2 machines (a; b): nothing is marked across them." in two["seconds_per_step"].notes
    assert two["parameters_m"].cells["small", "shapes"].mark == "best"
    with pytest.raises(UserError, match=r"taken on several machines \(a; b\), and is not compared across"):
        compare(table, "mini", "small", results[results["row"] == "small"], results[results["row"] == "large"])


class Watch:
    """What is at work, at each start."""

    def __init__(self):
        self.now, self.beside = set(), {}

    def started(self, run):
        self.beside[run.uid] = set(self.now)
        self.now.add(run.uid)

    def ended(self, run, outcome):
        self.now.discard(run.uid)

    def stepped(self, run, step, steps):
        pass

    def said(self, text):
        pass

    def tick(self):
        pass


def test_time_is_measured_with_nothing_else_at_work(tiny_spec, store_root):
    """Two slots: the measurement waits for the first training, and the last one for the measurement."""
    specs = [tiny_spec(seed=1), cost_of(tiny_spec()), tiny_spec(seed=2), tiny_spec(seed=3)]
    runs, watch = [PlannedRun(spec) for spec in specs], Watch()
    assert [run.exclusive for run in runs] == [False, True, False, False]
    outcomes = Queue(Store(store_root), runs, ["cpu", "cpu"], watch).work()
    assert set(outcomes.values()) == {"done"}
    measured = runs[1].uid
    assert watch.beside[measured] == set() and all(measured not in beside for beside in watch.beside.values())


def test_a_cluster_gives_it_a_machine_of_its_own(tiny_spec):
    specs = [tiny_spec(seed=1), cost_of(tiny_spec()), tiny_spec(seed=2), cost_of(tiny_spec(seed=1))]
    arrays = pack(
        [PlannedRun(spec) for spec in specs], seconds=lambda run: 1.0, memory=lambda run: None, devices=4,
        target_seconds=900, memory_mb=None, largest_array=10, parallel=4,
    )  # fmt: skip
    assert [(array.exclusive, len(array.runs)) for array in arrays] == [(False, 2), (True, 2)]


def test_a_stopped_measurement_leaves_nothing(tiny_spec, store_root):
    store, asked = Store(store_root), iter([False])
    folder = store.open(cost_of(tiny_spec(), steps=1, rounds=50))
    settings = Settings(torch.device("cpu"))
    assert execute(folder.uid, store, settings, lambda: next(asked, True), lambda *_: None) == "stopped"
    assert (folder.metrics(), folder.result(), folder.status()) == ([], None, "interrupted")


def test_the_clock_runs_over_rounds_of_steps(tiny_spec, store_root, monkeypatch):
    """A clock of one second a reading: each round of two steps is read at its begin and its end."""
    readings = iter(range(100))
    monkeypatch.setattr("bench.evaluate.step_cost.time.perf_counter", lambda: float(next(readings)) ** 2)

    def build(steps):
        assert steps in (1, 7), "a first step for what it loads, and one that is not timed"
        return BareSteps(*build_context(tiny_spec(steps=steps), Store(store_root), torch.device("cpu")))

    taken = step_cost(build, "cpu", steps=2, rounds=3)
    assert taken.seconds == (0.5, 2.5, 4.5), "1 - 0, 9 - 4 and 25 - 16 seconds, over two steps"
    assert (taken.mean, taken.spread) == (2.5, 2.0) and taken.peak_bytes > 0


def card(**changes):
    output = Output(name="a_count", summary="", title="a count", short="n", better="none")
    own = {"name": "toy", "summary": "", "compute": lambda material, settings: Result([Value("a_count", 1.0)])}
    return RunMeasure(**own | {"outputs": (output,), "of_run": False, "settings": PlainSettings} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": MeasureSettings}, "of_run is False, so its settings must extend PlainSettings"),
        ({"of_run": True}, "of_run is True, so its settings must extend MeasureSettings"),
        ({"outputs": ()}, "it looks at no run, so it must have outputs"),
        ({"uses": ("netwrok",)}, "uses names 'netwrok', must be of method, network, train, protocol"),
        (
            {"of_run": True, "settings": MeasureSettings, "uses": ("network",)},
            "uses is for a measure that looks at no run",
        ),
    ],
)
def test_a_card_that_cannot_be_is_refused(changes, message):
    card()
    with pytest.raises(UserError, match=message):
        card(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate": {"measure": "cost", "snapshot": "best"}}, "measure 'cost': snapshot: unknown key"),
        ({"of": "disp/table1"}, "of: .*measure 'cost' looks at no run; leave this out"),
        (
            {"scales": {"mini": {"data": {"name": "shapes", "resolution": 32}}}},
            "small/shapes has no network; give it in",
        ),
    ],
)
def test_a_table_of_such_a_measure_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        load_table(written(tmp_path, **changes))
    assert "\n" not in str(caught.value)
