"""Sets of one's own from containers that are no folders: every pixel, class, split and attribute arrives."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import python2_pickle
from bench.data import building
from bench.data.built_set import ImageSet
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets

COUNT = 14  # pictures of 32 px; in containers with splits the first nine are for training
IMAGES = np.random.default_rng(3).integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
KINDS = [number % 3 for number in range(COUNT)]
SPLITS = {"train": slice(0, 9), "test": slice(9, COUNT)}


@pytest.fixture(autouse=True)
def _own_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    entry = DatasetEntry(
        summary="s", builder="bench.datasets.pictures:build", licence="mine", source="here", embedded=False,
        train=4, test=3,
    )  # fmt: skip
    datasets().add("mine", "catalogue:mine", "s", entry)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _lmdb(path: Path) -> None:
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for number, image in enumerate(IMAGES):
            transaction.put(f"{number:040x}".encode(), _png(image))


def _parquet(path: Path) -> None:
    path.mkdir()
    for name, part in SPLITS.items():
        images = [{"bytes": _png(image), "path": None} for image in IMAGES[part]]
        table = {"image": images, "label": KINDS[part], "odd": [number % 2 == 1 for number in range(COUNT)][part]}
        pq.write_table(pa.table(table), path / f"{name}-00000-of-00001.parquet", row_group_size=4)


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        parts: Any = {f"x_{name}": IMAGES[part] for name, part in SPLITS.items()}
        parts |= {f"y_{name}": np.asarray(KINDS)[part] for name, part in SPLITS.items()}
        np.savez_compressed(file, **parts)


def _npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, IMAGES)


def _cifar_100(path: Path) -> None:
    path.mkdir()
    names = [f"{number}" for number in range(3)]
    (path / "meta").write_bytes(python2_pickle.dumps({"fine_label_names": names, "coarse_label_names": ["all"]}))
    for name, part in SPLITS.items():
        rows = np.ascontiguousarray(IMAGES[part].transpose(0, 3, 1, 2)).reshape(-1, 3072)
        (path / name).write_bytes(python2_pickle.dumps({"data": rows, "fine_labels": KINDS[part]}))


def _built(tmp_path: Path, write: Any) -> ImageSet:
    write(tmp_path / "container")
    return building.build("mine", 32, source=tmp_path / "container")


def _numbers(images: np.ndarray) -> list[int]:
    """Which of IMAGES each picture is."""
    places = {image.tobytes(): number for number, image in enumerate(IMAGES)}
    return [places[image.tobytes()] for image in images]


@pytest.mark.parametrize("write", [_lmdb, _npy])
def test_a_container_without_splits_is_divided_at_random(tmp_path: Path, write: Any) -> None:
    built = _built(tmp_path, write)
    assert sorted(_numbers(built.train) + _numbers(built.test)) == list(range(COUNT))
    assert (len(built.test), built.class_names) == (3, ())


@pytest.mark.parametrize("write", [_parquet, _npz, _cifar_100])
def test_a_containers_splits_and_classes_are_those_of_the_set(tmp_path: Path, write: Any) -> None:
    built = _built(tmp_path, write)
    train, test = _numbers(built.train), _numbers(built.test)
    assert sorted(train) == list(range(9)) and sorted(test) == list(range(9, COUNT))
    assert tuple(built.class_names) == ("0", "1", "2")
    assert built.train_labels is not None and built.train_labels.tolist() == [KINDS[number] for number in train]
    if write is _parquet:
        assert tuple(built.attribute_names) == ("odd",)
        assert built.test_attributes is not None
        assert built.test_attributes.tolist() == [[number % 2] for number in test]
