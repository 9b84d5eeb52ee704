"""CelebA-HQ: pictures by number without masks, attributes from either table, and tables that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UserError

Arrange = Callable[..., Any]

PICTURES: dict[str, str | None] = {f"CelebAMask-HQ/CelebA-HQ-img/{number}.jpg": None for number in (10, 0, 2)}
MASKS: dict[str, str | None] = {"CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000.png": None}
BY_NUMBER = "3\nMale Smiling \n0.jpg  1 -1\n2.jpg -1  1\n10.jpg -1 -1\n"
BY_CELEBA = "4\nMale Smiling\n000001.jpg -1 -1\n000002.jpg -1  1\n000003.jpg  1 -1\n000004.jpg  1  1\n"
ANNO = "CelebAMask-HQ-attribute-anno.txt"
MAPPING = "idx       orig_idx            orig_file\n0  2  000003.jpg\n2  1  000002.jpg\n10  0  000001.jpg\n"
EXPECTED = [("0", (True, False)), ("2", (False, True)), ("10", (False, False))]


def _told(found: Any) -> list[tuple[str, tuple[bool, ...]]]:
    return [(item.name.split("/")[-1].split(".")[0], tuple(item.attributes.values())) for item in found.items]


@pytest.mark.parametrize(
    "tables",
    [
        {"CelebAMask-HQ/CelebAMask-HQ-attribute-anno.txt": BY_NUMBER},
        {"list_attr_celeba.txt": BY_CELEBA, "CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt": MAPPING},
        {"list_attr_celeba.txt": BY_CELEBA, "image_list.txt": MAPPING},
    ],
)
def test_attributes_from_either_table(arrange: Arrange, tables: dict[str, str]) -> None:
    found = arrange("celeba-hq", {**PICTURES, **MASKS, **tables})
    assert found.attribute_names == ("Male", "Smiling")
    assert _told(found) == EXPECTED
    assert found.left_out == {"masks, side files and others": 1 + len(tables)}
    assert {item.label for item in found.items} == {None}


def test_without_a_table_there_are_no_attributes(arrange: Arrange) -> None:
    found = arrange("celeba-hq", {"celeba_hq/00001.png": None, "celeba_hq/00000.png": None})
    assert [item.name for item in found.items] == ["celeba_hq/00000.png", "celeba_hq/00001.png"]
    assert found.attribute_names == () and not any(item.attributes for item in found.items)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"list_attr_celeba.txt": BY_CELEBA}, "is by CelebA's file names; CelebA-HQ-to-CelebA-mapping.txt or"),
        (
            {"list_attr_celeba.txt": BY_CELEBA, "image_list.txt": MAPPING + "11 9 000009.jpg\n"},
            "the line '11 9 000009.jpg' names no picture of list_attr_celeba.txt",
        ),
        ({ANNO: BY_NUMBER.replace("3\n", "4\n", 1)}, "says 4 pictures and lists 3"),
        ({ANNO: "Male\n"}, "does not begin with a count and a line of names"),
        (
            {ANNO: BY_NUMBER.replace("2.jpg -1", "2.jpg  0")},
            "2.jpg is not 2 times 1 or -1",
        ),
        ({ANNO: BY_NUMBER.replace("2.jpg -1", "2.jpg")}, "2.jpg is not 2 times 1 or -1"),
        (
            {ANNO: BY_NUMBER.replace("2.jpg", "3.jpg")},
            "1 pictures have no attributes",
        ),
        ({ANNO: BY_NUMBER.replace("2.jpg", "b.jpg")}, "'b.jpg' is no number"),
    ],
)
def test_tables_that_do_not_fit_are_refused(arrange: Arrange, tables: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        arrange("celeba-hq", {**PICTURES, **MASKS, **tables})
