"""Evaluations of finished runs: their values are those of the training, and what kills, changes and mistakes do."""

from __future__ import annotations

import copy
import json
import os
import re
import signal

import numpy as np
import pytest
import torch

from bench import features, seeds
from bench.data.draws import training_images
from bench.evaluate.registry import parse_measure
from bench.plan.inputs import Machine
from bench.report.evaluation import evaluate_run
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.spec.run import RunSpec, evaluation_run
from bench.store.runs import Store
from evaluated import copied


@pytest.fixture
def store(store_root):
    torch.set_num_threads(1)
    return Store(store_root)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A store whose runs the tests get copies of."""
    return Store(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def work(store, kept):
    """Bring a run, and what it needs, to its end in this test's store; gives its folder."""

    def go(spec, outcome="done", should_stop=lambda: False):
        for source in spec.run_sources.values():
            go(source)
        if spec.kind == "train":
            copied(kept, store, spec)
        folder = store.open(spec)
        assert execute(spec.uid, store, Settings(torch.device("cpu")), should_stop, lambda *_: None) == outcome
        return folder

    return go


def rescore(run, snapshot="final", protocol=None, **settings):
    spec = parse_measure({"measure": "rescore", "snapshot": snapshot, **settings})
    return evaluation_run(spec, run, protocol or run.protocol)


def changed(run, **fields):
    """The run with other fields; a copy would keep its name."""
    return RunSpec(**{**{name: getattr(run, name) for name in RunSpec.model_fields}, **fields})


def scores(folder, step):
    """The score lines of a step without what differs from computation to computation, and without the measure."""
    keys = (
        "metric",
        "extractor",
        "value",
        "error",
        "n_generated",
        "n_reference",
        "extractor_sha256",
        "reference_sha256",
    )
    return [{key: line[key] for key in (*keys, "version", "reference_split")}
            for line in folder.metrics() if line["step"] == step]  # fmt: skip


def test_an_evaluation_is_a_task_with_a_name_of_its_own(tiny_spec):
    run = tiny_spec("disp", scored=True)
    task = rescore(run, sampling="pure")
    assert task.uid.startswith("rescore-disp-vgg16_shapes-32-16_s0_") and (task.seed, task.data) == (run.seed, run.data)
    others = [run, rescore(run), rescore(run, "best", sampling="pure"), rescore(tiny_spec("disp", seed=1, scored=True))]
    assert len({task.uid, *(other.uid for other in others)}) == 5
    later = run.protocol.model_copy(update={"every": 5, "first": 2})
    assert rescore(run, protocol=later, sampling="pure").uid == task.uid, "an evaluation has no snapshot schedule"
    assert RunSpec.model_validate_json(task.model_dump_json()).uid == task.uid
    for kind, measure in (("train", task.measure), ("evaluate", None)):
        with pytest.raises(ValueError, match="an evaluation has a measure, and nothing else has one"):
            changed(run, kind=kind, measure=measure)
    with pytest.raises(ValueError, match="no method, network or training of its own"):
        changed(task, network=run.network)


@pytest.mark.slow
def test_three_samplers_of_one_training_score_as_three_trainings_would(tiny_spec, work, store):
    """The settings of inference change no weight: a training with each of them has bit-equal weights, and its own
    scores are those of the evaluation of the one training. Without a sampler the run's own score comes again.
    """
    one = tiny_spec("disp(prior=random)", scored=True)
    trained = work(one)
    assert scores(work(rescore(one)), 6) == scores(trained, 6)
    best = work(rescore(one, "best"))
    (line,) = best.metrics()
    assert line["value"] == min(each["value"] for each in trained.metrics()) == line["run_score"]
    again = evaluate_run(reopen(trained, store, "best"), store)
    assert again.lines[0].score.value == line["value"] and again.lines[0].score.metric == line["metric"]
    seen = set()
    for sampling in ("pure", "gmm-2", "kmeans-3@12"):
        evaluated = work(rescore(one, sampling=sampling))
        other = tiny_spec(f"disp(prior=random, sampling={sampling})", scored=True)
        assert other.uid != one.uid
        itself = work(other)
        assert itself.result()["weights_sha256"] == trained.result()["weights_sha256"]
        assert scores(evaluated, 6) == scores(itself, 6) != scores(trained, 6)
        lines = evaluated.metrics()
        assert {(each["measure"], each["measure_version"]) for each in lines} == {("rescore", 1)}
        assert [each["run_score"] for each in lines] == [each["value"] for each in trained.metrics()[-1:]]
        assert len(evaluated.sheets()) == 1 and evaluated.result()["evaluated_step"] == 6
        seen.add(lines[0]["value"])
    assert len(seen) == 3


def test_another_protocol_scores_the_images_that_a_training_with_it_would_have_made(tiny_spec, work):
    """More images, in other batches: the last digits of an image depend on its batch."""
    one = tiny_spec("disp(prior=random)", scored=True)
    more = one.protocol.model_copy(update={"generated": 35, "batch": 10})
    evaluated = work(rescore(one, protocol=more))
    itself = work(changed(one, protocol=more))
    assert scores(evaluated, 6) == scores(itself, 6)
    assert evaluated.metrics()[0]["n_generated"] == 35


