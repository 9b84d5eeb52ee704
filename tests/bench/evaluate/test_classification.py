"""Scores by a classifier: top-k shares, the Inception score, the accuracy of a classifier of samples, on tiny runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from bench.data import imageset
from bench.errors import UserError
from bench.evaluate.registry import gives, parse_measure, refuse_impossible, source_roles
from bench.features.classifier import trained_classifier
from bench.files.weights import read_weights
from bench.metrics.classes import inception_score, top_accuracy
from bench.run.reopen import reopen
from bench.spec.run import DataSpec, RunSpec
from bench.store.runs import Store
from evaluated import evaluation, finished, values


@pytest.mark.parametrize("k", [1, 3, 5])
def test_top_accuracy_is_scikit_learns(k):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 7)), rng.integers(0, 7, 200)
    assert top_accuracy(logits, labels, k) == top_k_accuracy_score(labels, logits, k=k, labels=range(7))


def test_of_equal_logits_the_first_class_is_the_larger():
    """As of argmax: a constant answer is right about one class alone."""
    labels = np.arange(8).repeat(3)
    assert [top_accuracy(np.zeros((24, 8)), labels, k) for k in (1, 2, 8)] == [1 / 8, 2 / 8, 1]
    sure = np.eye(8)[labels]
    assert top_accuracy(sure, labels) == 1 and top_accuracy(-sure, labels) == 0 == top_accuracy(-sure, labels, 7)


@pytest.mark.parametrize(
    ("logits", "labels", "k", "message"),
    [
        (np.zeros((3, 4)), [0, 1], 1, "must be"),
        (np.zeros((3, 4)), [0, 1, 2], 5, "k=5 must be 1 to 4"),
        (np.full((3, 4), np.nan), [0, 1, 2], 1, "finite"),
    ],
)
def test_what_has_no_top(logits, labels, k, message):
    with pytest.raises(UserError, match=message):
        top_accuracy(logits, np.array(labels), k)


@pytest.fixture(scope="module")
def runs(tiny_spec, tmp_path_factory):
    """A store, a run that can be asked for classes, a classifier of its samples and one of real images."""
    shapes = DataSpec(name="shapes", resolution=32)
    run = tiny_spec("class-conditional", scored=True, data=shapes)
    settings = {"data": shapes, "steps": 40, "batch": 16}
    real = tiny_spec("classifier(width=4, lr=0.01)", **settings)
    plain = tiny_spec("classifier(on=samples, width=4, lr=0.01)", **settings)
    samples = RunSpec(**{**{name: getattr(plain, name) for name in RunSpec.model_fields}, "sources": {"run": run}})
    store = Store(tmp_path_factory.mktemp("classification"))
    for spec in (run, real):
        finished(store, spec)
    return store, run, samples, real


def network(store, spec):
    return trained_classifier(read_weights(store.folder(spec.uid).final_weights), 32)


def test_the_accuracy_of_a_classifier_of_samples(runs):
    """That of the last line of its own log; one of real images is better at them than one of a G of six steps."""
    store, run, samples, real = runs
    found = {}
    for name, spec in (("samples", samples), ("real", real)):
        folder = finished(store, evaluation(run, {"classifier": spec}, measure="classification-accuracy"))
        found[name] = values(folder)
        last = json.loads(store.folder(spec.uid).train_log.read_text().splitlines()[-1])
        assert found[name]["cas_top1"] == pytest.approx(100 * last["test_accuracy"], abs=0.2)  # images at a tie
        images = imageset.load("shapes", 32)
        logits = network(store, spec).logits(images.test)
        best = np.argsort(-logits, axis=1)[:, : min(5, logits.shape[1])]
        assert found[name]["cas_top5"] == 100 * (best == images.test_labels[:, None]).any(1).mean()
        (line, _) = folder.metrics()
        assert line["n_reference"] == len(images.test) and line["reference_sha256"].startswith(images.sha256)
    assert found["real"]["cas_top1"] > found["samples"]["cas_top1"] + 20


def test_the_inception_score_on_a_classifier(runs):
    store, run, _, real = runs
    task = evaluation(run, {"classifier": real}, measure="inception-score", images=24, splits=3)
    folder = finished(store, task)
    images = reopen(store.folder(run.uid), store, "final").all_images(24)
    score = inception_score(network(store, real).probabilities(images), 3)
    (line,) = folder.metrics()
    # The same images in the same batches: to the last digits.
    assert line["value"] == pytest.approx(score.mean, rel=1e-6)
    parts = [inception_score(network(store, real).probabilities(images[i : i + 8]), 1).mean for i in (0, 8, 16)]
    assert line["error"] == pytest.approx(np.std(parts, ddof=1) / 3**0.5, rel=1e-4)
    assert (line["n_generated"], line["extractor"]) == (24, "")


def test_worse_images_have_a_lower_inception_score(runs):
    """By a classifier of real ones: all classes, one class alone, one image alone (1), and noise."""
    store, _, _, real = runs
    images = imageset.load("shapes", 32)
    classifier = network(store, real)
    one = images.test[images.test_labels == images.test_labels[0]]
    noise = np.random.default_rng(0).integers(0, 256, images.test.shape, np.uint8)
    scores = [
        inception_score(classifier.probabilities(shown), 1).mean
        for shown in (images.test, one, np.repeat(images.test[:1], 20, 0), noise)
    ]
    assert scores[0] > scores[1] > scores[2] == pytest.approx(1, abs=1e-6) and scores[0] > scores[3]


def test_which_sources_are_read_and_what_is_named():
    own, published = (
        parse_measure({"measure": "inception-score", **more}) for more in ({}, {"extractor": "inception_logits"})
    )
    assert (source_roles(own), source_roles(published)) == (("classifier",), ())
    assert source_roles(parse_measure({"measure": "classification-accuracy"})) == ("classifier",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measure": "inception-score", "images": 30, "splits": 16}, "splits is 16, must be at most 15"),
        ({"measure": "inception-score", "extractor": "vgg16@32"}, "gives features and no logits of classes"),
        ({"measure": "classification-accuracy", "snapshot": "best"}, "snapshot is best, must be final"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_trains(settings, message, tiny_spec):
    task = evaluation(tiny_spec("class-conditional", scored=True), **settings)
    with pytest.raises(UserError, match=message):
        refuse_impossible(task)


def test_the_published_score_is_named_after_its_logits(tiny_spec):
    task = evaluation(tiny_spec("unconditional", scored=True), measure="inception-score", extractor="inception_logits")
    (given,) = gives(task)
    assert (given.name, given.extractor) == ("inception_score", "inception_logits@299")
