"""The local queue with evaluations: what becomes of them when their training is absent, failed or diverged."""

from __future__ import annotations

from bench.evaluate.registry import parse_measure
from bench.launch.local.queue import Queue
from bench.launch.slurm.packing import pack
from bench.plan.schedule import PlannedRun
from bench.spec.run import evaluation_run
from bench.store.runs import Store

BREAKS = '''
from bench.train import Method


class Breaks(Method):
    """It raises, or its loss is no number."""

    def __init__(self, *, raises: bool = True) -> None:
        self.raises = raises

    def after_step(self, ctx):
        if self.raises:
            raise RuntimeError("broken on purpose")
        return {"odd": float("nan")}
'''


class Silent:
    """A watcher that says nothing."""

    def started(self, run):
        pass

    def stepped(self, run, step, steps):
        pass

    def ended(self, run, outcome):
        pass

    def said(self, text):
        pass

    def tick(self):
        pass


def planned(spec):
    return PlannedRun(spec, needs=tuple(source.uid for source in spec.run_sources.values()))


def rescored(run, **settings):
    return evaluation_run(parse_measure({"measure": "rescore", **settings}), run, run.protocol)


def test_evaluations_wait_for_their_training_which_waits_for_its_source(tiny_spec, store_root):
    """All three are in nobody's list but the evaluation's; two evaluations share the training."""
    store, run = Store(store_root), tiny_spec("transfergan + baseline", scored=True)
    (source,) = run.run_sources.values()
    tasks = [rescored(run), rescored(run, sampling="pure")]
    outcomes = Queue(store, [planned(task) for task in tasks], ["cpu"], Silent()).work()
    assert outcomes == dict.fromkeys([source.uid, run.uid, *(task.uid for task in tasks)], "done")
    own, pure = (store.folder(task.uid).metrics()[0] for task in tasks)
    assert own["value"] == store.folder(run.uid).metrics()[-1]["value"] != pure["value"]


def test_a_failed_training_blocks_its_evaluation_and_a_diverged_one_is_recorded(
    tiny_spec, store_root, load_plugin, tmp_path
):
    load_plugin(BREAKS)
    store = Store(store_root)
    failing, diverging = (tiny_spec(f"breaks({what}) + baseline", scored=True) for what in ("", "raises=false"))
    runs = [planned(spec) for spec in (failing, rescored(failing), diverging, rescored(diverging))]
    outcomes = Queue(store, runs, ["cpu"], Silent(), [str(tmp_path / "mine.py")]).work()
    assert [outcomes[run.uid] for run in runs] == ["failed", "blocked", "diverged", "diverged"]
    assert store.folder(runs[1].uid).status() == "planned" and store.folder(runs[3].uid).metrics() == []


def test_on_a_cluster_the_array_of_evaluations_waits_for_that_of_their_trainings(tiny_spec):
    run = tiny_spec("transfergan + baseline", scored=True)
    (source,) = run.run_sources.values()
    tasks = [rescored(run), rescored(run, sampling="pure")]
    arrays = pack(
        [planned(spec) for spec in (source, run, *tasks)],
        seconds=lambda one: 1.0,
        memory=lambda one: None,
        devices=1,
        target_seconds=900,
        memory_mb=None,
        largest_array=10,
        parallel=4,
    )
    contents = [([one.uid for one in array.runs], sorted(array.after)) for array in arrays]
    assert contents == [([source.uid], []), ([run.uid], [0]), ([task.uid for task in tasks], [1])]