def test_what_is_recorded_of_an_evaluation(tiny_spec, work, store):
    one = tiny_spec("disp(prior=random)", scored=True)
    evaluated, trained = work(rescore(one, "best", sampling="pure")), store.folder(one.uid)
    record = evaluated.inputs()
    assert record["read"][f"run/{one.uid}"] == trained.result()["weights_sha256"]
    assert record["read"][f"best/{one.uid}"] == trained.result()["best_sha256"]
    assert {"data/shapes-32/train.npy", "extractor/effnet_lite0"} <= set(record["read"])
    assert set(record["sources"]) == {"measure/rescore", "part/disp", "network/sngan-32"}
    provenance = json.loads(evaluated.provenance_file.read_text())
    assert len(provenance) == 1 and evaluated.heartbeat()["memory"] > 0
    assert Machine(store).status(evaluated) == "done" and not evaluated.state.exists()
    work(rescore(one, "best", sampling="pure"))
    assert len(json.loads(evaluated.provenance_file.read_text())) == 1, "a finished evaluation is left alone"


def test_an_evaluation_is_stale_once_its_run_has_other_weights(tiny_spec, work, store):
    """Or is being trained anew; and stale with it, where the run's own inputs have changed."""
    one = tiny_spec("disp(prior=random)", scored=True)
    tasks = [rescore(one), rescore(one, "best")]
    folders, trained = [work(task) for task in tasks], store.folder(one.uid)
    record, result = trained.inputs(), trained.result()
    for key, which in (("weights_sha256", (True, True)), ("best_sha256", (False, True))):
        trained.finish({**result, key: "0" * 64})
        assert [bool(Machine(store).changes(folder)) for folder in folders] == list(which)
    assert Machine(store).changes(folders[1]) == [f"the best snapshot of its source run {one.uid}"]
    trained.finish(result)
    trained.write_inputs({**record, "read": {**record["read"], "data/shapes-32/train.npy": "0" * 64}})
    assert all(f"its source {one.uid} is stale" in Machine(store).changes(folder) for folder in folders)
    fresh = store.open(rescore(one, sampling="pure"))
    assert execute(fresh.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "stale"
    assert fresh.metrics() == [] and fresh.result() is None
    trained.write_inputs(record)
    store.set_aside(one.uid, "test")
    assert not Machine(store).changes(folders[0]), "an absent run says nothing"
    store.open(one)
    assert Machine(store).status(folders[0]) == "stale", "it is trained anew"
    work(one)
    assert [Machine(store).status(folder) for folder in folders] == ["done", "done"], "to the same bits"


def test_weights_that_are_not_those_of_the_record_are_not_evaluated(tiny_spec, work, store):
    one = tiny_spec("disp(prior=random)", scored=True)
    trained, other = work(one), work(tiny_spec("disp(prior=random)", seed=1, scored=True))
    other.best_weights.replace(trained.best_weights)
    folder = store.open(rescore(one, "best"))
    assert execute(folder.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "failed"
    assert "best.pt holds other weights than its run has recorded" in folder.error() and folder.cause() == "method"


def test_a_diverged_training_makes_its_evaluations_diverged(tiny_spec, work, store):
    """Without opening it: its weights are gone."""
    one = tiny_spec("disp(prior=random)", scored=True)
    trained = work(one)
    trained.finish({**trained.result(), "diverged_at": 4})
    trained.final_weights.unlink()
    folder = store.open(rescore(one))
    settings = Settings(torch.device("cpu"))
    assert execute(folder.uid, store, settings, lambda: False, lambda *_: None) == "diverged"
    assert (folder.status(), folder.metrics(), folder.result()["diverged_at"]) == ("diverged", [], 4)
    assert f"run/{one.uid}" in folder.inputs()["read"]


def test_a_failure_has_its_reason(tiny_spec, work, store):
    one = tiny_spec("unconditional", scored=True)
    settings = Settings(torch.device("cpu"))
    folder = store.open(rescore(one, sampling="pure"))
    for why in (r"is not finished \(planned\): train it first", "has no setting 'sampling' that it uses at inference"):
        assert execute(folder.uid, store, settings, lambda: False, lambda *_: None) == "failed"
        assert re.search(why, folder.error()), folder.error()
        store.open(one)
        work(one)


@pytest.mark.parametrize("how", ["stopped", "cancelled"])
def test_a_stopped_evaluation_leaves_nothing_and_begins_again(tiny_spec, work, store, how):
    one = tiny_spec("disp(prior=random)", scored=True)
    work(one)
    whole = scores(work(rescore(one)), 6)
    folder, asked = store.open(rescore(one, sampling="mix")), iter([False, False])
    assert work(rescore(one, sampling="mix"), "stopped", lambda: next(asked, True)) is not None
    assert (folder.metrics(), folder.result(), folder.status()) == ([], None, "interrupted")
    if how == "cancelled":
        folder.request_stop()
        work(rescore(one, sampling="mix"), "cancelled")
        folder.mark_queued()
    # As if it had been killed between its last lines and its result: they are computed again, once.
    (folder.metrics_log).write_text(json.dumps({"step": 6, "value": 1.0}) + "\n" + '{"step": 6, "torn')
    work(rescore(one, sampling="mix"))
    assert scores(folder, 6) == whole and len(folder.metrics()) == 1


def test_a_killed_evaluation_leaves_nothing_half_written(tiny_spec, work, store, store_root, run_server, wait_until):
    """Killed while it makes images, by a signal that no process can handle; the next attempt gives the whole record."""
    one = tiny_spec("disp(prior=random)", scored=True)
    work(one)
    many = one.protocol.model_copy(update={"generated": 20_000, "batch": 50})
    folder = store.open(rescore(one, protocol=many))
    pid = run_server.start(folder.uid, store_root)
    wait_until(lambda: folder.inputs() is not None and (folder.heartbeat() or {}).get("memory"))
    os.kill(pid, signal.SIGKILL)
    assert run_server.wait(pid)[0] == -signal.SIGKILL
    assert (folder.metrics(), folder.result(), folder.sheets()) == ([], None, [])
    assert folder.status() == "lost"
    fewer = rescore(one)
    folder = store.open(fewer)
    assert run_server.run(fewer.uid, store_root) == "done" and len(folder.metrics()) == 1


TOY = '''
"""Measures of one's own."""
import numpy as np
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output


class Settings(MeasureSettings):
    """count: images."""

    count: int = 5
    extractor: str = "effnet_lite0@32"


def compute(subject, settings):
    images = subject.images(settings.count)
    distance = np.linalg.norm(
        subject.features(images, settings.extractor).mean(0)
        - subject.features(subject.train_images, settings.extractor, keep=True).mean(0)
    )
    assert len(subject.test_images(7)) == 7 and subject.generator.training is False
    assert subject.discriminator is not None and len(subject.reference[0]) == 24
    assert np.array_equal(images, subject.sampled({}).images(settings.count))
    assert not np.array_equal(images, subject.sampled({"sampling": "pure"}).images(settings.count))
    draw = float(np.asarray(subject.stream("draw").initial_seed()) % 1000)
    return Result([Value("gap", distance, 0.5, len(images)), Value("draw", draw)][: LAST], images)


MEASURES = (
    RunMeasure(
        name="mean-gap",
        summary="distance of mean features from the training images'",
        settings=Settings,
        outputs=tuple(
            Output(name=name, summary=name, title=name, short=name, better="lower") for name in ("gap", "draw")
        ),
        compute=compute,
    ),
)
'''


def test_a_measure_of_ones_own_sees_the_run_and_is_recorded(tiny_spec, work, store, load_plugin):
    load_plugin(TOY.replace("LAST", "2"))
    one = tiny_spec("disp(prior=random)", scored=True)
    task = evaluation_run(parse_measure({"measure": "mean-gap", "count": 7}), one, one.protocol)
    folder = work(task)
    lines = {line["metric"]: line for line in folder.metrics()}
    network = features.load("effnet_lite0@32")
    made = reopen(store.folder(one.uid), store, "final").all_images(7)
    gap = np.linalg.norm(network(made).mean(0) - network(training_images(one.data, 0).images).mean(0))
    assert lines["gap"]["value"] == pytest.approx(float(gap), rel=1e-6)  # float32 means of the same features
    assert lines["draw"]["value"] == seeds.derive(0, "evaluate", "mean-gap", "draw") % 1000
    shared = {"extractor": "effnet_lite0@32", "measure": "mean-gap", "measure_version": 1, "version": 1, "step": 6}
    assert all(shared.items() <= line.items() for line in lines.values())
    assert (lines["gap"]["error"], lines["gap"]["n_generated"], lines["draw"]["error"]) == (0.5, 7, None)
    assert "measure/mean-gap" in folder.inputs()["read"] and Machine(store).status(folder) == "done"


def test_the_code_of_a_measure_of_ones_own_is_an_input(tiny_spec, work, store, load_plugin):
    load_plugin(TOY.replace("LAST", "2"))
    one = tiny_spec("disp(prior=random)", scored=True)
    folder = work(evaluation_run(parse_measure({"measure": "mean-gap"}), one, one.protocol))
    record = copy.deepcopy(folder.inputs())
    record["read"]["measure/mean-gap"] = "0" * 64
    folder.write_inputs(record)
    assert Machine(store).changes(folder) == ["code of the measure mean-gap"]


def test_a_measure_that_gives_other_outputs_than_its_card_says_fails(tiny_spec, work, store, load_plugin):
    load_plugin(TOY.replace("LAST", "1"))
    one = tiny_spec("disp(prior=random)", scored=True)
    folder = work(one) and store.open(evaluation_run(parse_measure({"measure": "mean-gap"}), one, one.protocol))
    settings = Settings(torch.device("cpu"))
    assert execute(folder.uid, store, settings, lambda: False, lambda *_: None) == "failed"
    assert "measure 'mean-gap' gives gap, and its card says gap, draw" in folder.error()
    assert folder.metrics() == [] and not folder.sheets()
