"""Valid pictures and archives of many kinds, and seeded damage to their bytes."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

from soft_pictures import soft_picture

SIZE = (26, 22)


def valid_pictures() -> dict[str, bytes]:
    """Name -> content of a small picture, of every format that is read and its odd kinds."""
    rgb = soft_picture(0, SIZE)
    frames = [soft_picture(number, SIZE) for number in (1, 2)]
    few_colours = [frame.convert("P") for frame in frames]
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray((np.arange(SIZE[0] * SIZE[1], dtype=np.uint16) * 97).reshape(SIZE[::-1]))
    return {
        "plain.png": _saved(rgb, "PNG"),
        "palette.png": _saved(rgb.convert("P"), "PNG", transparency=0),
        "deep.png": _saved(deep, "PNG"),
        "moving.png": _saved(rgb, "PNG", save_all=True, append_images=frames),
        "alpha.png": _saved(rgb.convert("RGBA"), "PNG", exif=exif),
        "plain.jpg": _saved(rgb, "JPEG", exif=exif),
        "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "print.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "grey.jpg": _saved(rgb.convert("L"), "JPEG"),
        "plain.webp": _saved(rgb, "WEBP"),
        "moving.webp": _saved(rgb, "WEBP", save_all=True, append_images=frames),
        "plain.bmp": _saved(rgb, "BMP"),
        "moving.gif": _saved(rgb.convert("P"), "GIF", save_all=True, append_images=few_colours),
        "plain.tif": _saved(rgb, "TIFF"),
        "packed.tif": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflated.tif": _saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "deep.tif": _saved(deep, "TIFF"),
        "print.tif": _saved(rgb.convert("CMYK"), "TIFF"),
        "plain.ppm": _saved(rgb, "PPM"),
        "bits.pbm": _saved(rgb.convert("1"), "PPM"),
        "plain.avif": _saved(rgb, "AVIF"),
        "plain.jp2": _saved(rgb, "JPEG2000"),
    }


def valid_archives() -> dict[str, bytes]:
    """Name -> content of an archive of five small pictures, of every kind that is read."""
    pictures = {f"a/{number}.png": _saved(soft_picture(number, SIZE), "PNG") for number in range(5)}
    archives = {}
    for name, method in (("stored.zip", zipfile.ZIP_STORED), ("packed.zip", zipfile.ZIP_DEFLATED)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as packed:
            for member, content in pictures.items():
                packed.writestr(member, content)
        archives[name] = file.getvalue()
    for mode in ("", "gz", "bz2", "xz"):
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            file = io.BytesIO()
            with tarfile.open(fileobj=file, mode=f"w:{mode}", format=form) as tar:  # type: ignore[call-overload]
                for member, content in pictures.items():
                    info = tarfile.TarInfo(f"{'d' * 101}/é{member}")  # needs a header of its own
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
            archives[f"{form}.tar.{mode}"] = file.getvalue()
    return archives


def damaged(content: bytes, stream: np.random.Generator) -> bytes:
    """The content cut off, or with bytes changed, removed, repeated or inserted; more often near its beginning."""
    data = bytearray(content)
    for _ in range(int(stream.integers(1, 4))):
        place = int(len(data) * stream.random() ** float(stream.choice([1, 3]))) if data else 0
        span = int(2 ** stream.integers(0, 7))
        kind = stream.choice(["cut", "bits", "extreme", "random", "remove", "repeat", "insert"])
        if kind == "cut":
            del data[place:]
        elif kind == "bits":
            for at in range(place, min(place + span, len(data))):
                data[at] ^= 1 << int(stream.integers(8))
        elif kind == "extreme":
            data[place : place + 4] = bytes([int(stream.choice([0, 0x7F, 0x80, 0xFF]))]) * 4
        elif kind == "random":
            data[place : place + span] = stream.bytes(span)
        elif kind == "remove":
            del data[place : place + span]
        elif kind == "repeat":
            data[place:place] = data[place : place + span]
        else:
            data[place:place] = stream.bytes(span)
    return bytes(data)


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
