"""What one run has logged and scored so far, over its steps: as CSV for any other tool, or as a figure.

It is read from the run's folder and may be made while the run trains; losses come with its checkpoints, scores with its
snapshots.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bench.errors import UserError
from bench.files import atomic
from bench.metrics.measures import label
from bench.report.figures.curves import FORMATS, save
from bench.report.figures.line_styles import COLOURS
from bench.spec.words import against
from bench.store.runs import RunFolder

ACROSS = 3  # panels in a row
COLUMNS = ["step", "kind", "name", "value"]


def values_so_far(folder: RunFolder) -> pd.DataFrame:
    """The columns step, kind ("training" or "score"), name and value, in the order of the steps.

    A score that could not be computed has no line. Raises UserError where nothing has been logged or scored yet.
    """
    lines = [
        (line["step"], "training", name, value)
        for line in folder.read_log()
        for name, value in line.items()
        if name != "step"
    ]
    lines += [
        (line["step"], "score", _score(line), line["value"]) for line in folder.metrics() if line["value"] is not None
    ]
    if not lines:
        raise UserError(f"run {folder.uid} has logged nothing yet: losses come with its first checkpoint")
    frame = pd.DataFrame(lines, columns=COLUMNS)
    # A run that went back to a checkpoint may have logged a step twice: the later line is what it went on from.
    return frame.drop_duplicates(["step", "kind", "name"], keep="last").sort_values("step", kind="stable")


def _score(line: dict[str, Any]) -> str:
    """The name of a score with what it is against; lines from before other references were against the test split."""
    return against(label(line["metric"], line["extractor"]), line.get("reference_split", "test"))


def run_figure(frame: pd.DataFrame, title: str) -> Figure:
    """A panel for each score, then for each logged value, over the steps."""
    ordered = frame.sort_values("kind", kind="stable")
    names = list(ordered["name"].unique())
    rows = -(-len(names) // ACROSS)
    figure = Figure(figsize=(4.2 * min(ACROSS, len(names)), 2.6 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    for position, name in enumerate(names):
        lines = frame[frame["name"] == name]
        score = bool((lines["kind"] == "score").all())
        panel = figure.add_subplot(rows, min(ACROSS, len(names)), position + 1)
        panel.plot(lines["step"], lines["value"], color=COLOURS[score], marker="o" if score else "", linewidth=1.2)
        panel.set_title(name, fontsize=9)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure


def write(folder: RunFolder, title: str, path: Path) -> int:
    """Write a run's values to a file, whose suffix says how: csv, or a figure. Returns how many values there are.

    Raises UserError for another suffix, and where there is nothing yet.
    """
    kind = path.suffix.lstrip(".")
    if kind not in ("csv", *FORMATS):
        raise UserError(f"--curves {path}: the file's name must end with .csv, .{', .'.join(FORMATS)}")
    frame = values_so_far(folder)
    if kind == "csv":
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, frame.to_csv(index=False))
    else:
        save(run_figure(frame, title), path)
    return len(frame)
