"""ImageNet-2012: synsets by folder, validation in folders or flat with its list, and lists that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UserError

Arrange = Callable[..., Any]

TENCH, GOLDFISH = "n01440764", "n01443537"
TRAIN: dict[str, str | None] = {
    f"ILSVRC/Data/CLS-LOC/train/{synset}/{synset}_{number}.JPEG": None
    for synset in (GOLDFISH, TENCH)
    for number in range(2)
}
SOLUTION = f"""ImageId,PredictionString
ILSVRC2012_val_00000001,{TENCH} 1 2 3 4 {TENCH} 5 6 7 8
ILSVRC2012_val_00000002,{GOLDFISH} 1 2 3 4
"""
FLAT: dict[str, str | None] = {
    f"ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_0000000{number}.JPEG": None for number in (1, 2)
}


def test_validation_in_folders_is_the_test_split(arrange: Arrange) -> None:
    found = arrange("imagenet", {**TRAIN, f"val/{TENCH}/ILSVRC2012_val_00000001.JPEG": None, "train/README.txt": "x"})
    assert found.class_names == (TENCH, GOLDFISH)  # by name, as everywhere
    assert [item.split for item in found.items].count("train") == 4
    assert [(item.label, item.split) for item in found.items if "val" in item.name] == [(TENCH, "test")]
    assert found.left_out == {"side files and others": 1}


def test_flat_validation_has_its_classes_from_kaggles_list(arrange: Arrange) -> None:
    others: dict[str, str | None] = {
        "ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG": None,
        f"ILSVRC/Annotations/CLS-LOC/train/{TENCH}/{TENCH}_0.xml": None,
        "LOC_synset_mapping.txt": f"{TENCH} tench, Tinca tinca\n{GOLDFISH} goldfish\n",
    }
    found = arrange("imagenet", {**TRAIN, **FLAT, "LOC_val_solution.csv": SOLUTION, **others})
    assert [item.label for item in found.items if item.split == "test"] == [TENCH, GOLDFISH]
    assert len(found.items) == 6 and found.left_out == {"side files and others": 4}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({**TRAIN, **FLAT}, "LOC_val_solution.csv is missing, and so is ILSVRC2012_validation_ground_truth.txt"),
        (
            {**TRAIN, **FLAT, "LOC_val_solution.csv": SOLUTION[:80]},
            "gives 1 pictures no class, .*00000002.JPEG",
        ),
        ({**TRAIN, **FLAT, "LOC_val_solution.csv": "a\nx,\n"}, "LOC_val_solution.csv: no synset in the line of x"),
        ({**TRAIN, "synset_words.txt": f"{TENCH} tench\n"}, f"has classes that the list lacks: {GOLDFISH}"),
        (
            {**TRAIN, "synset_words.txt": f"{TENCH} tench\n{GOLDFISH} g\nn09999999 x\n"},
            "has no training pictures of n09999999",
        ),
        (
            {**TRAIN, "val/n09999999/a.JPEG": None},
            "has validation pictures of classes without training pictures: n09999999",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arrange: Arrange, files: dict[str, str | None], message: str) -> None:
    with pytest.raises(UserError, match=message):
        arrange("imagenet", files)
