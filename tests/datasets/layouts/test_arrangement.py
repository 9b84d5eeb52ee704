"""Layouts by name."""

from __future__ import annotations

import importlib

import pytest

from bench.data.catalogue import read_catalogue
from bench.errors import UserError

arrangement = importlib.import_module("bench.datasets.layouts.arrangement")


def test_every_layout_that_an_entry_names_is_there() -> None:
    named = {entry.layout for entry in read_catalogue().values() if entry.layout}
    assert {"oxford-passion-flower", "cub", "places365", "celeba-hq", "lsun", "imagenet", "flat"} <= named
    for name in named:
        assert callable(arrangement.layout(name)), name


@pytest.mark.parametrize("name", ["arrangement", "side-files", "../common/render", "flatt", "", "Flat"])
def test_what_is_no_layout_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"layout '.*' is unknown; known are celeba-hq, cub, flat, "):
        arrangement.layout(name)
