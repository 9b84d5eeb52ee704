"""The scorer of runs: each score equals its function on the features, which are computed once."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from bench import features, metrics
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.features.extractor import Extractor
from bench.metrics import Scorer, label
from bench.metrics.real_sets import tied


@dataclass(frozen=True)
class Metric:
    name: str
    extractor: str
    k: int | None = None


ALL = [
    Metric("fd", "effnet_lite0@32"),
    Metric("kid", "effnet_lite0@32"),
    Metric("precision", "alexnet@63", 10),
    Metric("recall", "alexnet@63"),
    Metric("density", "alexnet@63", 7),
    Metric("coverage", "alexnet@63", 7),
    Metric("fd", "alexnet@63"),
]


def test_scores_are_the_functions_on_the_features(pictures, worse):
    real, fake = pictures[:150], worse[:100]
    scores = Scorer(ALL, real, "a" * 64).score(fake)
    assert [(score.metric, score.extractor) for score in scores] == [(m.name, m.extractor) for m in ALL]
    effnet, alexnet = features.load("effnet_lite0@32"), features.load("alexnet@63")
    kernel = metrics.kernel_distance(effnet(real), effnet(fake))
    expected = [
        metrics.frechet_distance(effnet(real), effnet(fake)),
        kernel.mean,
        *metrics.precision_recall(alexnet(real), alexnet(fake), 10, 40),
        *metrics.density_coverage(alexnet(real), alexnet(fake), 7),
        metrics.frechet_distance(alexnet(real), alexnet(fake)),
    ]
    assert [score.value for score in scores] == pytest.approx(expected, rel=1e-9)
    assert [score.error for score in scores] == [None, kernel.standard_error, None, None, None, None, None]
    assert all((score.n_generated, score.n_reference) == (100, 150) and score.seconds > 0 for score in scores)


def test_a_watched_extraction_has_the_same_digits(pictures, worse):
    """Its parts are whole batches, the last one apart: nothing that a run has recorded would come out otherwise."""
    seen = []

    def watch(starts, total, what):
        for done, start in enumerate(starts):
            seen.append((done, total, what))
            yield start

    fake = np.concatenate([worse, pictures])[:199]
    plain = Scorer(ALL, pictures[:150], "a" * 64).score(fake)
    watched = Scorer(ALL, pictures[:150], "a" * 64, watch=watch).score(fake)
    assert [score.value for score in watched] == [score.value for score in plain]
    effnet, alexnet = (f"{name}, parts of 160 images" for name in ("effnet_lite0@32", "alexnet@63"))
    assert seen == [(0, 2, effnet), (1, 2, effnet), (0, 2, alexnet), (1, 2, alexnet)]


def test_features_are_extracted_once_and_the_references_kept(pictures, worse, monkeypatch):
    calls = []
    original = Extractor.__call__

    def counted(self, images, batch=32):
        calls.append((self.name, len(images)))
        return original(self, images, batch)

    monkeypatch.setattr(Extractor, "__call__", counted)
    scorer = Scorer(ALL, pictures[:150], "a" * 64)
    assert calls == []  # nothing is loaded before it is needed
    first = scorer.score(worse[:100])
    assert sorted(calls) == sorted([(n, c) for n in ("effnet_lite0@32", "alexnet@63") for c in (100, 150)])
    calls.clear()
    second = Scorer(ALL, pictures[:150], "a" * 64).score(worse[:100])  # as a worker's next run would
    assert sorted(calls) == [("alexnet@63", 100), ("effnet_lite0@32", 100)]
    assert [score.value for score in first] == [score.value for score in second]


def test_copies_of_the_reference_are_ties_whatever_their_place_in_a_batch(pictures, worse, monkeypatch):
    """40 % of the reference verbatim, shuffled, each 45 times: recalled, though features differ in digits."""
    original = Extractor.__call__

    def placed(self, images, batch=32):  # as a GPU's features do, by a picture's place
        return original(self, images, batch) * (1 + 1e-6 * np.arange(len(images), dtype=np.float32)[:, None])

    monkeypatch.setattr(Extractor, "__call__", placed)
    real, stream = pictures[:50], np.random.default_rng(0)
    fake = stream.permutation(np.repeat(real[:20], 45, axis=0))
    asked = [
        Metric("precision", "alexnet@63", 5),
        Metric("recall", "alexnet@63"),
        Metric("coverage", "alexnet@63", 1),
    ]
    scores = {score.metric: score for score in Scorer(asked, real, "e" * 64).score(fake)}
    assert (scores["precision"].value, scores["recall"].value) == (1, 0.4)
    assert 0.4 <= scores["coverage"].value < 1
    features_alike = tied(placed(features.load("alexnet@63"), fake), image_digests(fake))
    assert len(np.unique(features_alike, axis=0)) == 20


def test_scores_say_the_version_of_their_meaning(pictures):
    scores = Scorer(ALL, pictures[:60], "f" * 64).score(pictures[60:120])
    assert [score.version for score in scores] == [1, 1, 2, 2, 2, 2, 1]


def test_worse_images_score_worse_than_the_floor(pictures, worse):
    scorer = Scorer(ALL[:2], pictures[:200], "b" * 64)
    floor, bad = scorer.score(pictures[200:400]), scorer.score(worse[:200])
    assert floor[0].value * 1.5 < bad[0].value
    assert abs(floor[1].value) < bad[1].value / 5
    assert scorer.score(worse[:200][::-1])[0].value == pytest.approx(bad[0].value, rel=1e-4)


def test_labels_call_only_inceptions_fid_and_name_the_variant():
    assert label("fd", "inception_tensorflow") == "FID(tensorflow)"
    assert label("kid", "inception_pytorch") == "KID(pytorch-fid)"
    assert label("recall", "inception_torchvision@299") == "recall(torchvision)"
    assert label("fd", "inception") == label("fd", "inception@299") == "FID"
    assert label("fd", "effnet_lite0") == "FD(effnet_lite0@96)"
    assert label("kid", "effnet_lite0@64") == "KID(effnet_lite0@64)"
    assert label("precision", "vgg16@32") == "precision(vgg16@32)"
    assert (label("kid", "inception"), label("recall", "inception")) == ("KID", "recall")


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Metric("fdd", "vgg16"), "unknown metric 'fdd'; did you mean 'fd'"),
        (Metric("fd", "vgg19"), "unknown extractor 'vgg19'; did you mean 'vgg16'"),
        (Metric("fd", "vgg16", 5), "metric 'fd' has no k"),
    ],
)
def test_mistakes_are_found_before_anything_runs(metric, message, pictures):
    with pytest.raises(UserError, match=message):
        Scorer([metric], pictures[:10], "c" * 64)


def test_too_few_images_for_k(pictures):
    scorer = Scorer([Metric("recall", "effnet_lite0@32")], pictures[:60], "d" * 64)
    with pytest.raises(UserError, match="k=40 is impossible with 30 generated"):
        scorer.score(pictures[60:90])


def test_importing_the_package_is_light_and_names_resolve():
    code = (
        "import sys, bench.metrics; heavy = [m for m in ('numpy', 'scipy', 'torch') if m in sys.modules]; "
        "assert not heavy, heavy; import bench.metrics.copying, bench.metrics.classes; "
        "assert all(callable(getattr(bench.metrics, name)) for name in bench.metrics.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="fid"):
        _ = metrics.fid


def test_no_torch_for_metrics_on_arrays():
    code = (
        "import sys, numpy as np, bench.metrics as m; x = np.random.default_rng(0).normal(size=(99, 3)); "
        "m.frechet_distance(x, x), m.kernel_distance(x, x); "
        "m.precision_recall(x, x), m.data_copying(x, x, x); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
