"""Rows whose training sees the features that they are scored on, which favours them."""

from __future__ import annotations

from collections.abc import Iterator

from bench.contract.discovery import methods
from bench.contract.signature import signature
from bench.features import parse_spec
from bench.plan.expand import Table
from bench.spec.table import Scale


def favoured(spec: Table, scale: Scale, shown: set[str]) -> Iterator[str]:
    """A sentence for each of these rows and extractor by which it is favoured (`Method.trains_on`)."""
    for row in spec.rows:
        if row.id not in shown:
            continue
        said: dict[str, None] = {}  # in order, each once
        for column in spec.columns:
            if not spec.shows(row, column, scale) or spec.evaluates(row, column, scale):
                continue
            cell = spec.cell(row, column, scale)
            seen = {name for part in spec.parsed(cell.method or "") for name in _trained_on(part.name)}
            scored = [metric.extractor for metric in cell.protocol.metrics]
            said |= dict.fromkeys(extractor for extractor in scored if parse_spec(extractor)[0] in seen)
        for extractor in said:
            yield f"{row.label} trains on the features of {extractor}: its scores on them are too good to compare."


def _trained_on(part: str) -> tuple[str, ...]:
    return signature(methods().entry(part).target).trains_on
