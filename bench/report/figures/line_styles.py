"""How the rows of a table are told apart in a figure: colours, line styles, markers, and the legend that names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from bench.report.model import RowHead

# Okabe and Ito's colours, told apart with any colour vision; yellow is left out as too light for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")  # of the first seven rows, the next seven, ...
MARKERS = ("o", "s", "^", "D", "v")  # in turn, and so another one where a colour comes again


class Style(NamedTuple):
    """How a row is drawn."""

    colour: str
    line: str
    marker: str


def styles_of(rows: Sequence[RowHead]) -> dict[str, Style]:
    """A style per row: neighbouring rows differ in colour, and where a colour comes again the line differs."""
    return {
        row.id: Style(
            COLOURS[place % len(COLOURS)],
            STYLES[place // len(COLOURS) % len(STYLES)],
            MARKERS[place % len(MARKERS)],
        )
        for place, row in enumerate(rows)
    }


def legend(figure: Figure, panels: np.ndarray, rows: Sequence[RowHead]) -> None:
    """One legend for all panels, in the table's order, by row id: labels such as "+ DISP" repeat."""
    place = {row.id: number for number, row in enumerate(rows)}
    handle_of = {label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels())}
    order = sorted(handle_of, key=lambda label: place[label.split(" (")[0]])
    if order:
        handles = [handle_of[label] for label in order]
        figure.legend(handles, order, loc="outside right upper", fontsize=8, frameon=False, handlelength=3.2)
