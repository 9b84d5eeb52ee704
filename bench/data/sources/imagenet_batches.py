"""ImageNet made smaller to 8, 16, 32 or 64 px (Chrabaszcz et al. 2017, arXiv 1707.08819): batches as CIFAR has them.

train_data_batch_1 to 10 and val_data, each a pickle or a .npz of `data` (N, 3 S S) and `labels` 1 to 1000, in a folder
or in the zip as it came. The validation pictures are the test split: those of ImageNet's own have no public labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bench.data.sources.npz import listed, opened_npz
from bench.data.sources.pickled_batch import labels_of, planes_of, read_batch
from bench.data.sources.planes import Planes, PlanesSource, side_of
from bench.data.sources.publisher_files import holds, missing, publisher_files
from bench.data.sources.source import Item
from bench.errors import UserError
from bench.files.extents import Extent

TRAIN = [f"train_data_batch_{number}" for number in range(1, 11)]
VALIDATION = "val_data"
NPZ = ".npz"
BATCH = re.compile(rf"(train_data_batch_\d+|{VALIDATION})({NPZ})?")
CLASSES = 1000


def is_imagenet_batches(path: Path, head: bytes) -> bool:
    """Whether a folder or archive holds such batches."""
    return holds(path, head, lambda names: any(BATCH.fullmatch(name) for name in names))


class ImageNetBatchesSource(PlanesSource):
    """The pictures of all batches. A label is the number of a class as text, "1" to "1000"."""

    def items(self) -> Iterator[Item]:
        """Every picture by batch and place. UserError for a damaged batch and for one that is missing."""
        self._planes.clear()
        files = publisher_files(self, lambda name: BATCH.fullmatch(name) is not None)
        batches = {name.removesuffix(NPZ): name for name in files}
        if len(batches) < len(files):
            raise UserError(f"{self.path}: has a batch both as a pickle and as a {NPZ}")
        if set(batches) != {VALIDATION}:  # the publisher's archive of the validation pictures has only them
            missing(batches, TRAIN, self.path)
        for name, file in sorted(batches.items()):
            where = f"{self.path}: {file}"
            planes, labels = (self._npz if file.endswith(NPZ) else _pickled)(files[file], where)
            if not all(label.isdecimal() and 1 <= int(label) <= CLASSES for label in labels):
                raise UserError(f"{where}: has labels that are not 1 to {CLASSES}")
            split = "test" if name == VALIDATION else "train"
            yield from self._take(name, planes, labels, split)

    def _npz(self, file: Extent, where: str) -> tuple[Planes, list[str]]:
        if not isinstance(file.source, Path) or file.start:
            raise UserError(f"{where}: is an archive within an archive; unpack the outer one first")
        with opened_npz(file.source, self.scratch) as npz:
            if not {"data", "labels"} <= set(npz.names):
                raise UserError(f"{where}: holds the arrays {listed(npz.names)}; data and labels are needed")
            array = npz.array("data")
            side = side_of(array.shape[1]) if len(array.shape) == 2 and array.dtype.name == "uint8" else None
            if side is None:
                raise UserError(f"{where}: its array 'data' is not of bytes (N, 3 S S)")
            return Planes(array.extent, array.shape[0], side), npz.labels("labels", array.shape[0])


def _pickled(file: Extent, where: str) -> tuple[Planes, list[str]]:
    batch = read_batch(file, where)
    planes = planes_of(batch, file, where)
    return planes, [str(label) for label in labels_of(batch, "labels", planes.count, where)]
