"""The summary of a built set: every number against one that was counted by hand, or put there."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench.data import building, summary_text
from bench.data.builder import Splits
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.data.summary import Group, summarise
from bench.errors import UserError

SIDE = 16


@pytest.fixture
def build(tmp_path, monkeypatch, fresh_registries):
    """Build a set from splits that a test has made."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def build(name="mine", **splits):
        whole = Splits(licence_text="CC0", **splits)
        entry = DatasetEntry(
            summary="made here", builder="made_here:build", licence="CC0 1.0", source="here", train=1, test=1
        )
        datasets().add(name, f"test:{name}", entry.summary, entry)
        monkeypatch.setitem(sys.modules, "made_here", SimpleNamespace(build=lambda order: whole))
        return building.build(name, SIDE)

    return build


def noise(count, seed):
    """Coarse noise, which no two images share."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return coarse.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)


def test_counts_classes_attributes_colours_and_copies(build):
    train, test = noise(20, 0), noise(10, 1)
    train[3] = train[3, ..., :1]  # grey
    train[4] = 77  # of one colour, so grey too
    train[5] = (10, 20, 30)
    train[9] = train[8]
    train[9, 0, 0] = train[8, 0, 0] ^ 1  # near
    train[11] = train[10]  # exact
    test[0] = train[12, :, ::-1]  # mirrored, across the splits
    test[0, 0, 0] ^= 1
    built = build(
        train=train,
        test=test,
        train_labels=np.arange(20) % 2,
        test_labels=np.zeros(10, np.int64),
        class_names=("cat", "dog"),
        train_attributes=(np.arange(40).reshape(20, 2) % 4 == 0).astype(np.uint8),
        test_attributes=np.ones((10, 2), np.uint8),
        attribute_names=("hat", "scarf"),
        notes={"left out": "left out: 3 hidden", "files used": 1234, "bad": ["  a.png: damaged"], "copies": []},
    )
    looked = summarise("mine", SIDE)
    assert looked.images == {"train": 20, "test": 10} and looked.sha256 == built.sha256 and not looked.one_split
    assert looked.classes == {"cat": {"train": 10, "test": 10}, "dog": {"train": 10, "test": 0}}
    assert looked.attributes == {"hat": {"train": 0.5, "test": 1.0}, "scarf": {"train": 0.0, "test": 1.0}}
    assert (looked.grey, looked.constant) == (2, 2)
    assert looked.copies == [
        Group("near", (("train", 8), ("train", 9))),
        Group("exact", (("train", 10), ("train", 11))),
        Group("near", (("train", 12), ("test", 0))),
    ]
    every = np.concatenate([train, test]).astype(float)
    for channel, colour in enumerate(looked.colours):
        values = every[..., channel]
        assert (colour.min, colour.max) == (values.min(), values.max())
        assert (colour.mean, colour.std) == pytest.approx((values.mean(), values.std()), rel=1e-12)

    # The same, as a person and as a script reads it.
    text = "\n".join(summary_text.as_lines(looked))
    assert "mine at 16 px: 20 train + 10 test images\n" in text and "  cat  10 train + 10 test\n" in text
    assert "hat    50.0% of train, 100.0% of test" in text and "grey: 2 of 30 images (6.7%)" in text
    assert "  exact: 1 group of 2 images, 0 across the splits\n" in text
    assert "  near: 2 groups of 4 images, 1 across the splits\n    near: train 12, test 0\n" in text
    assert "\nfrom its build:\n" in text and "\n  left out: 3 hidden\n" in text and "  files used: 1,234" in text
    assert "\n  bad:\n    a.png: damaged\n" in text and "\ncopies:\n  exact" in text and "\n  copies:" not in text
    assert text.endswith(f"sha256: {built.sha256}")
    document = json.loads(summary_text.as_json(looked))
    assert document["schema_version"] == 1 and document["copies"][0] == {
        "kind": "near",
        "images": [["train", 8], ["train", 9]],
    }
    assert document["files"]["train.npy"] == 20 * SIDE * SIDE * 3 + 128


def test_a_set_that_is_its_own_reference(build):
    images = noise(5, 2)
    build(train=images, test=images, overlap=True)
    looked = summarise("mine", SIDE)
    assert looked.one_split and looked.copies == [] and looked.classes == {} and looked.attributes == {}
    assert summary_text.as_lines(looked)[0] == "mine at 16 px: 5 train + 5 test images, the same images in both"
    assert "copies: none, neither exact nor near" in summary_text.as_lines(looked)


def test_many_groups_are_counted_and_the_first_named(build):
    train = noise(60, 3)
    build(train=np.concatenate([train, train]), test=noise(3, 4))
    lines = summary_text.as_lines(summarise("mine", SIDE))
    assert "  exact: 60 groups of 120 images, 0 across the splits" in lines
    assert "    and 40 groups more (--json has all)" in lines and "    exact: train 19, train 79" in lines


def test_sets_that_are_not_there(build):
    build(train=noise(5, 0), test=noise(5, 1))
    with pytest.raises(UserError, match="unknown data set 'mime'; did you mean 'mine'"):
        summarise("mime", SIDE)
    with pytest.raises(UserError) as caught:
        summarise("mine", 32)
    command = "`bench data build mine --resolution 32`"
    assert str(caught.value) == f"data set 'mine' at 32 px is not built; run {command} (it is built at 16 px)"
    with pytest.raises(UserError, match="resolution must be 8 to 1024"):
        summarise("mine", 4)
