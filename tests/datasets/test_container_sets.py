"""Sets of one's own from containers that are no folders: every pixel, class, split and attribute arrives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data import building
from bench.data.built_set import ImageSet
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.errors import UserError
from containers import COUNT, IMAGES, KINDS, WRITERS
from corrupted_bytes import corruptions, truncations


@pytest.fixture(autouse=True)
def _own_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    entry = DatasetEntry(
        summary="s", builder="bench.datasets.pictures:build", licence="mine", source="here", embedded=False,
        train=4, test=3,
    )  # fmt: skip
    datasets().add("mine", "catalogue:mine", "s", entry)


def _built(tmp_path: Path, kind: str) -> ImageSet:
    WRITERS[kind](tmp_path / "container")
    return building.build("mine", 32, source=tmp_path / "container")


def _numbers(images: np.ndarray) -> list[int]:
    """Which of IMAGES each picture is."""
    places = {image.tobytes(): number for number, image in enumerate(IMAGES)}
    return [places[image.tobytes()] for image in images]


@pytest.mark.parametrize("kind", ["lmdb", "npy"])
def test_a_container_without_splits_is_divided_at_random(tmp_path: Path, kind: str) -> None:
    built = _built(tmp_path, kind)
    assert sorted(_numbers(built.train) + _numbers(built.test)) == list(range(COUNT))
    assert (len(built.test), built.class_names) == (3, ())


@pytest.mark.parametrize("kind", ["parquet", "npz", "cifar"])
def test_a_containers_splits_and_classes_are_those_of_the_set(tmp_path: Path, kind: str) -> None:
    built = _built(tmp_path, kind)
    train, test = _numbers(built.train), _numbers(built.test)
    assert sorted(train) == list(range(9)) and sorted(test) == list(range(9, COUNT))
    assert tuple(built.class_names) == ("0", "1", "2")
    assert built.train_labels is not None and built.train_labels.tolist() == [KINDS[number] for number in train]
    if kind == "parquet":
        assert tuple(built.attribute_names) == ("odd",)
        assert built.test_attributes is not None
        assert built.test_attributes.tolist() == [[number % 2] for number in test]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_container_is_one_line_or_a_set_with_every_picture_accounted_for(tmp_path: Path, kind: str) -> None:
    """The builder itself counts found, used and left out against each other: a difference would be a traceback here."""
    container, refused, built = tmp_path / "container", 0, 0
    messages = set()
    WRITERS[kind](container)
    files = sorted(container.iterdir()) if container.is_dir() else [container]
    for file in files:
        data = file.read_bytes()
        for copy in (*truncations(data, 8), *corruptions(data, 50 // len(files), head=500)):
            file.write_bytes(copy)
            try:
                built += len(building.build("mine", 32, source=container, force=True, skip_bad=True).train) > 0
            except UserError as error:
                messages.add(str(error))
                refused += 1
        file.write_bytes(data)
    assert all("mine" in message or str(container) in message for message in messages)
    assert refused > 10 and built + refused == len(files) * (8 + 50 // len(files))
