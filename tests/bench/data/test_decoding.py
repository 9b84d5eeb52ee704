"""Jobs of worker processes: what a header takes, and a disk that has no room for a row."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.decoding import DecodeInto, Rows, look_at
from bench.data.sources.folder import FolderSource
from soft_pictures import centre_square, soft_picture


def test_a_row_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    soft_picture(1, (20, 20)).save(tmp_path / "in" / "a.png")
    (tmp_path / "rows").touch()
    job = DecodeInto(FolderSource(tmp_path / "in"), Rows(tmp_path / "rows", 100, 20))
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most[1]))  # within the row, as the end of a disk may be
    try:
        with pytest.raises(OSError, match="No space left"):
            job([(0, "a.png")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert job([(0, "a.png")]).done.all()
    assert (tmp_path / "rows").read_bytes()[100:] == centre_square(soft_picture(1, (20, 20)))


def test_a_header_needs_no_pixels(tmp_path: Path) -> None:
    """PIL decodes a whole PNG to look for EXIF behind its pixels, at the cost of decoding it twice."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    for name in ("a.png", "a.jpg"):
        noise.save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        look, reason = look_at(FolderSource(tmp_path), name)
        assert (look.width, look.height) == (30, 40) and not reason


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_size_is_that_of_the_picture_held_upright(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    soft_picture(1, (40, 30)).save(tmp_path / f"a.{suffix}", exif=exif)
    look, _ = look_at(FolderSource(tmp_path), f"a.{suffix}")
    assert (look.width, look.height) == (30, 40)
