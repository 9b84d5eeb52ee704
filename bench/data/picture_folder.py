"""A folder of pictures from elsewhere as one array: every file accounted for, sizes changed only on request."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.picture import BadPictureError, decode
from bench.data.picture_pile import Pile, look_through, refuse_bad
from bench.errors import UserError
from bench.machine.long_work import progress

WORKERS = 4  # PIL decodes outside the interpreter's lock
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
    pile = look_through(root.resolve(), root.name)
    refuse_bad(pile, "mend or remove them")

    # Enough pictures, all of the size that the protocol scores.
    found, files = len(pile.pictures), list(pile.pictures)[:wanted]
    if found < min(2, wanted) or (found < wanted and not allow_fewer):
        more = f" ({told})" if (told := pile.told()) else ""
        hint = "; --allow-fewer scores them all the same" if found > 1 else ""
        raise UserError(f"{root}: {found:,} pictures found{more}, the protocol generates {wanted:,}{hint}")
    others = _of_another_size(pile, files, resolution)
    if others and not resize:
        sizes = ", ".join(f"{count:,} of {text}" for text, count in others.most_common(3))
        raise UserError(
            f"{root}: {others.total():,} of {len(files):,} pictures are not {resolution} x {resolution} pixels "
            f"({sizes}{', ...' if len(others) > 3 else ''}); --resize makes them so ({FILTER})"
        )

    # Decode them; only now is it known which are damaged inside.
    images = np.empty((len(files), resolution, resolution, 3), np.uint8)
    _fill(pile, files, images)
    pile.animated = sum(pile.pictures[file].animated for file in files if file in pile.pictures)
    refuse_bad(pile, "mend or remove them")

    # Whatever was left out or changed.
    notes = [pile.told()] if pile.told() else []
    if found > wanted:
        notes.append(f"the first {wanted:,} of {found:,} pictures by name")
    if others:
        notes.append(f"{others.total():,} pictures of another size made {resolution} px ({FILTER})")
    return PictureFolder(root, images, found, tuple(notes))


def _of_another_size(pile: Pile, files: list[Path], resolution: int) -> Counter[str]:
    headers = [pile.pictures[file] for file in files]
    return Counter(header.text for header in headers if (header.width, header.height) != (resolution, resolution))


def _fill(pile: Pile, files: list[Path], images: np.ndarray) -> None:
    """Decode the files into their rows; the pile learns which of them are bad."""

    def decoded(place: int) -> str | None:
        try:
            images[place] = decode(files[place], images.shape[1])
        except BadPictureError as error:
            return str(error)
        return None

    pool = ThreadPoolExecutor(WORKERS)
    try:
        reasons = list(progress(pool.map(decoded, range(len(files))), len(files), "pictures"))
    finally:
        pool.shutdown(cancel_futures=True)
    for file, reason in zip(files, reasons, strict=True):
        if reason is not None:
            pile.reject(file, reason)
