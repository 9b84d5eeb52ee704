"""The reference images of a protocol: of which split, of whose draw, and named so that no cache mixes them up."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from bench.data import imageset
from bench.data.draws import held_out, training_images
from bench.data.points import POINTS, meaning
from bench.data.reference import reference_point
from bench.data.reference_split import depends_on_seed, reference_images
from bench.errors import UserError
from bench.metrics.scorers import make_scorer
from bench.spec.run import DataSpec, MetricSpec, Protocol, reference_run

METRIC = MetricSpec(name="fd", extractor="effnet_lite0@32")


def protocol(split=None, reference=20, generated=60):
    return Protocol(
        name="p", version=1, generated=generated, reference=reference, metrics=(METRIC,), every=1, reference_split=split
    )


def data(**fields):
    return DataSpec.model_validate({"name": "shapes", "resolution": 16, **fields})


def of(split, seed=0, reference=20, **fields):
    return reference_images(protocol(split, reference), data(**fields), seed)


def test_the_images_are_those_of_the_split():
    shapes = imageset.load("shapes", 16)
    assert np.array_equal(of("test")[0], shapes.test[:20])
    assert np.array_equal(of("train-pool")[0], shapes.train[:20])
    assert np.array_equal(of("training-images", shots=20)[0], training_images(data(shots=20), 0).images)
    assert np.array_equal(of("training-images", shots=50)[0], training_images(data(shots=50), 0).images[:20])
    pool, _ = of("train-pool", 1, 230, holdout=0.1, shots=5)
    assert np.array_equal(pool, np.delete(shapes.train, held_out(data(holdout=0.1), 1, 256), axis=0))
    both, _ = of("all", reference=512)
    assert {one.tobytes() for one in both} == {one.tobytes() for split in (shapes.train, shapes.test) for one in split}
    some, _ = of("all", reference=100)
    in_train = {one.tobytes() for one in shapes.train}
    assert 30 < sum(one.tobytes() in in_train for one in some) < 70, "a fair sample of both"


def test_what_names_the_images_differs_wherever_they_do():
    """The cached features and the digests in records are by this name."""
    made = [
        of(split, seed, reference, **fields)
        for split in ("test", "train-pool", "training-images", "all")
        for seed in (0, 1)
        for reference in (10, 20)
        for fields in ({}, {"shots": 20}, {"shots": 20, "balanced": True}, {"shots": 20, "draw": "fixed"},
                       {"share": 0.2}, {"holdout": 0.1})
    ]  # fmt: skip
    for (first, first_name), (second, second_name) in combinations(made, 2):
        assert (first_name == second_name) == np.array_equal(first, second)
    sha256 = imageset.load("shapes", 16).sha256
    assert of(None)[1] == f"{sha256}-test-20", "as it is in every record so far"


def test_a_reference_follows_the_seed_where_the_draw_does():
    for fields, split, follows in [
        ({"shots": 20}, "training-images", True),
        ({"shots": 20, "draw": "fixed"}, "training-images", False),
        ({"shots": 20}, "train-pool", False),
        ({"shots": 20, "holdout": 0.1}, "train-pool", True),
        ({"holdout": 0.1}, "training-images", True),
        ({"shots": 20, "holdout": 0.1}, "test", False),
        ({"shots": 20, "holdout": 0.1}, "all", False),
        ({}, "training-images", False),
    ]:
        assert depends_on_seed(data(**fields), protocol(split)) == follows
        assert (of(split, 0, **fields)[1] != of(split, 1, **fields)[1]) == follows


@pytest.mark.parametrize(
    ("split", "reference", "fields", "says"),
    [
        ("test", 257, {}, "257 reference images, but data set 'shapes' at 16 px has 256 test images"),
        ("training-images", 21, {"shots": 20}, "but a run on data set 'shapes' at 16 px has 20 training images"),
        ("train-pool", 257, {}, "but the train pool of data set 'shapes' at 16 px has 256 images"),
        ("all", 513, {}, "has 512 images in both splits"),
    ],
)
def test_a_reference_larger_than_the_split_is_refused(split, reference, fields, says):
    with pytest.raises(UserError, match=says):
        of(split, 0, reference, **fields)


@pytest.mark.parametrize("split", ["training-images", "train-pool"])
def test_a_floor_is_of_test_images_where_the_reference_is_of_training_images(split):
    shapes = imageset.load("shapes", 16)
    images = reference_point(reference_run("floor", data(shots=20), protocol(split), 0))
    assert len({one.tobytes() for one in images}) == 60
    assert {one.tobytes() for one in images} <= {one.tobytes() for one in shapes.test}
    more = reference_point(reference_run("floor", data(shots=20), protocol(split, generated=999), 0))
    assert len(more) == 256, "all there are"


def test_copies_score_better_than_the_floor_against_what_they_are_copies_of():
    scores = {}
    for point in ("floor", "memorised"):
        spec = reference_run(point, data(shots=20), protocol("training-images"), 0)
        (score,) = make_scorer(spec.protocol, spec.data, 0).score(reference_point(spec))
        scores[point] = score.value
        assert score.reference_split == "training-images" and score.n_reference == 20
    assert scores["memorised"] < scores["floor"]


def test_what_a_caption_says_of_a_point_is_true_of_its_reference():
    assert {point: meaning(point, "test") for point in POINTS} == POINTS
    for split in ("training-images", "train-pool", "all"):
        assert all("test images" not in meaning(point, split) for point in POINTS)
        assert "that are not in the reference" in meaning("floor", split)


def test_images_of_a_set_that_is_its_own_reference_are_no_floor_of_themselves(monkeypatch):
    """The pictures decide: the test split holds the training images here."""
    shapes = imageset.load("shapes", 16)
    twice = type(shapes)("shapes", 16, shapes.train[:50], shapes.train[:60], None, None, (), "0" * 64, "", shapes.entry)
    monkeypatch.setattr(imageset, "load", lambda name, resolution: twice)
    floor = reference_point(reference_run("floor", data(), protocol("train-pool", 50), 0))
    assert {one.tobytes() for one in floor} == {one.tobytes() for one in shapes.train[50:60]}
    whole = type(shapes)("shapes", 16, shapes.train[:50], shapes.train[:50], None, None, (), "0" * 64, "", shapes.entry)
    monkeypatch.setattr(imageset, "load", lambda name, resolution: whole)
    with pytest.raises(UserError, match="has no floor: every real image is in the reference"):
        reference_point(reference_run("floor", data(), protocol("train-pool", 50), 0))
