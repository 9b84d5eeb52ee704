"""What a report shows in pictures: the curves of its main score and of its traces, or its figure of pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from bench.evaluate.traces import Trace, trace, traces
from bench.report.model import Block, TableReport
from bench.report.picture_words import alternative_text


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption, and the text in its place for people who do not see it; "" where the caption is it."""

    caption: str
    png: bytes
    instead: str = ""

    @property
    def alternative_text(self) -> str:
        """What stands in the picture's place."""
        return self.instead or self.caption

    @property
    def data_uri(self) -> str:
        """The picture as a data URI, for use inside an HTML page."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def plotted_block(report: TableReport) -> Block | None:
    """The block that the curves show; None where nothing of it is scored yet."""
    block = report.main_block
    return block if block is not None and not report.scores(block).empty else None


def plotted_traces(report: TableReport) -> list[Trace]:
    """The traces whose numbers the table shows and of which something is recorded."""
    known = [trace(entry.name) for entry in traces()]
    return [card for card in known if not report.traced(card).empty]


def pictures(report: TableReport) -> list[Picture]:
    """The figure of pictures, or the curves, where anything is scored, in the order of a page."""
    from bench.report.figures.drawing import drawn as figure  # here, for matplotlib takes a while to import

    shown = []
    if report.figure is not None:
        shown.append(Picture(report.title, figure_png(report), alternative_text(report)))
    if (block := plotted_block(report)) is not None:
        plotted = io.BytesIO()
        figure(report).savefig(plotted, format="png", dpi=110)
        title = block.measure.title
        shown.append(Picture(f"{title[:1].upper()}{title[1:]} over {_axis(report)}", plotted.getvalue()))
    for card in plotted_traces(report):
        from bench.report.figures.trace_curves import trace_curves

        plotted = io.BytesIO()
        trace_curves(report, card).savefig(plotted, format="png", dpi=110)
        shown.append(Picture(f"{card.summary} over the training's steps", plotted.getvalue()))
    return shown


def figure_png(report: TableReport) -> bytes:
    """The whole figure of pictures as a PNG; equal records give equal bytes."""
    from bench.report.figures.picture_grids import drawn  # here, for matplotlib takes a while to import

    written = io.BytesIO()
    drawn(report).save(written, "PNG")
    return written.getvalue()


def _axis(report: TableReport) -> str:
    """What the figure's x axis is, in words."""
    if report.curve is None or report.curve.over_steps:
        return "the training's steps"
    return report.curve.label or "the table's columns"
