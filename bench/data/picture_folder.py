"""A folder of pictures from elsewhere as one array: every file accounted for, sizes changed only on request."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.decoding import PICTURE
from bench.data.picture_pile import Pile, Places, look_through, refuse_bad
from bench.data.sources.folder import FolderSource
from bench.data.sources.item_table import ItemTable
from bench.errors import UserError
from bench.machine.workers import Workers

FILTER = "centre square, PIL Lanczos"


@dataclass(frozen=True, eq=False)
class PictureFolder:
    """The pictures of a folder: images (N, R, R, 3) uint8 RGB in the order of their names."""

    root: Path
    images: np.ndarray
    found: int  # pictures in the folder
    notes: tuple[str, ...]  # what was not taken, or was changed


def read_pictures(
    root: Path, resolution: int, wanted: int, *, resize: bool = False, allow_fewer: bool = False
) -> PictureFolder:
    """The first `wanted` pictures by name below `root`, in any format that data sets are built from.

    Known by their content, held upright by their EXIF orientation, on white where transparent. Raises UserError for a
    picture that cannot be read, for pictures of another size (unless `resize`), and for fewer (unless `allow_fewer`).
    """
    source = FolderSource(root)
    items = ItemTable(source.items())
    with Workers() as workers, tempfile.TemporaryDirectory() as scratch:
        pile = look_through(source, items, workers, root.name)
        pile.left_out.update(source.left_out)
        refuse_bad(pile, "mend or remove them")
        chosen = _enough(root, pile, wanted, allow_fewer)
        others = _of_another_size(pile, chosen, resolution)
        if others and not resize:
            sizes = ", ".join(f"{count:,} of {text}" for text, count in others.most_common(3))
            raise UserError(
                f"{root}: {others.total():,} of {len(chosen):,} pictures are not {resolution} x {resolution} pixels "
                f"({sizes}{', ...' if len(others) > 3 else ''}); --resize makes them so ({FILTER})"
            )

        # Decode them; only now is it known which are damaged inside. The map outlives its file's name.
        shape = (len(chosen), resolution, resolution, 3)
        images = np.lib.format.open_memmap(Path(scratch) / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        pile.decode(images, Places(items, chosen, np.arange(len(chosen))), workers, root.name)
    pile.animated = int((pile.looks["animated"] & (pile.looks["kind"] == PICTURE))[chosen].sum())
    refuse_bad(pile, "mend or remove them")

    # Whatever was left out or changed.
    notes = [pile.told()] if pile.told() else []
    if (found := len(pile.pictures())) > wanted:
        notes.append(f"the first {wanted:,} of {found:,} pictures by name")
    if others:
        notes.append(f"{others.total():,} pictures of another size made {resolution} px ({FILTER})")
    return PictureFolder(root, images, found, tuple(notes))


def _enough(root: Path, pile: Pile, wanted: int, allow_fewer: bool) -> np.ndarray:
    """The rows of the first pictures by name."""
    found = len(pile.pictures())
    if found < min(2, wanted) or (found < wanted and not allow_fewer):
        more = f" ({told})" if (told := pile.told()) else ""
        hint = "; --allow-fewer scores them all the same" if found > 1 else ""
        raise UserError(f"{root}: {found:,} pictures found{more}, the protocol generates {wanted:,}{hint}")
    return pile.pictures()[:wanted]


def _of_another_size(pile: Pile, rows: np.ndarray, resolution: int) -> Counter[str]:
    other = (pile.looks["width"][rows] != resolution) | (pile.looks["height"][rows] != resolution)
    return Counter(map(pile.size_text, rows[other].tolist()))
