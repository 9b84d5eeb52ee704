"""Options of a catalogue entry: how pictures become squares and which copies count; see datasets/pictures.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.data.builder import Order
from bench.data.picture import Fit
from bench.data.picture_pile import Pile
from bench.errors import UserError

from ..layouts.arrangement import DEFAULT
from ..splits import check_options as check_split

RECIPE = "EXIF orientation applied; transparent parts on white; {}"
RECIPES: dict[Fit, str] = {
    "centre": RECIPE.format("centre square; PIL Lanczos"),
    "stretch": RECIPE.format("the whole picture stretched to a square; PIL Lanczos"),
    "center-crop": RECIPE.format("shorter side resized, then the centre cut out; PIL bilinear"),
}
OPTIONS = {
    "crop": ("center",),
    "fit": tuple(RECIPES),
    "small": ("enlarge",),
    "reference": ("all",),
    "duplicates": ("pixels", "bytes", "keep"),
    "near_duplicates": ("together", "ignore"),
    "labels": ("none",),
    "split_names": ("exact",),
}
COUNT = "pictures"  # how many the release has
DIVIDING = ("split", "test_share", "per_class", "test_per_class")  # bench.datasets.splits checks their values


def check_options(order: Order, options: Mapping[str, Any]) -> None:
    """UserError for an option that is unknown (a layout of its own may have others) or has an unknown value."""
    for key, value in options.items():
        strange = key not in OPTIONS and order.entry.layout in (None, DEFAULT) and key not in (*DIVIDING, COUNT)
        if strange or (key in OPTIONS and value not in OPTIONS[key]):
            known = "; ".join(f"{name}: {' or '.join(values)}" for name, values in OPTIONS.items())
            raise UserError(f"data set '{order.name}': option {key}: {value} is unknown; known are {known}")
    check_split(options, order.name)
    if COUNT in options and not (type(options[COUNT]) is int and options[COUNT] > 0):
        raise UserError(f"data set '{order.name}': option {COUNT} is {options[COUNT]}, must be a count")
    if fit_of(options) != "centre" and "crop" in options:
        raise UserError(
            f"data set '{order.name}': fit: {fit_of(options)} and crop: center are two ways to make squares; "
            "leave one of them out"
        )


def fit_of(options: Mapping[str, Any]) -> Fit:
    """How a picture that is not square is made so; `check_options` has checked the value."""
    fit: Fit = options.get("fit", "centre")
    return fit


def any_shape(options: Mapping[str, Any]) -> bool:
    """Whether pictures may be of any shape and size; else all must be squares of one size."""
    return options.get("crop") == "center" or fit_of(options) != "centre"


def are_near_copies_apart(options: Mapping[str, Any]) -> bool:
    """Whether near copies are looked for, so that none stands in both splits."""
    return options.get("near_duplicates") == "together" and options.get("reference") != "all"


def refuse_incomplete(options: Mapping[str, Any], pile: Pile) -> None:
    """UserError for a release of fewer pictures than its publisher's, copies and bad ones counted."""
    found, wanted = len(pile.pictures()) + len(pile.bad), options.get(COUNT, 0)
    if found < wanted:
        raise UserError(f"{pile.source.path}: {found:,} pictures found, {wanted:,} are needed, all of the release")
