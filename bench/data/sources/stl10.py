"""STL-10 as its publisher has it: binary files of 96 px pictures, in a folder or in the tar.gz as it came.

train_X.bin, test_X.bin and unlabeled_X.bin hold pictures, 3 colours of 96 columns of 96 bytes each; train_y.bin and
test_y.bin a byte 1 to 10 a picture; class_names.txt a class a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.data.sources.planes import COLUMNS_FIRST, Planes, PlanesSource
from bench.data.sources.publisher_files import holds, missing, publisher_files
from bench.data.sources.source import Item
from bench.errors import UserError
from bench.files.extents import Extent

SIDE = 96
CLASS_NAMES = "class_names.txt"
MOST_TEXT = 2**16  # bytes of it
LABELLED = ("test", "train")
PICTURES = {"train_X.bin", "test_X.bin", "unlabeled_X.bin"}
FILES = {*PICTURES, "train_y.bin", "test_y.bin", CLASS_NAMES}


def is_stl10(path: Path, head: bytes) -> bool:
    """Whether a folder or archive holds STL-10's files."""
    return holds(path, head, lambda names: bool(names & PICTURES))


class Stl10Source(PlanesSource):
    """All pictures; the unlabelled ones ("unlabeled#...") have neither class nor split."""

    def items(self) -> Iterator[Item]:
        """Every picture by file and place. UserError for a damaged file and for one that is missing."""
        self._planes.clear()
        files = publisher_files(self, FILES.__contains__)
        missing(files, FILES, self.path)
        classes = self._classes(files[CLASS_NAMES])
        for split in LABELLED:
            planes = self._pictures(files[f"{split}_X.bin"], f"{split}_X.bin")
            labels = self._labels(files[f"{split}_y.bin"], f"{split}_y.bin", planes.count, len(classes))
            yield from self._take(split, planes, [classes[label - 1] for label in labels], split)
        planes = self._pictures(files["unlabeled_X.bin"], "unlabeled_X.bin")
        yield from self._take("unlabeled", planes, [None] * planes.count, None)

    def _pictures(self, file: Extent, name: str) -> Planes:
        count, rest = divmod(file.size, 3 * SIDE**2)
        if rest:
            raise UserError(
                f"{self.path}: {name} is damaged, or no file of STL-10: its {file.size:,} bytes are no whole number of "
                f"pictures of {3 * SIDE**2:,} bytes"
            )
        return Planes(file, count, SIDE, COLUMNS_FIRST)

    def _labels(self, file: Extent, name: str, count: int, classes: int) -> bytes:
        """A number from 1 on for each picture."""
        if file.size != count:
            raise UserError(f"{self.path}: {name} has {file.size:,} labels for {count:,} pictures")
        labels = bytes(file.read(0, count))
        if labels and not (min(labels) >= 1 and max(labels) <= classes):
            raise UserError(f"{self.path}: {name} has labels that are not 1 to {classes}")
        return labels

    def _classes(self, file: Extent) -> list[str]:
        text = bytes(file.read(0, min(file.size, MOST_TEXT))).decode("utf-8", "replace")
        classes = [line.strip() for line in text.splitlines() if line.strip()]
        if file.size > MOST_TEXT or not classes or len(set(classes)) < len(classes):
            raise UserError(f"{self.path}: {CLASS_NAMES} is damaged: it must name each class once, one a line")
        return classes
