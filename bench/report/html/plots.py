"""The plot below each table of a score: seeds as dots, intervals as bars, reference points as lines."""

from __future__ import annotations

from dataclasses import replace

from markupsafe import Markup, escape

from bench.report.html.files import Files
from bench.report.html.tables import Plot, RuleView, ScoreView
from bench.report.model import TableReport
from bench.report.pictures import Picture


def with_plots(report: TableReport, score: ScoreView, number: int, files: Files, prefix: str) -> ScoreView:
    """A score with a plot under each snapshot rule that has values. number: of the score on its page."""
    return replace(
        score, rules=[_plotted(report, rule, f"plot-{number}-{rule.rule}", files, prefix) for rule in score.rules]
    )


def _plotted(report: TableReport, view: RuleView, name: str, files: Files, prefix: str) -> RuleView:
    from bench.report.figures.seed_dots import inlined, picture_files, seed_dots  # here, for matplotlib takes a while

    figure = seed_dots(report, view.block)
    if figure is None:
        return view
    svg, png = picture_files(figure)
    label = f"{view.block.title}: a dot a seed, a bar an interval; the numbers are in the table above"
    element = Markup(inlined(svg, f"{prefix}{name}-", str(escape(label))))
    return replace(view, plot=Plot(element, files.picture(name, Picture(label, png))))
