"""The settings of a table at one scale: its own, and those of columns, groups of rows, rows and cells over them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveInt, model_validator

from bench.spec.patch import Patch
from bench.spec.resources import Resources

PLACES = ("columns", "groups", "rows", "cells")  # later ones win


class ScaleSpec(Patch):
    """One scale of a table: what all its cells have, and by id what some of them have differently."""

    seeds: PositiveInt | None = None  # None: the table's
    resources: Resources | None = None
    absent: tuple[str, ...] = ()  # cells that this scale cannot have, beside those that the paper leaves out
    cost: tuple[str, ...] = ()  # what is known of time, memory and disk, each with its basis
    columns: dict[str, Patch] = Field(default_factory=dict)
    groups: dict[str, Patch] = Field(default_factory=dict)
    rows: dict[str, Patch] = Field(default_factory=dict)
    cells: dict[str, Patch] = Field(default_factory=dict)  # by "row/column"

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_there(cls, value: Any) -> Any:
        """A key, or the id of a column, group, row or cell, that a file has removed with null from what it extends."""
        if not isinstance(value, dict):
            return value
        kept = {key: inner for key, inner in value.items() if inner is not None}
        for place in PLACES:
            if isinstance(kept.get(place), dict):
                kept[place] = {key: patch for key, patch in kept[place].items() if patch is not None}
        return kept
