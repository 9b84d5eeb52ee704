"""A user's folder: what is taken, how it is split, and what is refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import paths
from bench.data import building, imageset
from bench.data import meta as meta_file
from bench.data.built_set import ImageSet
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.errors import UserError


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    """A folder of twelve 20 x 20 pictures, some below a subfolder."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number in range(12):
        path = folder / ("more" if number % 2 else ".") / f"{number:02}.png"
        _picture(number).save(path)
    (folder / "README.txt").write_text("not a picture, and not called one")
    _register()
    return folder


def _picture(number: int, size: tuple[int, int] = (20, 20)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def _register(train: int = 4, test: int = 3, **options: str) -> None:
    entry = DatasetEntry(
        summary="s",
        builder="bench.datasets.folder:build",
        licence="mine",
        source="here",
        embedded=False,
        train=train,
        test=test,
        options=options,
    )
    datasets().add("mine", "catalogue:mine", "s", entry)


def _build(source: Path, resolution: int = 16) -> ImageSet:
    return building.build("mine", resolution, source=source, force=True)


def test_split_is_deterministic_disjoint_and_complete(source: Path) -> None:
    built = _build(source, 20)  # the pictures' own size: nothing is resampled
    assert (len(built.train), len(built.test)) == (9, 3)
    expected = {np.asarray(_picture(number)).tobytes() for number in range(12)}
    assert {image.tobytes() for image in (*built.train, *built.test)} == expected
    assert _build(source, 20).sha256 == built.sha256
    for path in sorted(source.rglob("*.png")):
        path.write_bytes(path.read_bytes())  # new times, same content
    assert _build(source, 20).sha256 == built.sha256


def test_built_set_loads_and_a_second_build_needs_force(source: Path) -> None:
    sha256 = building.build("mine", 16, source=source).sha256
    assert imageset.load("mine", 16).sha256 == sha256
    with pytest.raises(UserError, match="built already; add --force"):
        building.build("mine", 16, source=source)
    with pytest.raises(UserError, match="--from DIR"):
        building.build("mine", 16, force=True)
    _register(train=5)
    with pytest.raises(
        UserError, match="another recipe; run `bench data build mine --resolution 16 --from DIR --force`"
    ):
        imageset.load("mine", 16)


def test_resize_is_centre_square_then_lanczos(source: Path) -> None:
    _register(crop="center")
    for path in source.rglob("*.png"):
        path.unlink()
    wide = [_picture(number, (40, 24)) for number in range(7)]
    for number, image in enumerate(wide):
        image.save(source / f"{number}.png")
    expected = {
        np.asarray(one.crop((8, 0, 32, 24)).resize((16, 16), Image.Resampling.LANCZOS)).tobytes() for one in wide
    }
    built = _build(source)
    assert {image.tobytes() for image in (*built.train, *built.test)} == expected


def test_fit_stretch_takes_the_whole_picture_and_is_part_of_the_recipe(source: Path) -> None:
    for path in source.rglob("*.png"):
        path.unlink()
    sizes = [(40, 24), (24, 40), (20, 20), (17, 31), (30, 30), (64, 20), (20, 64)]
    pictures = [_picture(number, size) for number, size in enumerate(sizes)]
    for number, image in enumerate(pictures):
        image.save(source / f"{number}.png")
    _register(fit="stretch")
    expected = {np.asarray(one.resize((16, 16), Image.Resampling.LANCZOS)).tobytes() for one in pictures}
    built = _build(source)
    assert {image.tobytes() for image in (*built.train, *built.test)} == expected
    meta = meta_file.read_meta(paths.cache_root() / "data" / "mine-16")
    assert meta["recipe"]["options"] == {"fit": "stretch"}
    assert "the whole picture stretched to a square" in meta["notes"]["resize"]
    _register(crop="center")  # the set on disk is another one now, and is not taken for it
    with pytest.raises(UserError, match="was built by another recipe"):
        imageset.load("mine", 16)
    assert "centre square" in _meta_of(source)["notes"]["resize"]


def test_fit_centre_is_the_default_and_stretching_a_crop_is_refused(source: Path) -> None:
    plain = _build(source).sha256
    _register(fit="centre")
    assert _build(source).sha256 == plain
    _picture(99, (30, 20)).save(source / "00.png")
    with pytest.raises(UserError, match=r"00\.png: 30 x 20 pixels are no square"):
        _build(source)
    _register(fit="stretch", crop="center")
    with pytest.raises(UserError, match="leave one of them out"):
        _build(source)


def _meta_of(source: Path) -> dict[str, Any]:
    _build(source)
    return meta_file.read_meta(paths.cache_root() / "data" / "mine-16")


def test_grey_palette_and_transparent_pictures_become_rgb_on_white(source: Path) -> None:
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(source / "clear.png")
    Image.new("L", (20, 20), 100).save(source / "grey.png")
    _picture(50).convert("P").save(source / "palette.png")
    _picture(51).save(source / "photo.JPEG")
    built = _build(source, 20)
    images = [*built.train, *built.test]
    assert len(images) == 16
    assert any((image == 255).all() for image in images)
    assert any((image == 100).all() for image in images)


def test_train_and_test_folders_are_taken_as_they_are(source: Path) -> None:
    for split, count in (("train", 5), ("test", 3)):
        (source / "split" / split).mkdir(parents=True)
        for number in range(count):
            _picture(100 * count + number).save(source / "split" / split / f"{number}.png")
    built = _build(source / "split", 20)
    assert {image.tobytes() for image in built.test} == {np.asarray(_picture(300 + n)).tobytes() for n in range(3)}
    assert len(built.train) == 5
    _picture(301).save(source / "split" / "train" / "twin.bmp")  # another file, the same pixels
    with pytest.raises(UserError, match=r"test/1\.png: is the same picture as the training image .*twin\.bmp"):
        _build(source / "split", 20)
    for path in (source / "split" / "test").iterdir():
        path.unlink()
    (source / "split" / "test").rmdir()
    with pytest.raises(UserError, match=r"has a folder train/ but not the other"):
        _build(source / "split")


def test_whole_class_reference_holds_the_training_images(source: Path) -> None:
    _register(train=12, test=12, reference="all")
    built = _build(source)
    assert len(built.train) == 12
    assert np.array_equal(built.train, built.test)


def test_copies_of_a_file_count_once(source: Path) -> None:
    (source / "copy.png").write_bytes((source / "00.png").read_bytes())
    built = _build(source)
    assert len(built.train) + len(built.test) == 12


def test_truncated_picture_is_named(source: Path) -> None:
    path = source / "more" / "05.png"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UserError, match=r"more/05\.png: cannot be decoded"):
        _build(source)
    assert not (source.parent / "cache" / "data" / "mine-16").exists()


