"""What a table is: one YAML file (see bench/tables/); bench.plan.expand makes the runs of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, PositiveInt, Tag, field_validator, model_validator

from bench.errors import RuleError, UserError, did_you_mean
from bench.spec.cell import Cell, Scored, Unfinished, scored, trained
from bench.spec.claim import Claim
from bench.spec.inception import Inception
from bench.spec.patch import Of, Patch, merge_patches
from bench.spec.row_column import Column, Row
from bench.spec.run import Frozen
from bench.spec.scale import ScaleSpec
from bench.spec.show import Curve, Pictures, Show

Scale = Literal["smoke", "mini", "midi", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "mini", "midi", "paper")
Place = tuple[int | str, ...]  # the keys of a place in a table's YAML
NO_PAPER = {"", "-", "none", "null", "nil", "no", "n/a"}  # words that YAML reads as text, and people mean as nothing


# One number for all scales, or one for each; told apart here, so that a mistake is reported for that kind only
Seeds = Annotated[
    Annotated[PositiveInt, Tag("One")] | Annotated[dict[Scale, PositiveInt], Tag("ByScale")],
    Discriminator(lambda value: "ByScale" if isinstance(value, dict) else "One"),
]


class TableSpec(Frozen):
    """A table of a paper."""

    KEPT: ClassVar[tuple[str, ...]] = ("patches", "cells")  # what follows from the fields alone, as it is asked for

    schema_version: Literal[1] = 1
    name: str
    title: str
    paper: str | None = None  # None: no paper's table
    seeds: Seeds = 3
    snapshot: Literal["best", "final"]  # the paper's rule; a report prints the other beside it
    best_of: PositiveInt = 1  # how many runs the paper chose its number from
    metrics: tuple[str, ...]
    inception: Inception = "unknown"  # whose features the printed numbers are on
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    absent: tuple[str, ...] = ()  # cells that the paper leaves out: "row/column", with * for all of either
    references: tuple[str, ...] = ()  # reference points: see bench.data.reference
    same_as: str | None = None  # the table whose runs these are, under this paper's names
    evaluate: dict[str, Any] = Field(default_factory=dict)  # the measure of finished runs, and its settings
    of: Of = None  # the table whose runs are evaluated
    show: Show | None = None  # None: as a table alone
    scales: dict[Scale, ScaleSpec]
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()

    @field_validator("paper")
    @classmethod
    def _is_a_paper(cls, value: str | None) -> str | None:
        if value is not None and value.strip().lower() in NO_PAPER:
            raise ValueError(f"'{value}' would be a paper of that name; leave the key out where there is none")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> TableSpec:
        # Ids are unique; what else is said of them is looked up in bench.plan.ids.
        rows, columns = [row.id for row in self.rows], [column.id for column in self.columns]
        for label, names in (("row", rows), ("column", columns)):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise RuleError(f"{label}s", f"the {label} id '{twice}' is given twice")
        of_rows, of_columns = ([one.output for one in those if one.output] for those in (self.rows, self.columns))
        if of_rows and of_columns:
            raise RuleError("columns", f"name an output ('{of_columns[0]}'), and so do rows ('{of_rows[0]}')")
        if isinstance(self.seeds, dict) and (lacking := sorted(set(self.scales) - set(self.seeds))):
            raise RuleError("seeds", f"scale {lacking[0]} is not there; give a number for every scale, or one for all")
        return self

    @property
    def curve(self) -> Curve | None:
        """The curves that the table is drawn as, if it is."""
        return self.show.curve if self.show is not None else None

    @property
    def pictures(self) -> Pictures | None:
        """How the table's grids of pictures are drawn, if it is a figure of them."""
        return self.show.pictures if self.show is not None else None

    @property
    def added_columns(self) -> set[str]:
        """The ids of the columns that are not the table's own."""
        return {column.id for column in self.columns if column.added}

    def at(self, scale: str) -> ScaleSpec:
        """The settings of one scale; UserError if the table lacks it."""
        if scale not in self.scales:
            raise UserError(f"table '{self.name}' has no scale '{scale}'; {did_you_mean(scale, self.scales)}")
        return self.scales[scale]

    def seeds_at(self, scale: str) -> int:
        """How many seeds are planned for a cell."""
        if (own := self.at(scale).seeds) is not None:
            return own
        return self.seeds[scale] if isinstance(self.seeds, dict) else self.seeds  # type: ignore[index]  # one of SCALES

    def with_seeds(self, count: int) -> Self:
        """This table with so many seeds at every scale."""
        scales = {scale: settings.model_copy(update={"seeds": None}) for scale, settings in self.scales.items()}
        return self.model_copy(update={"seeds": count, "scales": scales})

    def is_absent(self, row: str, column: str, scale: str | None = None) -> bool:
        """Whether the paper leaves out this cell, or, where a scale is named, it cannot have it."""
        left_out = self.absent if scale is None else (*self.absent, *self.at(scale).absent)
        return bool(left_out) and any(f"{one}/{other}" in left_out for one in (row, "*") for other in (column, "*"))

    def layers(self, column: Column, scale: str, row: Row | None = None) -> list[tuple[Place, Patch]]:
        """The settings of a cell by the places that give them, later ones over earlier ones; without a row a column's.

        An added row or column is in no file: its place is the one it would have.
        """
        settings, base = self.at(scale), ("scales", scale)
        layers: list[tuple[Place, Patch | None]] = [
            ((), self.patch),
            (base, settings),
            (("columns", _position(self.columns, column)), column.patch),
            ((*base, "columns", column.id), settings.columns.get(column.id)),
        ]
        if row is not None:
            cell = f"{row.id}/{column.id}"
            layers += [
                ((*base, "groups", row.group or ""), settings.groups.get(row.group or "")),
                (("rows", _position(self.rows, row)), row.patch),
                ((*base, "rows", row.id), settings.rows.get(row.id)),
                ((*base, "cells", cell), settings.cells.get(cell)),
            ]
        return [(place, patch) for place, patch in layers if patch is not None]

    def place(self, keys: tuple[str, ...], column: Column, scale: str, row: Row | None = None) -> Place:
        """Where in the YAML a cell's setting stands: below the last place that gives it, else below the scale."""
        places = self.giving(keys, column, scale, row)
        return (*(places[-1] if places else ("scales", scale)), *keys)

    def giving(self, keys: tuple[str, ...], column: Column, scale: str, row: Row | None = None) -> list[Place]:
        """The places that give a cell's setting, the one that wins last."""
        return [place for place, patch in self.layers(column, scale, row) if keys and _says(patch, keys)]

    def merged(self, column: Column, scale: str, row: Row | None = None) -> Patch:
        """What the places of a cell come to; without a row those of a column."""
        key = (scale, column.id, row.id if row else None)
        if key not in self.patches:
            self.patches[key] = merge_patches(*(patch for _, patch in self.layers(column, scale, row)))
        return self.patches[key]

    def trains(self, row: Row, column: Column, scale: str) -> bool:
        """Whether a cell has trainings of its own: it shows them, or an evaluation of them."""
        if row.printed_only is not None or self.is_absent(row.id, column.id, scale):
            return False
        merged = self.merged(column, scale, row)
        return merged.of is None and (merged.method is not None or merged.evaluate.get("measure") is None)

    def trained_cells(self, scale: str) -> Iterator[tuple[Row, Column]]:
        """The cells that have trainings of their own, row by row, controls among them."""
        self.at(scale)
        cells = ((row, column) for row in self.rows for column in self.columns)
        return ((row, column) for row, column in cells if self.trains(row, column, scale))

    def cell(self, row: Row, column: Column, scale: str) -> Cell:
        """All settings of a trained cell. Raises UserError where a setting is missing or does not go with others."""
        key = (scale, column.id, row.id)
        if key not in self.cells:
            where = f"{self.name} at scale {scale}: cell {row.id}/{column.id}"
            self.cells[key] = trained(self.merged(column, scale, row), where)
        return self.cells[key]

    def scored(self, column: Column, scale: str) -> Scored:
        """A column's images and protocol, whatever the row: of reference points, and of pictures made elsewhere."""
        return scored(self.merged(column, scale), f"{self.name} at scale {scale}: column {column.id}")

    def scored_columns(self, scale: str) -> dict[str, Scored]:
        """The columns, by id, that have images and a protocol of their own, whatever the row."""
        found = {}
        for column in self.columns:
            with suppress(Unfinished):
                found[column.id] = self.scored(column, scale)
        return found

    @cached_property
    def patch(self) -> Patch:
        """What the table says of every cell's evaluation, whatever the scale."""
        return Patch.model_construct(evaluate=self.evaluate, of=self.of)

    @cached_property
    def patches(self) -> dict[tuple[str, str, str | None], Patch]:
        """Those of `merged` that have been asked for."""
        return {}

    @cached_property
    def cells(self) -> dict[tuple[str, str, str], Cell]:
        """Those of `cell` that have been asked for."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced. Without any, what was found out of the fields (`KEPT`) is not anew."""
        copied = super().model_copy(update=update, deep=deep)
        if not update:
            copied.__dict__.update({name: getattr(self, name) for name in self.KEPT})
        return copied

    def main_metric(self, scale: str) -> str | None:
        """The score that a report shows first, and that a claim without a metric is about.

        It is the score that picks the best snapshot, where all cells have the same; else the table's first; None for a
        table without scores.
        """
        protocols = (self.cell(row, column, scale).protocol for row, column in self.trained_cells(scale))
        selecting = {protocol.selects.name if protocol.selects else None for protocol in protocols}
        names = [name for name in selecting if name in self.metrics]
        if len(selecting) == len(names) == 1:
            return names[0]
        return self.metrics[0] if self.metrics else None

    def pick_rows(self, names: list[str] | None) -> list[Row]:
        """The named rows; without names the paper's trained rows. `controls` names all control rows."""
        trained = [row for row in self.rows if row.printed_only is None]
        if names is None:
            return [row for row in trained if not row.control]
        known = {row.id: row for row in self.rows}
        picked: list[Row] = []
        for name in names:
            if name == "controls":
                picked += [row for row in trained if row.control]
                continue
            if name not in known:
                raise UserError(f"unknown row '{name}' of {self.name}; {did_you_mean(name, known)}")
            if why := known[name].printed_only:
                raise UserError(f"row '{name}' of {self.name} is printed only, it is not trained: {why}")
            picked.append(known[name])
        return list({row.id: row for row in picked}.values())

    def pick_columns(self, names: list[str] | None) -> list[Column]:
        """The named columns; without names all."""
        known = {column.id: column for column in self.columns}
        for name in names or ():
            if name not in known:
                raise UserError(f"unknown column '{name}' of {self.name}; {did_you_mean(name, known)}")
        return [known[name] for name in dict.fromkeys(names)] if names is not None else list(self.columns)


def _position(items: Sequence[Row | Column], item: Row | Column) -> int:
    return next((number for number, other in enumerate(items) if other.id == item.id), len(items))


def _says(patch: Patch, keys: tuple[str, ...]) -> bool:
    """Whether a patch gives a setting: ("network",), or ("train", "batch") for one key of it."""
    said: Any = patch.said
    for key in keys:
        if not isinstance(said, dict) or said.get(key) is None:
            return False
        said = said[key]
    return True
