"""Folders as people have them: every file is taken, or listed, or counted; nothing goes missing silently."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench import paths
from bench.cli.data import data
from bench.cli.main import main
from bench.data import building, imageset, verification
from bench.data import meta as meta_file
from bench.data.built_set import ImageSet
from bench.data.known import datasets
from bench.errors import UserError
from bench.plan.load import load_table


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    """A folder of thirty pictures of 24 x 20 pixels."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        _picture(number).save(folder / f"{number:02}.png")
    return folder


def _picture(number: int, size: tuple[int, int] = (24, 20)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def _build(source: Path, **options: object) -> ImageSet:
    return building.build("my-pictures", 16, source, force=True, **options)  # type: ignore[arg-type]


def _square(image: Image.Image) -> bytes:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cropped = image.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(cropped.resize((16, 16), Image.Resampling.LANCZOS)).tobytes()


def _contents(built: ImageSet) -> set[bytes]:
    return {image.tobytes() for image in (*built.train, *built.test)}


def _damaged_profile(path: Path) -> bytes:
    """A whole PNG whose colour profile names a compression that there is not."""
    content = path.read_bytes()
    chunk = b"iCCP" + b"icc\0\5" + zlib.compress(b"profile")
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + whole + content[33:]


def _spoil(source: Path) -> set[str]:
    """Five bad files of five kinds, found by header and by pixels; their names."""
    (source / "empty.jpg").write_bytes(b"")
    (source / "text.png").write_text("no picture")
    _picture(90, (8, 8)).save(source / "small.png")
    (source / "cut.png").write_bytes((source / "00.png").read_bytes()[:-400])
    (source / "profile.png").write_bytes(_damaged_profile(source / "01.png"))
    return {"empty.jpg", "text.png", "small.png", "cut.png", "profile.png"}


def test_all_bad_files_stand_in_one_message(source: Path) -> None:
    names = _spoil(source)
    with pytest.raises(UserError, match=r"5 of 35 pictures cannot be used .*--skip-bad") as caught:
        _build(source)
    message = str(caught.value)
    assert all(f"{name}: " in message for name in names)
    assert "profile.png: a damaged PNG (" in message
    assert "no PNG" not in message
    assert "small.png: 8 x 8 pixels are too few for 16 px" in message
    assert "cut.png: cannot be decoded (" in message
    assert not (paths.cache_root() / "data" / "my-pictures-16").exists()


def test_a_long_list_names_every_file(source: Path) -> None:
    for number in range(130):
        (source / f"x{number}.gif").write_bytes(b"")
    with pytest.raises(UserError, match="130 of 160 pictures ") as error:
        _build(source)
    assert all(f"x{number}.gif: " in str(error.value) for number in range(130))


def test_skip_bad_builds_the_set_of_the_others_and_counts(source: Path) -> None:
    clean = _build(source).sha256
    _spoil(source)
    built = _build(source, skip_bad=True)
    assert built.sha256 == clean
    assert built.notes["left out"] == "left out: 5 bad" and len(built.notes["bad"]) == 5
    assert (built.notes["files found"], built.notes["files used"]) == (35, 30)


def test_the_last_line_accounts_for_every_file(source: Path) -> None:
    _spoil(source)
    (source / "__MACOSX").mkdir()
    (source / "__MACOSX" / "._00.png").write_bytes(b"\0\5\26\7")
    (source / ".DS_Store").write_bytes(b"\0")
    (source / ".thumbs").mkdir()
    _picture(91).save(source / ".thumbs" / "00.png")
    (source / "notes.txt").write_text("x")
    (source / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (source / "twin.png").write_bytes((source / "00.png").read_bytes())
    frames = [_picture(number) for number in (92, 93)]
    frames[0].save(source / "moving.gif", save_all=True, append_images=frames[1:])
    files = sum(path.is_file() for path in source.rglob("*"))
    arguments = ["build", "my-pictures", "--resolution", "16", "--from", str(source), "--skip-bad"]
    done = CliRunner().invoke(data, arguments, catch_exceptions=False)
    last = done.output.strip().splitlines()[-1]
    assert "25 train + 6 test images" in last
    assert "left out: 1 .heic, 1 .txt, 1 copies of another, 3 hidden, 5 bad; 1 animated, the first" in last
    assert files == 25 + 6 + 1 + 1 + 1 + 3 + 5
    assert done.output.count("skipped:") == 5


def test_pictures_are_known_by_their_content(source: Path) -> None:
    _picture(95).save(source / "photo", "PNG")
    _picture(96).save(source / "scan.dat", "TIFF")
    _picture(97).save(source / "liar.png", "BMP")
    still, moving = _picture(98).convert("P"), [_picture(number).convert("P") for number in (99, 100)]
    still.save(source / "still.gif")
    moving[0].save(source / "moving.webp", save_all=True, append_images=moving[1:], lossless=True)
    built = _build(source)
    assert len(built.train) + len(built.test) == 35
    taken = _contents(built)
    for image in (_picture(95), _picture(96), _picture(97), still, moving[0]):
        assert _square(image) in taken
    assert built.notes["left out"] == "1 animated, the first picture of each"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_applied(source: Path, orientation: int) -> None:
    for path in source.iterdir():
        path.unlink()
    stored, upright = [], set()
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }[orientation]  # fmt: skip
    for number in range(4):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = _picture(number)
        image.save(source / f"{number}.png", exif=exif)
        stored.append(_square(image))
        upright.add(_square(image.transpose(turn)))
    assert _contents(_build(source)) == upright and not upright & set(stored)


def test_pictures_beside_train_and_test_are_counted(source: Path) -> None:
    for split, numbers in (("train", range(200, 205)), ("test", range(300, 303))):
        (source / split).mkdir()
        for number in numbers:
            _picture(number).save(source / split / f"{number}.png")
    built = _build(source)
    assert (len(built.train), len(built.test)) == (5, 3)
    assert built.notes["left out"] == "left out: 30 beside train/ and test/"


def test_a_folder_of_ones_own_needs_no_plugin(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = building.build("my-pictures", 16, source)
    assert (len(built.train), len(built.test)) == (24, 6)
    datasets.cache_clear()  # as another process would find it
    assert imageset.load("my-pictures", 16).sha256 == built.sha256
    other = building.build("my-pictures", 20, source, test_share=0.5)
    assert (len(other.train), len(other.test)) == (15, 15)
    for resolution, tested in ((16, 6), (20, 15)):
        datasets.cache_clear()
        assert len(imageset.load("my-pictures", resolution).test) == tested
        assert verification.verify("my-pictures", resolution)
    with pytest.raises(UserError, match="is not built; run `bench data build my-pictures --resolution 8 --from DIR`"):
        imageset.load("my-pictures", 8)
    _picture(99).save(source / "more.png")
    again = building.build("my-pictures", 16, source, force=True)
    assert again.sha256 != built.sha256 and len(again.train) == 25


def test_a_set_of_ones_own_may_be_stretched(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remembered with the set: found and verified by another process as it was built."""
    for path in source.iterdir():
        path.unlink()
    wide = [_picture(number).resize((40, 24)) for number in range(5)]
    for number, image in enumerate(wide):
        image.save(source / f"{number}.png")
    built = building.build("my-wide", 16, source, fit="stretch")
    datasets.cache_clear()
    loaded = imageset.load("my-wide", 16)
    expected = {np.asarray(one.resize((16, 16), Image.Resampling.LANCZOS)).tobytes() for one in wide}
    assert {image.tobytes() for image in (*loaded.train, *loaded.test)} == expected
    assert loaded.entry.options["fit"] == "stretch" and verification.verify("my-wide", 16)
    centred = building.build("my-wide", 16, source, force=True, fit="centre")
    assert centred.sha256 != built.sha256
    assert building.build("my-wide", 16, source, force=True).sha256 == centred.sha256
    with pytest.raises(UserError, match="has its own way to make squares; leave out --fit"):
        building.build("ffhq", 16, source, fit="stretch")


def test_a_set_of_ones_own_stands_in_a_table_of_ones_own(source: Path, tmp_path: Path) -> None:
    building.build("my-pictures", 32, _larger(source))
    shipped = load_table("table1")
    text = "extends: disp/table1\ntitle: Mine\nscales:\n  smoke:\n    columns:\n"
    for column in ("anime", "faces"):
        text += (
            f"      {column}: {{data: {{name: my-pictures, resolution: 32, shots: 10}}, generated: 20, reference: 6}}\n"
        )
    (tmp_path / "mine.yaml").write_text(text)
    spec = load_table(str(tmp_path / "mine.yaml"))
    run = spec.run_spec(spec.rows[0], spec.columns[0], 0, "smoke")
    assert run.data.name == "my-pictures" and len(spec.rows) == len(shipped.rows)


def _larger(source: Path) -> Path:
    for path in source.iterdir():
        Image.open(path).resize((40, 40)).save(path)
    return source


def test_a_slip_of_the_pen_makes_no_set(source: Path) -> None:
    with pytest.raises(UserError, match="unknown data set 'danboru-faces'; did you mean 'danbooru-faces'"):
        building.build("danboru-faces", 16, source)
    with pytest.raises(UserError, match="lower-case letters, digits and hyphens"):
        building.build("My pictures", 16, source)
    with pytest.raises(
        UserError, match=r"unknown data set 'quilts'.*bench data build quilts --resolution R --from DIR"
    ):
        imageset.load("quilts", 16)
    with pytest.raises(UserError, match="has its own split; leave out --test-share"):
        building.build("ffhq", 16, source, test_share=0.3)


def test_the_hint_to_build_again_can_be_followed(source: Path) -> None:
    """A set of the user's files needs them again; one from packages does not."""
    _build(source)
    folder = paths.cache_root() / "data" / "my-pictures-16"
    (folder / "train.npy").write_bytes(b"torn")
    for ask in (imageset.load, verification.verify):
        with pytest.raises(UserError, match=r"`bench data build my-pictures --resolution 16 --from DIR --force`"):
            ask("my-pictures", 16)
    assert "--from DIR --force" in meta_file.build_again(folder.with_name("ffhq-128"))
    assert "--from" not in meta_file.build_again(folder.with_name("shapes-16"))


def test_the_command_line_gives_each_bad_file_a_line(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = _spoil(source)
    with pytest.raises(SystemExit) as left:
        main(["data", "build", "my-pictures", "--resolution", "16", "--from", str(source)])
    lines = capsys.readouterr().err.splitlines()
    assert left.value.code == 2
    start = next(place for place, line in enumerate(lines) if line.startswith("bench: error: "))
    assert "5 of 35 pictures cannot be used" in lines[start]
    listed = {Path(line.split(": ")[0].strip()).name for line in lines[start + 1 :]}
    assert listed == names
