"""Grids of pictures with captions: what goes into the PNG comes out of it, bit for bit, or is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.data.picture_grid import PictureGrid, read_grid
from bench.errors import UserError


def pictures(count=6, height=4, width=5):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def grid(**changes):
    values = {"images_NHWC": pictures(), "rows": ("α = 0", ""), "columns": ("a", "b", "c"), "shows": "noise"}
    return PictureGrid(**values | changes)


def test_a_grid_comes_back_from_its_file(tmp_path):
    made = grid()
    made.save(tmp_path / "a.png")
    made.save(tmp_path / "b.png")
    read = read_grid(tmp_path / "a.png")
    assert np.array_equal(read.images_NHWC, made.images_NHWC)
    assert (read.rows, read.columns, read.shows) == (made.rows, made.columns, made.shows)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".png"], "nothing is left beside them"
    with Image.open(tmp_path / "a.png") as whole:  # any viewer shows row by row
        assert np.array_equal(np.asarray(whole)[4:, 5:10], made.images_NHWC[4])


def test_a_grid_in_words():
    assert grid().size == "2 rows of 3"
    assert grid().in_words == "noise (2 rows of 3); rows: α = 0, -; columns: a, b, c"
    assert grid(rows=("", "")).in_words == "noise (2 rows of 3); columns: a, b, c"
    assert grid(images_NHWC=pictures(1), rows=("",), columns=("",)).in_words == "noise (1 row of 1)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images_NHWC": pictures().astype(float)}, "must be .N, H, W, 3. uint8, not .6, 4, 5, 3. float64"),
        ({"images_NHWC": pictures()[..., :1]}, r"not \(6, 4, 5, 1\) uint8"),
        ({"images_NHWC": pictures(5)}, "a grid of 2 rows and 3 columns has 5 pictures; it must have 6"),
        ({"images_NHWC": pictures(0), "rows": ()}, "a grid of 0 rows and 3 columns has 0 pictures"),
        ({"rows": ("x" * 41, "")}, "caption 'x+' of a grid must be one line of at most 40 letters"),
        ({"columns": ("a\nb", "", "")}, "must be one line"),
        ({"shows": " "}, "a grid must say what it shows"),
    ],
)
def test_what_is_no_grid_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        grid(**changes)


def test_a_file_that_is_no_grid_is_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    for name in ("plain.png", "torn.png", "absent.png"):
        with pytest.raises(UserError, match=rf"{name}: is not a grid of pictures that an evaluation has written"):
            read_grid(tmp_path / name)
    with pytest.raises(FileNotFoundError):  # the folder of a run that somebody has removed is not made again
        grid().save(tmp_path / "gone" / "a.png")
