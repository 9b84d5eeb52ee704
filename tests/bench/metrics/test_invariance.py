"""No score depends on the order of files, on how many images are looked at at once, or on the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from bench.features.extractor import Extractor
from bench.machine.threads import threads_of
from bench.metrics import Scorer
from bench.metrics.measures import measures
from bench.spec.run import MetricSpec

# Features of 32 bits, in other sums, differ by some 1e-6 of their size; a share that changed would by 1/200 or more
NEAR = 1e-5
OURS = [entry.name for entry in measures() if entry.target.startswith("bench.metrics.")]


@pytest.fixture(scope="module")
def scored(pictures, worse):
    """name -> value, of pictures with noise: as they are, and with what must not matter changed."""
    train, test, fake = pictures[:90], pictures[100:250], np.concatenate([worse[:120], pictures[250:310]])
    metrics = [MetricSpec(name=name, extractor="alexnet@63") for name in OURS]
    original, stream = Extractor.__call__, np.random.default_rng(0)

    def values(*sets, digit="a"):
        one, other, third = sets
        # Other names of the sets, so that no features that are kept are taken
        scorer = Scorer(metrics, other, digit * 64, training=lambda: (one, f"{digit}t" * 32))
        return {score.metric: score.value for score in scorer.score(third)}

    found = {"as it is": values(train, test, fake)}
    found["order"] = values(*(stream.permutation(images) for images in (train, test, fake)), digit="b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Extractor, "__call__", lambda self, images, batch=7: original(self, images, 7))
        found["batch"] = values(train, test, fake, digit="c")
    with threads_of(2):
        found["threads"] = values(train, test, fake, digit="d")
    return found


@pytest.mark.parametrize("change", ["order", "batch", "threads"])
@pytest.mark.parametrize("name", OURS)
def test_what_must_not_matter_does_not(scored, name, change):
    assert scored[change][name] == pytest.approx(scored["as it is"][name], rel=NEAR)
