"""Whether two rows were scored alike: by the lines of their scores, and by the settings of two tables.

What was scored on other features, on other counts or against other images is another number by the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.evaluate.registry import on_features
from bench.plan.expand import Table
from bench.report.frame import of_evaluations
from bench.report.origins import ENDED
from bench.spec.run import MetricSpec, Protocol
from bench.spec.words import REFERENCES

# Columns of a line of scores that two rows must agree in: in words, with the two values
COUNTED = {"n_generated": "{} generated images against {}", "n_reference": "{} reference images against {}"}
DIGESTS = {"extractor_sha256": "other weights of the extractor", "reference_sha256": "other reference images"}
Cells = dict[tuple[str, str], str]  # (row, column) -> the differences, in words


def refused(ours: pd.DataFrame, theirs: pd.DataFrame, metric: MetricSpec) -> Cells:
    """The cells of `theirs` whose score was taken otherwise than ours in that column, with the differences.

    Only finite scores of ended runs count; what a line does not record (a recorded set of before) is no difference.
    """
    own = {str(column): lines for column, lines in _scored(ours, metric).groupby("column")}
    found: Cells = {}
    for (row, column), lines in _scored(theirs, metric).groupby(["row", "column"], sort=False):
        if column in own and (text := "; ".join(_of_lines(own[column], lines, metric))):
            found[str(row), str(column)] = text
    return found


def schedules(ours: pd.DataFrame, theirs: pd.DataFrame) -> Cells:
    """The trained cells of `theirs` that have another number of snapshots than ours, of which the best is taken."""
    own = _snapshots(ours).groupby("column").max()
    found: Cells = {}
    most = _snapshots(theirs).groupby(["row", "column"], sort=False).max().reset_index()
    for row, column, count in most.itertuples(index=False, name=None):
        if column in own.index and own[column] != count:
            found[str(row), str(column)] = f"best of {own[column]} against best of {count} snapshots"
    return found


def of_protocols(ours: Protocol, theirs: Protocol, rules: tuple[str, str]) -> list[str]:
    """What differs between two protocols that score one data set, in words; rules: the snapshot rules of the tables.

    Extractors are seen in the lines of the score that is compared.
    """
    texts: list[str] = []
    for name, words in (("generated", COUNTED["n_generated"]), ("reference", COUNTED["n_reference"])):
        texts += _differ(words, getattr(ours, name), getattr(theirs, name))
    texts += _differ("reference images{} against{}", REFERENCES[ours.split], REFERENCES[theirs.split])
    if ours.name == theirs.name:
        texts += _differ(f"version {{}} of the protocol {ours.name} against {{}}", ours.version, theirs.version)
    return texts + _differ("the {} snapshot against the {} one", *rules)


def of_training(ours: Table, row: str, theirs: Table, other: str, columns: tuple[str, str], scale: str) -> str:
    """What a row of another table is trained by otherwise than ours, in words; "" where it is alike or unknown."""
    pair = [_trained(*one, scale) for one in ((ours, row, columns[0]), (theirs, other, columns[1]))]
    if None in pair:
        return ""
    mine, its = (dict(one) for one in pair if one is not None)
    return "; ".join(f"{name} {mine[name]} against {its[name]}" for name in mine if mine[name] != its[name])


def _trained(table: Table, row: str, column: str, scale: str) -> Mapping[str, Any] | None:
    """The settings that decide how long and how large a cell is trained; None where it is not trained."""
    head = next((one for one in table.rows if one.id == row), None)
    (place,) = [one for one in table.columns if one.id == column]
    if head is None or not table.trains(head, place, scale):
        return None
    cell = table.cell(head, place, scale)
    return {"network": cell.network.name, "steps": cell.train.steps, "batch": cell.train.batch}


def _scored(frame: pd.DataFrame, metric: MetricSpec) -> pd.DataFrame:
    ended = frame["status"].isin(ENDED) & (frame["kind"] == "train")
    return frame[ended & (frame["metric"] == metric.name) & frame["value"].notna()]


def _of_lines(ours: pd.DataFrame, theirs: pd.DataFrame, metric: MetricSpec) -> list[str]:
    """The differences of two cells, by the lines of their scores."""
    features = on_features(metric.extractor)
    mine = ours[ours["extractor"] == features]
    same = theirs[theirs["extractor"] == features]
    if mine.empty:
        return []
    if same.empty:
        return [f"extractor {features} against {_named(theirs['extractor'])}"]
    texts: list[str] = []
    for name, words in COUNTED.items():
        texts += _differ(words, *(_named(lines[name].dropna()) for lines in (mine, same)))
    splits = [_named(lines["reference_split"].dropna()) for lines in (mine, same)]
    texts += _differ("reference images{} against{}", *(REFERENCES.get(one, f" {one}") for one in splits))  # type: ignore[call-overload]  # a set's file may name any split
    for name, words in DIGESTS.items():
        digests = [set(lines[name].dropna()) - {""} for lines in (mine, same)]
        texts += [words] if all(digests) and digests[0] != digests[1] else []
    return texts


def _differ(words: str, ours: object, theirs: object) -> list[str]:
    return [words.format(ours, theirs)] if ours != theirs and "" not in (ours, theirs) else []


def _named(values: pd.Series[Any]) -> str:
    return ", ".join(str(value) for value in sorted(set(values)))


def _snapshots(frame: pd.DataFrame) -> pd.Series[int]:
    """The number of scored steps of every finished training, by row, column and seed."""
    lines = frame[(frame["status"] == "done") & (frame["kind"] == "train") & ~of_evaluations(frame)]
    lines = lines[lines["value"].notna()]
    return lines.groupby(["row", "column", "seed"], sort=False)["step"].nunique()
