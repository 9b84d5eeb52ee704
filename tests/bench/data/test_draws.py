"""Draws: nested, paired, balanced, fixed, with images held out and labels made wrong; impossible ones refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.data import draw_counts, draws, imageset
from bench.data.built_set import ImageSet
from bench.data.draws import draw, held_out, held_out_images, label_problem, train_pool, training_images
from bench.errors import UserError
from bench.seeds import derive
from bench.spec.run import DataSpec

CLASSES = 5
SIZES = [1, 2, 3, 5, 8, 13, 40, 100, 199]
SHARES = [0.01, 0.05, 0.1, 0.2, 0.5, 0.75, 0.99]


def made(images: int = 240, *, sizes: tuple[int, ...] | None = None, attributes: bool = True) -> ImageSet:
    """A set of as many different images with labels (equally many of each class, or `sizes`) and two attributes."""
    stream = np.random.default_rng(5)
    labels = np.arange(images) % CLASSES if sizes is None else np.repeat(np.arange(len(sizes)), sizes)
    labels = stream.permutation(labels).astype(np.int64)
    pixels = np.zeros((len(labels), 8, 8, 3), np.uint8)
    pixels[:, 0, 0] = np.arange(len(labels))[:, None] // np.array([65536, 256, 1]) % 256
    names = tuple("abcdefg"[: labels.max() + 1])
    columns = np.stack([labels % 2, np.arange(len(labels)) % 7], axis=1).astype(np.uint8)
    return ImageSet(
        "made", 8, pixels, pixels[:10] + 9, labels, labels[:10], names, "0" * 64, "", None,  # type: ignore[arg-type]
        train_attributes=columns if attributes else None,
        attribute_names=("even", "day") if attributes else (),
    )  # fmt: skip


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    built = made()
    monkeypatch.setattr(imageset, "load", lambda name, resolution: built)
    return built


def spec(**fields: object) -> DataSpec:
    return DataSpec.model_validate({"name": "made", "resolution": 8, **fields})


WAYS: list[dict[str, object]] = [
    {},
    {"balanced": True},
    {"draw": "fixed"},
    {"balanced": True, "draw": "fixed"},
    {"holdout": 0.1},
    {"holdout": 0.1, "balanced": True, "draw": "fixed"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_draws_are_nested(images: ImageSet, way: dict[str, object], seed: int) -> None:
    """25 in 50 in 100; a share in a larger one; and a share is the draw of as many shots."""
    for key, amounts in (("shots", SIZES), ("share", SHARES)):
        asked = [spec(**{key: amount}, **way) for amount in amounts]
        # A balanced draw needs an image of every class, and a random holdout may leave too few of one for a large draw.
        indices = [draw(images, data, seed) for data in asked if label_problem(images, data, seed) is None]
        assert len(indices) >= len(amounts) - (4 if "balanced" in way else 0)
        for small, large in pairwise(indices):
            assert set(small) < set(large) and (np.diff(large) > 0).all() and large.dtype == np.int64
    fifth = draw(images, spec(share=0.2, **way), seed)
    assert len(fifth) == (43 if "holdout" in way else 48)
    assert np.array_equal(fifth, draw(images, spec(shots=len(fifth), **way), seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shots", [5, 12, 23, 100])
def test_a_balanced_draw_has_equally_many_of_each_class(images: ImageSet, seed: int, shots: int) -> None:
    assert images.train_labels is not None
    counts = np.bincount(images.train_labels[draw(images, spec(shots=shots, balanced=True), seed)], minlength=CLASSES)
    assert counts.sum() == shots and counts.max() - counts.min() <= 1


def test_a_fixed_draw_is_that_of_seed_0_for_every_seed(images: ImageSet) -> None:
    way = {"shots": 30, "holdout": 0.1, "corrupt_labels": 0.5}
    first = training_images(spec(**way), 0)
    for seed in range(4):
        fixed = training_images(spec(draw="fixed", **way), seed)
        assert np.array_equal(fixed.index, first.index) and np.array_equal(fixed.images, first.images)
        assert fixed.labels is not None and first.labels is not None and np.array_equal(fixed.labels, first.labels)
    assert not np.array_equal(training_images(spec(**way), 1).index, first.index)


def test_few_shot_draws_are_what_they_were(images: ImageSet) -> None:
    """The images that every recorded run was trained on: the formula, written out."""
    order = np.random.default_rng(derive(derive(3, "data", "made"), "few-shot", 240)).permutation(240)
    drawn = training_images(spec(shots=25), 3)
    assert np.array_equal(drawn.index, np.sort(order[:25]))
    assert np.array_equal(drawn.images, images.train[np.sort(order[:25])])


@pytest.mark.parametrize("seed", range(3))
def test_held_out_images_are_never_trained_on(images: ImageSet, seed: int) -> None:
    out = held_out(spec(holdout=0.1), seed, 240)
    assert len(out) == 24 and set(out) < set(held_out(spec(holdout=0.3), seed, 240))
    assert np.array_equal(held_out_images(spec(holdout=0.1), seed), images.train[out])
    assert len(held_out_images(spec(), seed)) == 0
    for way in ({}, {"shots": 216}, {"share": 0.9}, {"shots": 50, "balanced": True}):
        index = training_images(spec(holdout=0.1, **way), seed).index
        assert not set(index) & set(out)
        assert np.array_equal(held_out(spec(holdout=0.1, **way), seed, 240), out)
    assert (
        len(draw(images, spec(holdout=0.1), seed)) == 216 and len(draw(images, spec(holdout=0.1, share=0.5), 0)) == 108
    )
    assert not np.array_equal(out, held_out(spec(holdout=0.1), seed + 1, 240))


@pytest.mark.parametrize("way", [{}, {"shots": 100}, {"share": 0.5, "holdout": 0.1}], ids=str)
def test_so_many_labels_are_wrong_and_it_is_known_which(images: ImageSet, way: dict[str, object]) -> None:
    assert images.train_labels is not None
    kept: set[int] = set()
    for share in (0.1, 0.25, 0.6, 1.0):
        drawn = training_images(spec(corrupt_labels=share, **way), 2)
        assert drawn.labels is not None and drawn.corrupted is not None
        true = images.train_labels[drawn.index]
        assert drawn.corrupted.sum() == round(share * len(true))
        assert np.array_equal(drawn.labels != true, drawn.corrupted)
        assert drawn.labels.min() >= 0 and drawn.labels.max() < CLASSES
        now = set(drawn.index[drawn.corrupted].tolist())
        assert kept <= now, "those of a smaller share are among those of a larger"
        kept = now
        again = training_images(spec(corrupt_labels=share, **way), 2)
        assert again.labels is not None and np.array_equal(again.labels, drawn.labels)
        other = training_images(spec(corrupt_labels=share, **way), 3)
        assert share == 1 or not np.array_equal(other.index[other.corrupted], drawn.index[drawn.corrupted])
    assert training_images(spec(**way), 2).corrupted is None


def test_wrong_labels_are_uniform_over_the_other_classes(images: ImageSet) -> None:
    assert images.train_labels is not None
    counts = np.zeros((CLASSES, CLASSES))
    for seed in range(200):
        drawn = training_images(spec(corrupt_labels=1.0), seed)
        assert drawn.labels is not None
        np.add.at(counts, (images.train_labels[drawn.index], drawn.labels), 1)
    expected = 200 * 48 / (CLASSES - 1)
    others = counts[~np.eye(CLASSES, dtype=bool)]
    assert np.diag(counts).sum() == 0
    assert np.abs(others - expected).max() < 5 * np.sqrt(expected)  # five sd of a count


def test_an_image_that_is_wrong_in_two_draws_has_one_wrong_label(images: ImageSet) -> None:
    few = training_images(spec(shots=50, corrupt_labels=0.5), 0)
    many = training_images(spec(shots=150, corrupt_labels=0.5), 0)
    assert few.labels is not None and many.labels is not None and few.corrupted is not None
    wrong = dict(zip(many.index[many.corrupted].tolist(), many.labels[many.corrupted].tolist(), strict=True))
    both = [at for at in np.flatnonzero(few.corrupted) if few.index[at] in wrong]
    assert both and all(wrong[few.index[at]] == few.labels[at] for at in both)


def test_labels_and_attributes_go_with_their_images_unless_they_are_dropped(images: ImageSet) -> None:
    assert images.train_labels is not None and images.train_attributes is not None
    drawn = training_images(spec(shots=60), 1)
    assert drawn.labels is not None and drawn.attributes is not None
    assert np.array_equal(drawn.labels, images.train_labels[drawn.index])
    assert np.array_equal(drawn.attributes, images.train_attributes[drawn.index])
    assert drawn.attribute_names == ("even", "day")
    dropped = training_images(spec(shots=60, labels="none"), 1)
    assert dropped.labels is None and dropped.attributes is None and dropped.attribute_names == ()
    assert np.array_equal(dropped.images, drawn.images)
    whole = training_images(spec(), 1)
    assert whole.images is images.train and whole.labels is images.train_labels, "a whole split is not copied"


@pytest.mark.parametrize(
    ("fields", "key", "says"),
    [
        ({"shots": 241}, "shots", "241 shots, but data set 'made' at 8 px has 240 training images"),
        ({"shots": 217, "holdout": 0.1}, "shots", "240 training images, of which a holdout of 0.1 leaves 216"),
        ({"share": 0.001}, "share", "a share of 0.001 is no image"),
        ({"holdout": 0.001}, "holdout", "a holdout of 0.001 is none of them"),
        ({"holdout": 0.999}, "holdout", "a holdout of 0.999 is all of them"),
        ({"shots": 10, "corrupt_labels": 0.01}, "corrupt_labels", "is no label: a run has 10 training images"),
        ({"shots": 4, "balanced": True}, "balanced", "4 images cannot be balanced over the 5 classes"),
        ({"shots": 239, "holdout": 0.9}, "shots", "leaves 24"),
    ],
)
def test_an_impossible_draw_is_refused_with_its_key(
    images: ImageSet, fields: dict[str, object], key: str, says: str
) -> None:
    data = spec(**fields)
    problem = draw_counts.impossible(data, 240) or label_problem(images, data, 0)
    assert problem is not None and problem[0] == key and says in problem[1]
    with pytest.raises(UserError, match=f"^{key}: "):
        training_images(data, 0)


def test_labels_that_do_not_allow_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    def problem(built: ImageSet, **fields: object) -> str:
        monkeypatch.setattr(imageset, "load", lambda name, resolution: built)
        with pytest.raises(UserError) as caught:
            training_images(spec(**fields), 0)
        return str(caught.value)

    uneven = made(sizes=(50, 4, 40))
    assert "40 images cannot be balanced: class 'b' has only 4 images in the train pool of data set 'made'" in problem(
        uneven, shots=40, balanced=True
    )
    monkeypatch.setattr(imageset, "load", lambda name, resolution: uneven)
    assert len(training_images(spec(shots=13, balanced=True), 0).index) == 13, "4 of b, 4 and 5 of the others"
    one = made(sizes=(30,))
    assert "has one class" in problem(one, corrupt_labels=0.5)
    bare = ImageSet("made", 8, one.train, one.test, None, None, (), "0" * 64, "", None)  # type: ignore[arg-type]
    for fields in ({"shots": 4, "balanced": True}, {"corrupt_labels": 0.5}):
        assert "data set 'made' at 8 px has no class labels" in problem(bare, **fields)


def test_a_whole_pool_in_a_large_set_costs_little(computes_within: object, tmp_path: Path) -> None:
    """3 million images: the positions of a draw are arithmetic on positions alone."""
    with computes_within(2.0):  # type: ignore[operator]
        pool = train_pool(spec(holdout=0.1), 0, 3_000_000)
        assert len(pool) == 2_700_000 and len(draws.few_shot(len(pool), 100, 0)) == 100
