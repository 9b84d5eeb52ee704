"""Sheets of a table's settings at scale paper, typed by hand from the papers' texts, and the runs they are held to.

A line of a sheet is about the cells `row/column` (* is any): `freezed/*; steps 30000; batch 256`. "-" is
none, a later line wins, # begins a comment. What only the project declares is typed from docs/reproduce. A sheet need
not speak of settings that most papers do not have (SELDOM).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.contract.expression import parse_method
from bench.plan.expand import Table
from bench.plan.load import load_table
from bench.spec.row_column import Column, Row
from bench.spec.run import RunSpec, WeightsFile, readable

NONE = "-"
SELDOM = ("holdout", "hinge_margin", "share_fakes", "batch_statistics")
Fields = dict[str, str]


@dataclass(frozen=True)
class Line:
    """What a sheet says of some cells."""

    row: str
    column: str
    said: Fields

    def is_of(self, row: str, column: str) -> bool:
        """Whether the line is about this cell."""
        return self.row in (row, "*") and self.column in (column, "*")


def read_sheet(path: Path) -> list[Line]:
    """The lines of a sheet."""
    lines = []
    for text in path.read_text().splitlines():
        if text := text.partition("#")[0].strip():
            cells, *fields = (part.strip() for part in text.split(";"))
            row, _, column = cells.partition("/")
            said = [field.split(maxsplit=1) for field in fields]
            lines.append(Line(row, column, {name: value.strip() for name, value in said}))
            assert len(lines[-1].said) == len(fields), f"{path.name} gives twice: {text}"
    return lines


def typed(sheet: list[Line], row: str, column: str) -> Fields:
    """What a sheet says of one cell."""
    said: Fields = {}
    for line in sheet:
        if line.is_of(row, column):
            said |= line.said
    return _without_seldom(said)


def unused(sheet: list[Line], cells: list[tuple[str, str]]) -> list[Line]:
    """The lines that are about no cell."""
    return [line for line in sheet if not any(line.is_of(*cell) for cell in cells)]


def of_run(spec: RunSpec) -> Fields:
    """The fields of a run, as a sheet has them."""
    network, train, data, protocol = spec.network, spec.train, spec.data, spec.protocol
    assert network is not None and train is not None and protocol is not None
    fields = {
        "network": network.name,
        "options": _words(network.options),
        **{name: _word(getattr(train, name)) for name in ("steps", "batch", "micro_batch", "d_steps", "g_lr", "d_lr")},
        **{name: _word(getattr(train, name)) for name in ("beta1", "beta2", "loss")},
        "ema": f"{train.ema_decay:.8g}{' ramp' if train.ema_ramp else ''}",
        "flip": _word(train.flip),
        "data": f"{data.name}@{data.resolution}",
        **{name: _word(getattr(data, name)) for name in ("shots", "share", "draw", "holdout")},
        **{name: _word(getattr(train, name)) for name in ("hinge_margin", "share_fakes", "batch_statistics")},
        **{name: _word(getattr(protocol, name)) for name in ("generated", "reference", "split", "every")},
        "scores": " ".join(
            f"{score.name}{f'({score.k})' if score.k else ''}:{score.extractor}" for score in protocol.metrics
        ),
        "sources": _words({role: _source(source) for role, source in spec.sources.items()}),
    }
    return _without_seldom(fields)


def of_cell(table: Table, row: Row, column: Column) -> Fields:
    """The fields of a trained cell at scale paper but for its method, and how it is evaluated."""
    evaluate = table.merged(column, "paper", row).evaluate
    return {**of_run(table.run_spec(row, column, 0, "paper")), "evaluate": _words(evaluate)}


def trainings(name: str, scale: str = "paper", seed: int = 0) -> dict[tuple[str, str], RunSpec]:
    """(row, column) -> the training, of every cell of a table that has one."""
    table = load_table(name)
    cells = table.trained_cells(scale)
    return {(row.id, column.id): table.run_spec(row, column, seed, scale) for row, column in cells}


def is_method(text: str, spec: RunSpec) -> bool:
    """Whether a run's method is the one that a sheet has, settings and defaults alike."""
    return parse_method(text) == spec.method


def _without_seldom(fields: Fields) -> Fields:
    """The fields without those that few runs have, where they are none."""
    return {name: value for name, value in fields.items() if name not in SELDOM or value != NONE}


def _source(source: RunSpec | WeightsFile) -> str:
    """A file of the user's by its name; a training by its part, its images and its length."""
    if isinstance(source, WeightsFile):
        return source.weights
    assert source.train is not None
    wrong = f" with {source.data.corrupt_labels:g} wrong" if source.data.corrupt_labels else ""
    images = f"{source.data.name}@{source.data.resolution}{wrong}"
    return f"{readable(source.method)} of {images}, {source.train.steps} x {source.train.batch}"


def _words(values: dict[str, object]) -> str:
    return " ".join(f"{name}={_word(value)}" for name, value in values.items()) or NONE


def _word(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
