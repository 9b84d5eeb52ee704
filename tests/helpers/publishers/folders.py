"""Releases that are pictures in folders and archives, or in LSUN's database, without lists."""

from __future__ import annotations

import hashlib
from pathlib import Path

import lmdb

from publishers.drawn import encoded
from publishers.release import Release, Write, write_files, write_zip


def _shots(name: str) -> Write:
    """DiffAugment's archive of one set: numbered pictures in one folder."""

    def write(folder: Path) -> Path:
        return write_zip(folder / f"{name}.zip", {f"{number}.jpg": encoded(number, (32, 32)) for number in range(20)})

    return write


NEIGHBOURS = ("100-shot-obama", "anime-face", "art-painting", "moongate", "pokemon", "shells", "skulls")


def _few_shot(name: str) -> Write:
    """FastGAN's folder of many sets, of which this is one; pictures of any size, also below what is built."""

    def write(folder: Path) -> Path:
        own = {f"{name}/img/{number:03}.jpg": encoded(number, (20 + number, 12)) for number in range(20)}
        others = {f"{other}/img/000.jpg": encoded(99) for other in NEIGHBOURS if other != name}
        return write_files(folder / "few-shot-images", {**own, **others})

    return write


def _loose(width: int) -> Write:
    def write(folder: Path) -> Path:
        return write_files(
            folder / "mine", {f"{number}.png": encoded(number, (width, 24), "PNG") for number in range(40)}
        )

    return write


def _classes(folder: Path) -> Path:
    """A folder for each of four classes."""
    files = {f"{_tag(number)}/{number}.png": encoded(number, (40, 32), "PNG") for number in FORTY}
    return write_files(folder / "mine", files)


def _tag(number: int) -> str:
    return f"tag {number % 4}"


def _ffhq(both_sizes: bool) -> Write:
    def write(folder: Path) -> Path:
        files: dict[str, bytes | str] = {"LICENSE.txt": "CC BY-NC-SA 4.0\n"}
        sizes = {"images1024x1024": 48} | ({"thumbnails128x128": 24} if both_sizes else {})
        for name, size in sizes.items():
            for number in range(40):
                place = f"{name}/{number // 10 * 1000:05}/{number // 10 * 1000 + number % 10:05}.png"
                files[place] = encoded(number, (size, size), "PNG")
        write_files(folder / "ffhq", files)
        return folder / "ffhq" / ("" if both_sizes else "images1024x1024")

    return write


def _lsun(folder: Path) -> Path:
    """The database of the training pictures, whose keys are digests."""
    path = folder / "bedroom_train_lmdb"
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=2**24) as database, database.begin(write=True) as writing:
        for number in range(40):
            key = hashlib.sha1(str(number).encode()).hexdigest()
            writing.put(key.encode(), encoded(number, (40, 30), "WEBP"))
    return path


TWENTY = frozenset(range(20))
FORTY = frozenset(range(40))

RELEASES = {
    "danbooru-faces": Release(_loose(40), 25, 15, FORTY),
    "danbooru-characters": Release(_classes, 30, 10, FORTY, label_of={number: _tag(number) for number in FORTY}),
    "ffhq": Release(_ffhq(both_sizes=False), 34, 6, FORTY),
    "ffhq-all": Release(_ffhq(both_sizes=True), 40, 40, FORTY),
    "lsun-bedroom": Release(_lsun, 34, 6, FORTY),
    "obama": Release(_shots("100-shot-obama"), 20, 20, TWENTY),
    "panda": Release(_shots("100-shot-panda"), 20, 20, TWENTY),
    "grumpy-cat": Release(_shots("100-shot-grumpy_cat"), 20, 20, TWENTY),
    "animalface-dog": Release(_shots("AnimalFace-dog"), 20, 20, TWENTY),
    "animalface-cat": Release(_shots("AnimalFace-cat"), 20, 20, TWENTY),
    "art-paintings": Release(_few_shot("art-painting"), 20, 20, TWENTY),
    "pokemon": Release(_few_shot("pokemon"), 20, 20, TWENTY),
    "anime-face": Release(_few_shot("anime-face"), 20, 20, TWENTY),
    "skull": Release(_few_shot("skulls"), 20, 20, TWENTY),
    "shell": Release(_few_shot("shells"), 20, 20, TWENTY),
    "nature": Release(_loose(36), 40, 40, FORTY),
}
