"""CIFAR-10, CIFAR-100 and downsampled ImageNet: batches of pixels in pickles; STL-10: pixels in plain files."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from publishers.drawn import pixels
from publishers.release import Release, write_files, write_tar

_Pickler: Any = vars(pickle)["_Pickler"]  # the writer in Python, whose table of kinds can be changed


class Python2Pickler(_Pickler):
    """Pickles text and bytes as Python 2 did, in which CIFAR was written: both as BINSTRING."""

    dispatch = dict(_Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        """Four bytes of length, then the bytes."""
        content = value.encode() if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def python2(value: Any) -> bytes:
    """The pickle that Python 2 with the numpy of its time would write."""
    file = BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def _rows(numbers: Iterable[int], side: int = 32) -> np.ndarray:
    """(N, 3 side side) uint8: all red, then all green, then all blue."""
    return np.stack([pixels(number, side).transpose(2, 0, 1).ravel() for number in numbers])


def _batch(label: str, numbers: Iterable[int], **labels: list[int]) -> bytes:
    numbers = list(numbers)
    names = [f"picture_s_{number:06}.png" for number in numbers]
    return python2({"batch_label": label, **labels, "data": _rows(numbers), "filenames": names})


TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _cifar10(folder: Path) -> Path:
    files: dict[str, bytes | str] = {"batches.meta": python2({"label_names": list(TEN), "num_vis": 3072})}
    for batch in range(5):
        numbers = range(20 * batch, 20 * batch + 20)
        files[f"data_batch_{batch + 1}"] = _batch(
            f"training batch {batch + 1} of 5", numbers, labels=[number % 10 for number in numbers]
        )
    files["test_batch"] = _batch("testing batch 1 of 1", range(100, 130), labels=[n % 10 for n in range(100, 130)])
    files["readme.html"] = "<html></html>"
    root = "cifar-10-batches-py"
    return write_tar(folder / "cifar-10-python.tar.gz", {f"{root}/{name}": file for name, file in files.items()})


HUNDRED = [f"kind_{number:02}" for number in range(100)]


def _cifar100(folder: Path) -> Path:
    meta = {"fine_label_names": HUNDRED, "coarse_label_names": [f"group_{number:02}" for number in range(20)]}
    files: dict[str, bytes | str] = {"meta": python2(meta), "file.txt~": ""}
    for name, numbers in (("train", range(120)), ("test", range(120, 150))):
        fine = [number % 100 for number in numbers]
        coarse = [label // 5 for label in fine]
        files[name] = _batch(f"{name}ing batch 1 of 1", numbers, fine_labels=fine, coarse_labels=coarse)
    return write_tar(
        folder / "cifar-100-python.tar.gz", {f"cifar-100-python/{name}": file for name, file in files.items()}
    )


def _imagenet_32(folder: Path) -> Path:
    """Both archives unpacked into one folder."""

    def batch(numbers: range) -> bytes:
        labels = [number % 12 + 1 for number in numbers]
        return pickle.dumps({"data": _rows(numbers), "labels": labels, "mean": np.zeros(3072)}, protocol=4)

    files: dict[str, bytes | str] = {
        f"train_data_batch_{part + 1}": batch(range(12 * part, 12 * part + 12)) for part in range(10)
    }
    return write_files(folder / "imagenet32", {**files, "val_data": batch(range(120, 144))})


def _stl10(folder: Path) -> Path:
    def planes(numbers: range) -> bytes:
        return np.stack([pixels(number, 96).transpose(2, 1, 0) for number in numbers]).tobytes()

    def labels(numbers: range) -> bytes:
        return bytes(number % 10 + 1 for number in numbers)

    unlabelled, train, test = range(30), range(30, 40), range(40, 60)
    files: dict[str, bytes | str] = {
        "test_X.bin": planes(test), "test_y.bin": labels(test), "train_X.bin": planes(train),
        "train_y.bin": labels(train), "unlabeled_X.bin": planes(unlabelled), "fold_indices.txt": "0 1 2\n",
        "class_names.txt": "\n".join(TEN) + "\n",
    }  # fmt: skip
    return write_tar(folder / "stl10_binary.tar.gz", {f"stl10_binary/{name}": file for name, file in files.items()})


def _splits(train: range, test: range) -> dict[int, str]:
    return {**dict.fromkeys(train, "train"), **dict.fromkeys(test, "test")}


RELEASES = {
    "cifar10": Release(
        _cifar10, 100, 30, frozenset(range(130)), label_of={number: TEN[number % 10] for number in range(130)},
        split_of=_splits(range(100), range(100, 130)),
    ),
    "cifar100": Release(
        _cifar100, 120, 30, frozenset(range(150)), label_of={number: HUNDRED[number % 100] for number in range(150)},
        split_of=_splits(range(120), range(120, 150)),
    ),
    "imagenet-32": Release(
        _imagenet_32, 120, 24, frozenset(range(144)), label_of={number: str(number % 12 + 1) for number in range(144)},
        split_of=_splits(range(120), range(120, 144)),
    ),
    "stl10": Release(
        _stl10, 30, 20, frozenset((*range(30), *range(40, 60))), split_of=_splits(range(30), range(40, 60))
    ),
}  # fmt: skip
