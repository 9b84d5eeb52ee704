"""Structs of MATLAB files: those that scipy writes and reads, in both forms, and damaged, cut off and huge ones."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat

from bench.errors import UserError
from publishers.lists import meta_mat

matlab = importlib.import_module("bench.datasets.layouts.matlab_structs")
SideFile = importlib.import_module("bench.datasets.layouts.side_files").SideFile
FIELDS = ("WNID", "ILSVRC2012_ID")


def _read(content: bytes, variable: str = "synsets", fields: tuple[str, ...] = FIELDS) -> Any:
    return matlab.structs(SideFile("meta.mat", content), variable, fields)


@pytest.mark.parametrize("packed", [True, False])
def test_fields_are_those_that_scipy_reads(packed: bool) -> None:
    content = meta_mat(packed)
    rows = loadmat(io.BytesIO(content), squeeze_me=True)["synsets"]
    assert _read(content) == [(str(row["WNID"]), int(row["ILSVRC2012_ID"])) for row in rows]
    assert _read(content, fields=("words",))[3] == ("entity",)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="meta.mat: has no structs 'labels'"):
        _read(meta_mat(), "labels")
    with pytest.raises(UserError, match="'synsets' has no field gloss"):
        _read(meta_mat(), fields=("WNID", "gloss"))
    with pytest.raises(UserError, match="a field of .* numbers, not of one"):
        _read(meta_mat(), fields=("children",))
    with pytest.raises(UserError, match="no header of level 5"):
        _read(b"words")


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_file_is_one_line_or_a_list(packed: bool) -> None:
    content, random = meta_mat(packed), np.random.default_rng(5)
    refused = []
    for turn in range(600):
        damaged = bytearray(content[: int(random.integers(len(content)))] if turn % 3 == 0 else content)
        for place in random.integers(128, len(content), 3):
            if place < len(damaged):
                damaged[place] = random.integers(256)
        try:
            assert isinstance(_read(bytes(damaged)), list)
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > 200
    assert [one for one in refused if not one.startswith("meta.mat: ") or "\n" in one] == []


def test_a_bomb_and_a_shape_that_no_file_holds_are_refused() -> None:
    packed = zlib.compress(bytes(matlab.MOST_PLAIN + 1))
    bomb = meta_mat()[:128] + struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(UserError, match=r"a variable of more than 67,108,864 bytes"):
        _read(bomb)
    content = meta_mat(packed=False)
    shape = struct.pack("<IIii", 5, 8, 4, 1)
    start = content.index(b"synsets")
    place = content.rindex(shape, 0, start)
    huge = content[:place] + struct.pack("<IIii", 5, 8, 2**30, 2**30) + content[place + 16 :]
    with pytest.raises(UserError, match="meta.mat: is not a MATLAB file that can be read"):
        _read(huge)
