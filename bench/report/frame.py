"""The columns of a frame of results, and their types."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.report.origins import FACTS

# One line per (row, column, metric, extractor, seed, snapshot step). `kind` is "train", a row's, or "reference"
# (row then names the reference point), `commit` the code of the run's last start, `origin` "runs" or
# "recorded:<set>".
REQUIRED = (
    "row", "column", "metric", "extractor", "seed", "step", "value", "error", "n_generated", "n_reference",
    "status", "uid", "origin", "kind", "commit",
)  # fmt: skip
# Columns that came later, each with its value where a line has none: older recorded sets lack them, and a set in
# which all have that value is written without. `version`: of the score's meaning (its card in bench.metrics).
# The digests of a score's extractor and reference, and what the run was made from: see bench.report.origins.
# `reference_split`: which images the reference is of. `measure`: of an evaluation, which has one snapshot; `run_score`:
# the score by which its run's best snapshot is chosen, at that snapshot. `train_seconds`: how long a run has trained.
# `remark`: of pictures from elsewhere, what is to be known of them. `machine`: on which a measure of time was taken.
OPTIONAL: dict[str, Any] = {
    "version": 1, "extractor_sha256": "", "reference_sha256": "", **dict.fromkeys(FACTS, ""), "reference_split": "test",
    "measure": "", "run_score": "", "train_seconds": 0.0, "remark": "", "machine": "",
}  # fmt: skip
COLUMNS = (*REQUIRED, *OPTIONAL)


def as_frame(lines: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """The lines as a frame: scores are floats, a step that never was is missing."""
    frame = pd.DataFrame(lines, columns=list(columns))
    for name in ("value", "error"):
        frame[name] = frame[name].astype(float)
    for name, absent in OPTIONAL.items():
        kept = frame[name].astype(object) if absent == "" else frame[name]  # a number beside "" is kept as it is
        frame[name] = kept.where(kept.notna(), absent)
    for name in ("seed", "step", "n_generated", "n_reference", "version"):
        frame[name] = frame[name].astype("Int64")
    return frame


def of_evaluations(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which lines are of evaluations, not of trainings or reference points."""
    if "measure" not in frame:
        return pd.Series(False, index=frame.index)
    return frame["measure"].notna() & (frame["measure"] != "")


def plain(column: pd.Series[Any]) -> list[Any]:
    """The values of a column as Python has them. One by one, words of a frame of 100,000 lines would take a second."""
    return column.astype(object).tolist() if isinstance(column.dtype, pd.StringDtype) else list(column)


def pairs(frame: pd.DataFrame) -> set[tuple[str, str]]:
    """The rows and columns that a frame has lines of."""
    return set(frame[["row", "column"]].drop_duplicates().itertuples(index=False, name=None))


def machines_of(frame: pd.DataFrame) -> list[str]:
    """The machines on which measures of time were taken, by name."""
    return sorted({*frame["machine"].dropna()} - {""}) if "machine" in frame else []
