"""CIFAR-10 and CIFAR-100 as their publisher has them for Python: pickles in a folder, or in the tar.gz as it came.

CIFAR-10: data_batch_1 to 5, test_batch, batches.meta. CIFAR-100: train, test, meta.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.data.sources.pickled_batch import labels_of, planes_of, read_batch, texts_of
from bench.data.sources.planes import PlanesSource
from bench.data.sources.publisher_files import holds, missing, publisher_files
from bench.data.sources.source import Item
from bench.errors import UserError

TEN = {**{f"data_batch_{number}": "train" for number in range(1, 6)}, "test_batch": "test"}
HUNDRED = {"train": "train", "test": "test"}


def is_cifar(path: Path, head: bytes) -> bool:
    """Whether a folder or archive holds CIFAR's batches."""
    return holds(path, head, lambda names: {"batches.meta", "test_batch"} <= names or {*HUNDRED, "meta"} <= names)


class CifarSource(PlanesSource):
    """CIFAR's pictures, with the classes' names. coarse: the 20 classes of CIFAR-100 instead of the 100."""

    def __init__(self, path: Path, *, coarse: bool = False) -> None:
        super().__init__(path)
        self.coarse = coarse

    def items(self) -> Iterator[Item]:
        """Every picture by batch and place. UserError for a damaged batch and for one that is missing."""
        self._planes.clear()
        files = publisher_files(self, {*TEN, *HUNDRED, "batches.meta", "meta"}.__contains__)
        if "batches.meta" in files:
            splits, meta, kind = TEN, "batches.meta", ""
        else:
            splits, meta, kind = HUNDRED, "meta", "coarse_" if self.coarse else "fine_"
        missing(files, [*splits, meta], self.path)
        where = f"{self.path}: {meta}"
        classes = texts_of(read_batch(files[meta], where), f"{kind}label_names", where)
        for name, split in sorted(splits.items()):
            where = f"{self.path}: {name}"
            batch = read_batch(files[name], where)
            planes = planes_of(batch, files[name], where)
            labels = labels_of(batch, f"{kind}labels", planes.count, where)
            if not all(0 <= label < len(classes) for label in labels):
                raise UserError(f"{where}: has labels beyond its {len(classes)} classes")
            yield from self._take(name, planes, [classes[label] for label in labels], split)
