"""Scores that look at the training images, in a run and at its reference points, and what is refused."""

import json

import numpy as np
import pytest
import torch

from bench.cli.main import cli
from bench.data import imageset
from bench.data.draws import training_images
from bench.data.reference import floor_beside_training
from bench.errors import UserError
from bench.metrics.of_training import looks_at_training, with_training, without_training
from bench.metrics.scorers import make_scorer, seed_matters
from bench.plan.load import load_table
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.results import load_results
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import DataSpec, MetricSpec, Protocol, reference_run
from bench.store.runs import Store

NAMES = ("fd", "mind", "generalisation_gap", "authenticity", "training_nearest")
ASKED = [{"name": name, "extractor": "effnet_lite0@32"} for name in NAMES]
TABLE = """\
schema_version: 1
title: Who copies
seeds: 1
snapshot: final
metrics: [mind, authenticity]
references: [floor, memorised]
rows:
  - {id: plain, label: Plain, method: baseline}
columns:
  - {id: few, label: Few}
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 2, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: copies, version: 1, every: 2, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      few: {data: {name: shapes, resolution: 32, shots: 40}, generated: 60, reference: 80}
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(TABLE)
    return path


def protocol(split=None, reference=80, **changes):
    specs = tuple(MetricSpec.model_validate(one) for one in ASKED)
    fields = {"name": "p", "version": 1, "generated": 60, "reference": reference, "metrics": specs, "every": 1}
    return Protocol(**fields | changes, reference_split=split)


def data(**fields):
    return DataSpec.model_validate({"name": "shapes", "resolution": 32, **fields})


def digests(images):
    return {one.tobytes() for one in images}


def test_a_run_and_its_points_have_them_and_copies_stand_out(table, store_root):
    """By `--set protocol.metrics`; the floor's images are neither in the reference nor in training."""
    torch.set_num_threads(1)
    spec, store = load_table(str(table), {"protocol.metrics": ASKED}), Store(store_root)
    values = {}
    for run in make_plan(spec, "smoke", store).runs:
        folder = store.open(run.spec)
        assert execute(run.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "done"
        of = run.spec.method[0].name
        values[of] = {line["metric"]: line["value"] for line in folder.metrics()}
        assert {line["n_generated"] for line in folder.metrics()} == {60}
    assert set(values) == {"floor", "memorised", "baseline"} and all(tuple(each) == NAMES for each in values.values())
    assert values["memorised"]["authenticity"] == 0 < 0.4 < values["floor"]["authenticity"]
    assert values["memorised"]["training_nearest"] == 1 > 0.6 > values["floor"]["training_nearest"]
    assert values["memorised"]["generalisation_gap"] < -300 < -80 < values["floor"]["generalisation_gap"]
    assert values["floor"]["mind"] < values["memorised"]["mind"] < values["baseline"]["mind"]
    # The report has them beside their floor, in a caption too.
    empty = build_report(spec, "smoke", load_results(spec, "smoke", store_root / "nothing"))
    assert not any("the floor of" in line or "no floor" in line for line in empty.caption), "nothing is scored yet"
    report = build_report(spec, "smoke", load_results(spec, "smoke", store))
    said = (
        "Few: the floor of authenticity and generalisation_gap and training_nearest is of 60 real images that are not"
    )
    assert any(line.startswith(said) for line in report.caption)


def test_the_floor_beside_training_is_of_images_that_nothing_else_has():
    shapes = imageset.load("shapes", 32)
    some = floor_beside_training(reference_run("floor", data(shots=40), protocol(), 1))
    drawn, reference = training_images(data(shots=40), 1).images, shapes.test[:80]
    assert len(digests(some)) == 60 and not digests(some) & (digests(drawn) | digests(reference))
    assert digests(some) <= digests(shapes.train)
    rest = floor_beside_training(reference_run("floor", data(), protocol(), 0))
    assert len(rest) == 60 and digests(rest) <= digests(shapes.test[80:]), "the whole pool is trained on"
    none = floor_beside_training(reference_run("floor", data(), protocol(reference=len(shapes.test)), 0))
    assert none.shape == (0, 32, 32, 3)
    beside = floor_beside_training(reference_run("floor", data(shots=40), protocol("training-images", 40), 0))
    assert digests(beside) <= digests(shapes.test)


def test_which_scores_look_and_when_the_seed_matters():
    both = protocol()
    assert [metric.name for metric in with_training(both).metrics] == [*NAMES[2:]]
    assert [metric.name for metric in without_training(both).metrics] == [*NAMES[:2]]
    plain = without_training(both)
    assert looks_at_training(both) and not looks_at_training(plain)
    assert seed_matters(both, data(shots=40)) and not seed_matters(plain, data(shots=40))
    assert not seed_matters(both, data()) and not seed_matters(both, data(shots=40, draw="fixed"))


def test_a_gap_to_what_is_not_held_out_is_refused(table, store_root):
    says = (
        "generalisation_gap compares training images with held-out ones, and reference_split: train-pool has none of "
        "these: it needs a data set with a test split as the reference"
    )
    changes = {"protocol.metrics": ASKED, "protocol.reference_split": "train-pool", "columns.few.reference": 30}
    spec = load_table(str(table), changes)
    found = {problem.text for problem in problems(make_plan(spec, "smoke", Store(store_root)))}
    assert says in found and len(found) == 2  # and training_nearest's
    with pytest.raises(UserError, match="has none of these"):
        make_scorer(protocol("all"), data(), 0)
    authentic = protocol(
        "training-images", reference=30, metrics=(MetricSpec(name="authenticity", extractor="alexnet@63"),)
    )
    (score,) = make_scorer(authentic, data(shots=40), 0).score(training_images(data(shots=40), 0).images)
    assert score.value == 0, "which needs nothing held out"


def test_anyones_images_are_scored_with_them_beside_a_floor(table, store_root, tmp_path, capsys):
    """`bench evaluate --measures`: scores that the protocol does not have, copies of the training images of seed 1."""
    copies = training_images(data(shots=40), 1).images[np.arange(60) % 40]
    np.save(tmp_path / "copies.npy", copies)
    words = ["evaluate", "--images", str(tmp_path / "copies.npy"), "--table", str(table), "--dataset", "shapes"]
    measures = ["--measures", "mind,authenticity,training_nearest"]
    said = {}
    for seed in ("1", "2"):
        cli.main(args=[*words, *measures, "--seed", seed, "--json"], standalone_mode=False)
        document = json.loads(capsys.readouterr().out)
        said[seed] = {one["metric"]: (one["value"], one["floor"]["value"]) for one in document["scores"]}
        assert f"the training images are those of seed {seed}" in document["notes"]
        assert {one["floor"]["origin"] for one in document["scores"]} == {"made now"}
    assert said["1"]["authenticity"][0] == 0 < 0.4 < said["1"]["authenticity"][1]
    assert said["1"]["training_nearest"][0] == 1 > 0.6 > said["1"]["training_nearest"][1]
    assert said["2"]["authenticity"][0] > 0 and said["1"]["mind"][1] < said["1"]["mind"][0] == said["2"]["mind"][0]
    with pytest.raises(UserError, match="--seed has no effect beside column few"):
        cli.main(args=[*words, "--measures", "mind", "--seed", "1"], standalone_mode=False)


def test_too_few_images_for_a_score_are_found_before_training(table, store_root):
    asked = [{"name": "fd_infinity", "extractor": "effnet_lite0@32"}]
    spec = load_table(str(table), {"protocol.metrics": asked, "columns.few.generated": 19})
    (found,) = problems(make_plan(spec, "smoke", Store(store_root)))
    assert found.text == "fd_infinity needs at least 20 generated images, and there are 19"


def test_training_images_are_those_of_the_seed():
    mine = [make_scorer(protocol(metrics=protocol().metrics[3:4]), data(shots=40), seed) for seed in (0, 1)]
    copies = np.array(training_images(data(shots=40), 0).images)
    assert mine[0].score(copies)[0].value == 0 < mine[1].score(copies)[0].value