@pytest.mark.parametrize("content", [b"this is text\n", b"", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_named(source: Path, content: bytes) -> None:
    (source / "aa.png").write_bytes(content)
    with pytest.raises(UserError, match=r"aa\.png: (no picture of a format that is read|a damaged GIF)"):
        _build(source)


def test_decompression_bomb_is_refused_from_its_header(source: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (source / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(UserError, match=r"bomb\.png: "):
        _build(source)
    Image.new("1", (9000, 9000)).save(source / "bomb.png")  # a warning to PIL, beyond what is read here
    with pytest.raises(UserError, match=r"bomb\.png: 9000 x 9000 pixels; at most"):
        _build(source)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_sixteen_bit_grey_becomes_eight_bits(source: Path, suffix: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 20)).astype(np.uint16)
    deep[0, :2] = 0, 65535
    Image.fromarray(deep).save(source / f"deep.{suffix}")  # JPEG 2000 is lossless unless it is told otherwise
    built = _build(source, 20)
    expected = np.repeat(np.rint(deep / 257).astype(np.uint8)[..., None], 3, axis=2)
    assert any(np.array_equal(image, expected) for image in (*built.train, *built.test))


def test_pixels_that_have_no_eight_bits_are_refused(source: Path) -> None:
    Image.fromarray(np.full((20, 20), 0.5, np.float32)).save(source / "float.tiff")
    with pytest.raises(UserError, match=r"float\.tiff: its pixels are of mode F; save it as 8-bit RGB"):
        _build(source)


def test_mixed_sizes_are_refused_and_allowed_by_crop(source: Path) -> None:
    _picture(99, (24, 24)).save(source / "odd.png")
    with pytest.raises(UserError, match=r"odd\.png: 24 x 24 pixels, but most have 20 x 20"):
        _build(source)
    _register(crop="center")
    assert len(_build(source).train) == 10


def test_pictures_that_are_not_square_or_too_small_are_refused(source: Path) -> None:
    with pytest.raises(UserError, match=r"00\.png: 20 x 20 pixels are too few for 64 px"):
        _build(source, 64)
    _picture(99, (30, 20)).save(source / "00.png")
    with pytest.raises(UserError, match=r"00\.png: 30 x 20 pixels are no square"):
        _build(source)


def test_links_out_of_the_folder_are_refused(source: Path) -> None:
    outside = source.parent / "outside"
    outside.mkdir()
    _picture(77).save(outside / "secret.png")
    (source / "link.png").symlink_to(outside / "secret.png")
    with pytest.raises(UserError, match=r"link\.png: a link to a folder or out of"):
        _build(source)
    (source / "link.png").unlink()
    (source / "linked").symlink_to(outside, target_is_directory=True)
    with pytest.raises(UserError, match=r"linked: a link to a folder or out of"):
        _build(source)
    (source / "linked").unlink()
    (source / "twin.png").symlink_to(source / "00.png")  # inside: a copy, which counts once
    assert len(_build(source).train) == 9


def test_too_few_pictures_name_folder_needed_and_found(source: Path) -> None:
    _register(train=4000, test=3000)
    with pytest.raises(UserError, match=r"pictures: 12 different pictures found, 7,000 are needed"):
        _build(source)
    with pytest.raises(UserError, match=r"nowhere: cannot be read: No such file"):
        _build(source / "nowhere")


def test_unknown_options_are_refused(source: Path) -> None:
    _register(crop="left")
    with pytest.raises(
        UserError,
        match=r"option crop: left is unknown; known are crop: center; fit: centre or stretch or center-crop;",
    ):
        _build(source)
