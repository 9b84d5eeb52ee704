"""A grid of pictures with captions, kept as one PNG that holds its captions: the two cannot be parted."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.files import atomic

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

KEY = "grid"  # of the PNG's text that has the captions as JSON
LONGEST = 40  # letters of a row's or a column's caption


@dataclass(frozen=True)
class PictureGrid:
    """Pictures of one size in rows and columns; raises UserError for what is no such grid.

    images_NHWC: (rows x columns, H, W, 3) uint8, row by row.
    rows, columns: a short caption of each, "" where there is nothing to say. shows: the whole in a sentence without a
    full stop, as in "16 images of the generator".
    """

    images_NHWC: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    shows: str

    def __post_init__(self) -> None:
        images, count = self.images_NHWC, len(self.rows) * len(self.columns)
        if images.dtype != "uint8" or images.ndim != 4 or images.shape[3] != 3:
            raise UserError(f"a grid's pictures must be (N, H, W, 3) uint8, not {images.shape} {images.dtype}")
        if count == 0 or len(images) != count:
            raise UserError(
                f"a grid of {len(self.rows)} rows and {len(self.columns)} columns has {len(images)} pictures; "
                f"it must have {max(count, 1)}"
            )
        if odd := [text for text in (*self.rows, *self.columns) if len(text) > LONGEST or "\n" in text]:
            raise UserError(f"caption '{odd[0]}' of a grid must be one line of at most {LONGEST} letters")
        if not self.shows.strip():
            raise UserError("a grid must say what it shows")

    @property
    def size(self) -> str:
        """For example "3 rows of 8"."""
        rows = len(self.rows)
        return f"{rows} row{'s' * (rows > 1)} of {len(self.columns)}"

    @property
    def in_words(self) -> str:
        """What the pictures are, with the captions that there are: for people who do not see them."""
        named = [
            f"{kind}: {', '.join(text or '-' for text in captions)}"
            for kind, captions in (("rows", self.rows), ("columns", self.columns))
            if any(captions)
        ]
        return "; ".join([f"{self.shows} ({self.size})", *named])

    def as_image(self) -> Image:
        """All pictures in one, side by side without gaps."""
        import numpy as np  # here, as below, for a list of measures does not need them
        from PIL.Image import fromarray

        rows, columns = len(self.rows), len(self.columns)
        _, height, width, _ = self.images_NHWC.shape
        pieces = self.images_NHWC.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
        return fromarray(np.ascontiguousarray(pieces.reshape(rows * height, columns * width, 3)))

    def save(self, path: Path) -> None:
        """Write the PNG, whole or not at all, into a folder that is there; equal grids give equal files."""
        from PIL.PngImagePlugin import PngInfo

        told = {"rows": self.rows, "columns": self.columns, "shows": self.shows}
        info = PngInfo()
        info.add_itxt(KEY, json.dumps(told, sort_keys=True))
        written = io.BytesIO()
        self.as_image().save(written, "PNG", pnginfo=info)
        atomic.write_bytes(path, written.getvalue(), inside=path.parent)


def read_grid(path: Path) -> PictureGrid:
    """The grid that `PictureGrid.save` wrote. Raises UserError for a file that is none, or that is absent."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            told: dict[str, Any] = json.loads(image.text[KEY])  # type: ignore[attr-defined]  # of a PNG
            whole = np.asarray(image.convert("RGB"))
        rows, columns = tuple(told["rows"]), tuple(told["columns"])
        height, width = whole.shape[0] // len(rows), whole.shape[1] // len(columns)
        pieces = whole.reshape(len(rows), height, len(columns), width, 3).transpose(0, 2, 1, 3, 4)
        return PictureGrid(pieces.reshape(-1, height, width, 3), rows, columns, told["shows"])
    except (OSError, AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{path}: is not a grid of pictures that an evaluation has written ({error})") from error
