"""The same fourteen pictures of 32 px in each kind of container that is no folder of files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import python2_pickle

COUNT = 14
IMAGES = np.random.default_rng(3).integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
KINDS = [number % 3 for number in range(COUNT)]  # the classes of the pictures
SPLITS = {"train": slice(0, 9), "test": slice(9, COUNT)}


def png(image: np.ndarray) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write_lmdb(path: Path) -> None:
    """Without classes and splits."""
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for number, image in enumerate(IMAGES):
            transaction.put(f"{number:040x}".encode(), png(image))
    (path / "lock.mdb").unlink()


def write_parquet(path: Path) -> None:
    """A folder of two shards, with the attribute "odd"."""
    path.mkdir()
    for name, part in SPLITS.items():
        images = [{"bytes": png(image), "path": None} for image in IMAGES[part]]
        table = {"image": images, "label": KINDS[part], "odd": [number % 2 == 1 for number in range(COUNT)][part]}
        pq.write_table(pa.table(table), path / f"{name}-00000-of-00001.parquet", row_group_size=4)


def write_npz(path: Path) -> None:
    """Packed, under Keras' names."""
    with path.open("wb") as file:
        parts: Any = {f"x_{name}": IMAGES[part] for name, part in SPLITS.items()}
        parts |= {f"y_{name}": np.asarray(KINDS)[part] for name, part in SPLITS.items()}
        np.savez_compressed(file, **parts)


def write_npy(path: Path) -> None:
    """Without classes and splits."""
    with path.open("wb") as file:
        np.save(file, IMAGES)


def write_cifar(path: Path) -> None:
    """The files of CIFAR-100."""
    path.mkdir()
    names = [f"{number}" for number in range(3)]
    (path / "meta").write_bytes(python2_pickle.dumps({"fine_label_names": names, "coarse_label_names": ["all"]}))
    for name, part in SPLITS.items():
        rows = np.ascontiguousarray(IMAGES[part].transpose(0, 3, 1, 2)).reshape(-1, 3072)
        (path / name).write_bytes(python2_pickle.dumps({"data": rows, "fine_labels": KINDS[part]}))


WRITERS: dict[str, Callable[[Path], None]] = {
    "lmdb": write_lmdb, "parquet": write_parquet, "npz": write_npz, "npy": write_npy, "cifar": write_cifar,
}  # fmt: skip
