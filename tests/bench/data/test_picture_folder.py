"""Pictures made elsewhere: every file accounted for, no size changed and none left out without being said."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from bench.data.picture_folder import Wanted, fit_of, opened_pictures
from bench.errors import UserError

SIDE = 16


class Made:
    """What was read of a source while it was open."""

    def __init__(self, pictures):
        self.images, self.found, self.notes = pictures.images[:], pictures.found, pictures.notes


def read_pictures(root, resolution, wanted, **choice):
    with opened_pictures(root, Wanted(resolution, wanted, **choice)) as pictures:
        return Made(pictures)


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures; gives a function that writes further ones."""
    stream = np.random.default_rng(0)
    root = tmp_path / "made"
    (root / "more").mkdir(parents=True)

    def put(name, size=SIDE, form=None):
        pixels = stream.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name, form)
        return pixels

    put.pixels = [put(f"{number:02}.png") for number in range(12)]
    put.root = root
    return put


def test_pixels_are_those_of_the_files_in_the_order_of_their_names(folder):
    last = folder("more/zz.bmp")
    hidden = folder("photo", form="PNG")  # no suffix: known by its content
    made = read_pictures(folder.root, SIDE, 14)
    assert np.array_equal(made.images, [*folder.pixels, last, hidden]) and made.found == 14
    assert made.notes == ()


def test_more_than_wanted_are_the_first_by_name_and_that_is_said(folder):
    made = read_pictures(folder.root, SIDE, 5)
    assert np.array_equal(made.images, folder.pixels[:5])
    assert made.notes == ("the first 5 of 12 pictures by name",)


def test_what_is_no_picture_is_counted_and_copies_count(folder):
    (folder.root / "notes.txt").write_text("no picture")
    (folder.root / ".hidden.png").write_bytes((folder.root / "00.png").read_bytes())
    (folder.root / "copy.png").write_bytes((folder.root / "00.png").read_bytes())
    made = read_pictures(folder.root, SIDE, 13)
    assert np.array_equal(made.images[-1], made.images[0]), "a generator may repeat itself"
    assert made.notes == ("left out: 1 .txt, 1 hidden",)


def test_fewer_than_wanted_are_refused_with_both_numbers(folder):
    with pytest.raises(UserError, match="12 pictures found, the protocol generates 1,000; --allow-fewer"):
        read_pictures(folder.root, SIDE, 1000)
    assert len(read_pictures(folder.root, SIDE, 1000, allow_fewer=True).images) == 12
    (folder.root / "more" / "a.txt").write_text("text")
    with pytest.raises(UserError, match=r"0 pictures found \(left out: 1 .txt\), the protocol generates 5$"):
        read_pictures(folder.root / "more", SIDE, 5, allow_fewer=True)


def test_other_sizes_are_refused_with_count_and_size_or_resized_as_asked(folder):
    folder("07.png", 24), folder("08.png", 24), folder("09.png", 8)
    with pytest.raises(
        UserError, match=r"3 of 12 pictures are not 16 x 16 pixels \(2 of 24 x 24 pixels, 1 of 8 x 8 pixels\)"
    ):
        read_pictures(folder.root, SIDE, 12)
    made = read_pictures(folder.root, SIDE, 12, resize=True)
    with Image.open(folder.root / "07.png") as large:
        expected = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    assert np.array_equal(made.images[7], expected) and np.array_equal(made.images[0], folder.pixels[0])
    assert made.notes == ("3 pictures of another size made 16 px (centre square, PIL Lanczos)",)
    assert read_pictures(folder.root, SIDE, 7).notes == ("the first 7 of 12 pictures by name",), "none of these is"


def test_damaged_pictures_are_all_named(folder):
    for name in ("03.png", "05.png"):
        whole = (folder.root / name).read_bytes()
        (folder.root / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"(?s)2 of 12 pictures cannot be used \(mend.*03\.png.*05\.png"):
        read_pictures(folder.root, SIDE, 12)


@pytest.mark.parametrize("workers", [1, 2])
def test_reading_waits_for_what_is_decoded_elsewhere_and_a_damaged_picture_stops_it(folder, workers, monkeypatch):
    """Slices are the files' pixels whoever decodes them; a slice without the damaged one may be read before it."""
    monkeypatch.setattr("bench.machine.workers.PATIENCE", -1 if workers > 1 else 1000)
    monkeypatch.setattr("bench.machine.workers.usable_cores", lambda: workers)
    with opened_pictures(folder.root, Wanted(SIDE, 12)) as pictures:
        parts = [pictures.images[start : start + 5] for start in range(0, 12, 5)]
    assert np.array_equal(np.concatenate(parts), folder.pixels)
    whole = (folder.root / "11.png").read_bytes()
    (folder.root / "11.png").write_bytes(whole[: len(whole) // 2])
    with (
        pytest.raises(UserError, match=r"1 of 12 pictures cannot be used"),
        opened_pictures(folder.root, Wanted(SIDE, 12)),
    ):
        pass  # nobody has read it: it is named all the same
    with pytest.raises(KeyError), opened_pictures(folder.root, Wanted(SIDE, 12)):
        raise KeyError  # what the reader raises is what it gets


def test_an_archive_and_an_array_are_read_as_the_folder_is(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for path in sorted(folder.root.glob("*.png")):
            archive.write(path, f"samples/{path.name}")
        archive.writestr("samples/notes.txt", "no picture")
    np.savez(tmp_path / "made.npz", arr_0=np.stack(folder.pixels), arr_1=np.arange(12))
    packed = read_pictures(tmp_path / "made.zip", SIDE, 12)
    assert np.array_equal(packed.images, folder.pixels) and packed.notes == ("left out: 1 .txt",)
    assert np.array_equal(read_pictures(tmp_path / "made.npz", SIDE, 12).images, folder.pixels)
    (tmp_path / "made.zip").write_bytes(b"PK\3\4 and nothing more")
    for name, why in (("made.zip", "zip"), ("notes.md", "--images .*: is of no kind that is read; known are")):
        (tmp_path / "notes.md").write_text("text")
        with pytest.raises(UserError, match=why):
            read_pictures(tmp_path / name, SIDE, 12)


def test_the_size_is_the_pictures_own_where_nobody_says_it(folder):
    with opened_pictures(folder.root, Wanted(None, None)) as pictures:
        assert pictures.images.shape == (12, SIDE, SIDE, 3)
    folder("13.png", 20)
    with pytest.raises(UserError, match=r"several sizes or shapes \(12 of 16 x 16 pixels, 1 of 20 x 20 pixels\)"):
        read_pictures(folder.root, None, None)


def test_pictures_are_made_square_as_those_of_the_data_set_were(folder):
    assert fit_of("shapes") == "centre" and fit_of("animalface-dog") == "stretch"
    folder("12.png", 24)
    made = read_pictures(folder.root, SIDE, 13, resize=True, fit="center-crop")
    with Image.open(folder.root / "12.png") as large:
        expected = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    assert np.array_equal(made.images[12], expected)
    assert made.notes == ("1 pictures of another size made 16 px (shorter side resized, centre cut out, PIL bilinear)",)
