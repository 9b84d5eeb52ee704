"""A comparison for programs: CSV with a line a baseline and data set, and JSON with all of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from bench.report.compare import MethodComparison
from bench.report.costs import ColumnCosts
from bench.report.model import Cell, Comparison
from bench.report.verdicts import Against, Standing

SCHEMA = 1


def csv(comparisons: Sequence[MethodComparison]) -> str:
    """One line per score, data set and baseline; `refused` says why a cell was not compared."""
    lines = [
        _flat(comparison, place, one)
        for comparison in comparisons
        for place in comparison.standings
        for one in place.against
    ]
    lines += [
        {**_names(comparison), "column": column, "baseline": row, "refused": why}
        for comparison in comparisons
        for row, column, why in comparison.refused
    ]
    return pd.DataFrame(lines).to_csv(index=False)


def as_json(comparisons: Sequence[MethodComparison], remarks: Sequence[str] = ()) -> str:
    """Everything, as one JSON object; a number that is not known is null. remarks: of what was left out."""
    made = {"schema": SCHEMA, "comparisons": [_whole(one) for one in comparisons], "remarks": list(remarks)}
    return json.dumps(_plain(made), indent=2, ensure_ascii=False, allow_nan=False)


def _names(comparison: MethodComparison) -> dict[str, Any]:
    return {
        "method": comparison.method,
        "against": comparison.recorded,
        "table": comparison.table,
        "scale": comparison.scale,
        "metric": comparison.metric,
        "label": comparison.label,
        "snapshot": comparison.rule,
    }


def _flat(comparison: MethodComparison, place: Standing, one: Against) -> dict[str, Any]:
    low, high = place.ranks or (None, None)
    return {
        **_names(comparison),
        "column": place.column,
        "ours": place.ours.centre,
        "rank": place.rank,
        "rank_low": low,
        "rank_high": high,
        "of": place.of,
        "baseline": one.row,
        "theirs": one.cell.centre,
        **(_pair(one.comparison) if one.comparison is not None else {}),
        "verdict": one.verdict,
        "seeds_needed": one.needed.seeds if one.needed else None,
        "seeds_needed_low": one.needed.low if one.needed else None,
        "seeds_needed_high": one.needed.high if one.needed else None,
        "refused": "",
    }


def _pair(pair: Comparison) -> dict[str, Any]:
    names = ("what", "size", "low", "high", "p", "adjusted", "n", "df", "sd", "paired")
    return {name: getattr(pair, name) for name in names}


def _whole(comparison: MethodComparison) -> dict[str, Any]:
    return {
        **_names(comparison),
        "better": comparison.card.better,
        "columns": [_column(comparison, place) for place in comparison.standings],
        "refused": [{"row": row, "column": column, "why": why} for row, column, why in comparison.refused],
        "costs": [_costs(one) for one in comparison.costs],
        "notes": list(comparison.notes),
    }


def _column(comparison: MethodComparison, place: Standing) -> dict[str, Any]:
    return {
        "column": place.column,
        "label": comparison.columns.get(place.column, place.column),
        "ours": _cell(place.ours),
        "rank": place.rank,
        "rank_interval": place.ranks,
        "of": place.of,
        "pooled": place.pooled,
        "baselines": [
            {
                "row": one.row,
                "cell": _cell(one.cell),
                "comparison": _pair(one.comparison) if one.comparison is not None else None,
                "verdict": one.verdict,
                "seeds_needed": asdict(one.needed) if one.needed is not None else None,
            }
            for one in place.against
        ],
        "seeds_by_gap": {gap: asdict(seeds) for gap, seeds in place.gaps},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    interval = cell.interval
    return {
        "centre": cell.centre,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "seeds": dict(zip(map(str, cell.seeds), cell.values)),
    }


def _costs(costs: ColumnCosts) -> dict[str, Any]:
    devices = {
        device: [
            {"row": one.row, "score": one.score, "hours": one.cost.hours, "low": one.cost.low, "high": one.cost.high,
             "n": one.cost.n, "front": one.front}
            for one in points
        ]
        for device, points in costs.devices.items()
    }  # fmt: skip
    return {"column": costs.column, "devices": devices, "unmeasured": dict(costs.unmeasured)}


def _plain(value: Any) -> Any:
    """The same with numbers that JSON lacks as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
