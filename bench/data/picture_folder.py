"""Pictures from elsewhere, in a folder, an archive or an array: every one accounted for, resized only on request."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.decoded_ahead import REMEDY, DecodedAhead
from bench.data.decoding import PICTURE
from bench.data.known import datasets
from bench.data.picture import FILTERS, Fit
from bench.data.picture_pile import Pile, look_through, refuse_bad
from bench.data.sources.item_table import ItemTable
from bench.data.sources.opening import open_source
from bench.errors import UserError
from bench.machine.workers import Workers


@dataclass(frozen=True)
class Wanted:
    """Which pictures are taken, and what is done to those of another size.

    resolution: pixels a side; None: that of the pictures, which must then be squares of one size. count: the first so
    many by name; None: all. by: who wants that many, in messages. fit: how a picture becomes a square of that size.
    """

    resolution: int | None
    count: int | None
    by: str = "the protocol generates"
    fit: Fit = "centre"
    resize: bool = False
    allow_fewer: bool = False


@dataclass(frozen=True, eq=False)
class PictureFolder:
    """The pictures of a folder, an archive or an array, in the order of their names, while it is open.

    images: (N, R, R, 3) uint8 RGB, which are being decoded. notes: what was not taken, or was changed.
    """

    root: Path
    images: DecodedAhead
    found: int
    notes: tuple[str, ...]


def fit_of(dataset: str) -> Fit:
    """How the pictures of a data set were made squares, as its catalogue entry says: its scores' own filter."""
    fit: Fit = datasets().load(dataset).options.get("fit", "centre")
    return fit if fit in FILTERS else "centre"


@contextmanager
def opened_pictures(root: Path, wanted: Wanted, option: str = "--images") -> Iterator[PictureFolder]:
    """The pictures below `root`, a folder, or in any container and format that data sets are built from.

    Known by their content, held upright by their EXIF orientation, on white where transparent. Raises UserError for a
    picture that cannot be read (of one that is damaged inside, when it is decoded), for pictures of another size
    (unless `resize`), and for fewer (unless `allow_fewer`). option: what messages call `root` by.
    """
    with tempfile.TemporaryDirectory(prefix="bench-pictures-") as scratch, Workers() as workers:
        # What there is, and which of it is taken
        source = open_source(root, Path(scratch), option)
        items = ItemTable(source.items())
        pile = look_through(source, items, workers, root.name)
        pile.left_out.update(source.left_out)
        refuse_bad(pile, REMEDY)
        chosen = _enough(root, pile, wanted)
        resolution = wanted.resolution or _own_size(root, pile, chosen)
        others = _of_another_size(pile, chosen, resolution)
        _refuse_sizes(root, others, len(chosen), resolution, wanted)
        pile.animated = int((pile.looks["animated"] & (pile.looks["kind"] == PICTURE))[chosen].sum())

        # Whatever is left out or changed
        notes = [pile.told()] if pile.told() else []
        if (found := len(pile.pictures())) > len(chosen):
            notes.append(f"the first {len(chosen):,} of {found:,} pictures by name")
        if others:
            notes.append(f"{others.total():,} pictures of another size made {resolution} px ({FILTERS[wanted.fit]})")
        file = Path(scratch) / "decoded.npy"
        with DecodedAhead(pile, chosen, resolution, wanted.fit, workers, file) as images:
            yield PictureFolder(root, images, found, tuple(notes))


def _enough(root: Path, pile: Pile, wanted: Wanted) -> np.ndarray:
    """The rows of the first pictures by name."""
    found, count = len(pile.pictures()), wanted.count
    least = 2 if count is None else min(2, count)
    if found < least or (count is not None and found < count and not wanted.allow_fewer):
        more = f" ({told})" if (told := pile.told()) else ""
        hint = "; --allow-fewer scores them all the same" if found > 1 else ""
        need = f"{wanted.by} {count:,}" if count is not None else "at least 2 are needed"
        raise UserError(f"{root}: {found:,} pictures found{more}, {need}{hint}")
    return pile.pictures()[:count]


def _own_size(root: Path, pile: Pile, rows: np.ndarray) -> int:
    """The pixels a side of pictures that all are squares of one size. UserError for others."""
    sizes = Counter(map(pile.size_text, rows.tolist()))
    first = pile.looks[rows[0]]
    if len(sizes) > 1 or first["width"] != first["height"]:
        raise UserError(
            f"{root}: pictures of several sizes or shapes ({_listed(sizes)}); --resolution N with --resize makes them "
            "squares of one size"
        )
    return int(first["width"])


def _of_another_size(pile: Pile, rows: np.ndarray, resolution: int) -> Counter[str]:
    other = (pile.looks["width"][rows] != resolution) | (pile.looks["height"][rows] != resolution)
    return Counter(map(pile.size_text, rows[other].tolist()))


def _refuse_sizes(root: Path, others: Counter[str], count: int, resolution: int, wanted: Wanted) -> None:
    if others and not wanted.resize:
        raise UserError(
            f"{root}: {others.total():,} of {count:,} pictures are not {resolution} x {resolution} pixels "
            f"({_listed(others)}); --resize makes them so ({FILTERS[wanted.fit]})"
        )


def _listed(sizes: Counter[str]) -> str:
    text = ", ".join(f"{count:,} of {size}" for size, count in sizes.most_common(3))
    return f"{text}{', ...' if len(sizes) > 3 else ''}"
