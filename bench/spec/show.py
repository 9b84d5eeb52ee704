"""How a table that is a figure is drawn: as curves of its cells, or as the grids of pictures in them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from bench.errors import RuleError
from bench.spec.run import Frozen

STEP, COLUMN = "step", "column"
SETTING = r"(data|train|protocol|network\.options|evaluate)\.[a-z][a-z0-9_]*"


class Curve(Frozen):
    """A score over the steps of the training, over the columns' `x`, or over a setting such as `data.shots`.

    label: the x axis in words. lines: a line for each row. panels: a panel for each column, for each row, or one for
    all. log: the axes that are logarithmic.
    """

    x: str = Field(default=STEP, pattern=rf"^({STEP}|{COLUMN}|{SETTING})$")
    label: str = ""
    lines: Literal["rows"] = "rows"
    panels: Literal["columns", "rows", "none"] = "columns"
    log: tuple[Literal["x", "y"], ...] = ()

    @model_validator(mode="after")
    def _columns_are_one_thing(self) -> Curve:
        if self.x != STEP and self.panels == "columns":
            raise RuleError("panels", f"x is {self.x}, which has one value in a column; write panels: none, or rows")
        if self.x == STEP and self.panels != "columns":
            raise RuleError("panels", f"x is step, whose panels are columns; leave panels: {self.panels} out")
        return self


class Pictures(Frozen):
    """Grids of pictures, which an evaluation of each cell gives: of one seed, the first that is reported.

    side: of a picture, in pixels: larger ones are drawn smaller, smaller ones by whole factors larger.
    """

    side: PositiveInt = 128


class Show(Frozen):
    """The drawing of a table's cells; the cells themselves are shown beside curves."""

    curve: Curve | None = None
    pictures: Pictures | None = None

    @model_validator(mode="after")
    def _is_one_drawing(self) -> Show:
        if (self.curve is None) == (self.pictures is None):
            raise ValueError("must have curve or pictures, one of the two")
        return self
