"""300 mixed pictures of one's own in a table, by the very commands of the README, each in a process of its own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = (Path(__file__).resolve().parents[3] / "README.md").read_text()
COUNT = 300


def drawn(number):
    """A picture of its own, of odd sides: waves of two colours at an angle, (H, W, 3) uint8."""
    stream = np.random.default_rng(number)
    height, width = (int(side) for side in stream.integers(33, 90, 2))
    y, x = np.mgrid[:height, :width] / 32
    angle, pitch, shift = stream.uniform(0, np.pi), stream.uniform(2, 9), stream.uniform(0, 6)
    wave = 0.5 + 0.5 * np.sin(pitch * (x * np.cos(angle) + y * np.sin(angle)) + shift)
    first, second = stream.integers(0, 256, (2, 3))
    return np.rint(wave[..., None] * first + (1 - wave[..., None]) * second).astype(np.uint8)


def save(folder, number):
    """The picture in one of the ways in which pictures come."""
    image, path = Image.fromarray(drawn(number)), folder / f"picture {number:03d}"
    exif = Image.Exif()
    exif[0x0112] = 1 + number % 8  # turned, mirrored, or neither
    deep = Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    alpha = image.copy()
    alpha.putalpha(image.convert("L"))
    ways = {
        ".png": image,
        ".JPG": (image, {"exif": exif, "format": "JPEG"}),
        " grey.png": image.convert("L"),
        " palette.png": image.convert("P", palette=Image.Palette.ADAPTIVE),
        " alpha.png": alpha,
        " deep.png": deep,
        " print.jpeg": image.convert("CMYK"),
        " moves.gif": (image, {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}),
        " no jpeg.jpg": (image, {"format": "PNG"}),
        "": (image, {"format": "WEBP", "lossless": True}),
        " scan.tif": image,
        " 1 bit.bmp": image.convert("1"),
    }
    suffix = list(ways)[number % len(ways)]
    saved = ways[suffix]
    saved, options = saved if isinstance(saved, tuple) else (saved, {})
    saved.save(f"{path}{suffix}", **options)


@pytest.fixture
def pictures(tmp_path):
    """A folder as it lies on somebody's disk: pictures, what tools leave behind, and one that was cut off."""
    folder = tmp_path / "my pictures"
    folder.mkdir()
    for number in range(COUNT):
        save(folder, number)
    for junk in (".DS_Store", "._picture 001.png", "Thumbs.db", "notes.txt", "__MACOSX/._a.jpg", ".hidden/a.png"):
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_bytes(b"not a picture")
    whole = (folder / "picture 001.JPG").read_bytes()
    (folder / "cut off.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


def commands():
    """The commands of the README's section, in order."""
    section = README.partition("## Pictures of your own\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [shlex.split(line.split("#")[0])[1:] for line in block[1].splitlines() if line.startswith("bench ")]


@pytest.mark.slow
def test_the_readmes_commands_make_a_column_of_300_mixed_pictures(pictures, bench_command, tmp_path):
    build, run, report = commands()
    assert build[:3] == ["data", "build", "mine"] and [run[0], report[0]] == ["run", "report"]
    env = {"BENCH_CACHE": str(tmp_path / "cache")}

    # Built: every file is used or counted.
    done = bench_command(*(str(pictures) if word == "DIR" else word for word in build), cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("mine at 32 px: 240 train + 60 test images; "), last
    left_out = re.search(r"left out: ([^;]*);", last)
    files = sum(path.is_file() for path in pictures.rglob("*"))
    assert left_out is not None and sum(int(number) for number in re.findall(r"\d+", left_out[1])) == files - COUNT
    assert "cut off.jpg" in done.stderr and "25 animated" in last

    # Trained and shown: all of it is done, the numbers are there, and the caption says whose the set is.
    done = bench_command(*run, cwd=tmp_path, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 runs finished" in done.stdout and "--columns mine" in done.stdout
    done = bench_command(*report, cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert (
        "mine: mine, 32 px, 100 shots (a data set of your own, which the paper's claims and printed numbers are not "
        "about; the table's columns have up to 200 reference images); 100 generated against 60 reference images of the "
        "test split." in told
    )
    assert re.search(r"From scratch \d+(\.\d+)? \(n=1\) floor \(reference\) \d+(\.\d+)? \(n=1\)", told)
    assert "Runs: 4 done" in told
