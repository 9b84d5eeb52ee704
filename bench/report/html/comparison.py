"""A comparison as a page for a browser: rank, ratios, seeds needed and cost, a block a score and data set."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from bench.files import atomic
from bench.report import compare_words as words
from bench.report.compare import MethodComparison
from bench.report.costs import ColumnCosts, Point
from bench.report.html.environment import fill
from bench.report.html.files import Beside, Files, Inside, write_assets
from bench.report.html.tables import Plot
from bench.report.model import Comparison
from bench.report.pictures import Picture
from bench.report.verdicts import ALIKE, BETTER, LARGER, NOT_JUDGED, SMALLER, WORSE, Against, Standing

HOME = "index.html"
COMPARISON = "compare"  # how the name of a page begins
LONGEST = 80  # characters of a file's name, without its suffix
CLASSES = {BETTER: "won", SMALLER: "won", WORSE: "lost", LARGER: "lost"}


@dataclass(frozen=True)
class Line:
    """A line of a table: its name, its cells as (text, what it is sorted by, CSS class)."""

    name: str
    cells: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class PlaceView:
    """A data set: who is better, by how much, and what it would take to tell the others apart. ours: the cell."""

    name: str
    ours: str
    heads: Sequence[str]
    lines: Sequence[Line]
    plot: Plot | None
    gaps: Sequence[tuple[str, str]]
    refused: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class CostView:
    """Score beside cost in a data set: a table and a plot a device, and the rows without a measured cost."""

    name: str
    devices: Sequence[tuple[str, Sequence[str], Sequence[Line], Plot | None]]
    unmeasured: str


@dataclass(frozen=True)
class ScoreView:
    """A score: the data sets together, then each."""

    comparison: MethodComparison
    heads: Sequence[str]
    summary: Sequence[Line]
    places: Sequence[PlaceView]
    costs: Sequence[CostView]
    reading: Sequence[str]
    cost_reading: str


def stem(comparisons: Sequence[MethodComparison]) -> str:
    """The name of a page's file: "compare-mine-cpu-disp-table1-mini"; what a name cannot have is replaced, and then the
    name ends with digits of what it stood for.
    """
    first = comparisons[0]
    plain = "-".join((COMPARISON, first.method, first.recorded, first.table.replace("/", "-"), first.scale))
    safe = re.sub(r"[^A-Za-z0-9._+-]+", "-", plain)
    if safe == plain and len(safe) <= LONGEST:
        return safe
    return f"{safe[: LONGEST - 9]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def write_page(root: Path, comparisons: Sequence[MethodComparison], remarks: Sequence[str] = ()) -> Path:
    """Write the page, its pictures and the shared style and script below `root`; returns the page.

    Where `root` has the index of a report, the page leads back to it.
    """
    write_assets(root)
    name = stem(comparisons)
    home = HOME if (root / HOME).is_file() else ""
    path = root / f"{name}.html"
    atomic.write_text(path, rendered(comparisons, remarks, Beside(root, name), home))
    return path


def whole(comparisons: Sequence[MethodComparison], remarks: Sequence[str] = ()) -> str:
    """The page as one document with everything inside."""
    return rendered(comparisons, remarks, Inside())


def rendered(comparisons: Sequence[MethodComparison], remarks: Sequence[str], files: Files, home: str = "") -> str:
    """The page; pictures are handed to `files`. home: the address of an index, where there is one."""
    first = comparisons[0]
    views = [_score(one, number, files) for number, one in enumerate(comparisons, 1)]
    return fill(
        "comparison.html.j2",
        method=first.method,
        against=first.recorded,
        where=f"{first.table}, scale {first.scale}",
        scores=views,
        filtered=any(len(place.lines) > 1 for view in views for place in view.places),
        remarks=remarks,
        head=files.head(),
        home=home,
    )


def _score(comparison: MethodComparison, number: int, files: Files) -> ScoreView:
    heads, body = words.summary(comparison)
    return ScoreView(
        comparison,
        heads,
        [Line(comparison.columns.get(line[0], line[0]), [(text, "", "") for text in line[1:]]) for line in body],
        [_place(comparison, place, f"{number}-{n}", files) for n, place in enumerate(comparison.standings, 1)],
        [_costs(comparison, costs, f"{number}-{n}", files) for n, costs in enumerate(comparison.costs, 1)],
        words.reading(comparison),
        words.cost_reading(comparison) if comparison.costs else "",
    )


def _place(comparison: MethodComparison, place: Standing, number: str, files: Files) -> PlaceView:
    from bench.report.figures.ratios import ratios  # here, for matplotlib takes a while

    label = f"{comparison.label} of {comparison.method} beside each baseline in {place.column}; the numbers are above"
    texts = words.baseline_lines(comparison, place)
    return PlaceView(
        comparison.columns.get(place.column, place.column),
        words.ours_text(comparison, place),
        words.baseline_heads(comparison),
        [_line(one, text) for one, text in zip(place.against, texts, strict=True)],
        _plot(ratios(comparison, place), f"ratios-{number}", label, files),
        [(gap, words.needed_text(seeds)) for gap, seeds in place.gaps],
        [(row, why) for row, column, why in comparison.refused if column == place.column],
    )


def _line(one: Against, texts: Sequence[str]) -> Line:
    """A baseline: its cells are sorted by their numbers, its verdict by better, not told apart, worse."""
    pair = one.comparison
    order = {BETTER: 0, SMALLER: 0, ALIKE: 1, NOT_JUDGED: 1, LARGER: 2, WORSE: 2}
    needed = math.nan
    if one.needed is not None:
        needed = math.inf if one.needed.seeds is None else float(one.needed.seeds)
    pairs = _keys(pair) if pair is not None else [math.nan] * 4
    keys = [float(order.get(one.verdict, 3)), *pairs, one.cell.centre, needed]
    classes = [CLASSES.get(one.verdict, ""), *[""] * 6]
    return Line(one.row, list(zip(texts[1:], map(_key, keys), classes, strict=True)))


def _keys(pair: Comparison) -> list[float]:
    return [pair.size, pair.high - pair.low, pair.adjusted, float(pair.n)]


def _key(value: float) -> str:
    return "" if math.isnan(value) else repr(value).replace("inf", "Infinity")


def _costs(comparison: MethodComparison, costs: ColumnCosts, number: str, files: Files) -> CostView:
    from bench.report.figures.pareto import pareto

    devices = []
    for n, (device, points) in enumerate(costs.devices.items(), 1):
        label = f"{comparison.label} over the hours of a run on {device} in {costs.column}; the numbers are below"
        figure = pareto(comparison, costs, device) if comparison.scale != "smoke" else None
        lines = [_cost(comparison, one) for one in points]
        plot = _plot(figure, f"cost-{number}-{n}", label, files)
        devices.append((device, words.cost_heads(comparison), lines, plot))
    name = comparison.columns.get(costs.column, costs.column)
    return CostView(name, devices, words.unmeasured_text(costs))


def _cost(comparison: MethodComparison, one: Point) -> Line:
    (texts,) = words.cost_lines(comparison, [one])
    keys = [one.score, one.cost.hours, one.cost.high - one.cost.low, float(one.cost.n), float(not one.front)]
    classes = ["ours" if one.row == comparison.method else ""] * len(keys)
    return Line(one.row, list(zip(texts[1:], map(_key, keys), classes)))


def _plot(figure: Figure | None, name: str, label: str, files: Files) -> Plot | None:
    """The figure as an element of the page and as a PNG."""
    from bench.report.figures.seed_dots import inlined, picture_files

    if figure is None:
        return None
    svg, png = picture_files(figure)
    return Plot(Markup(inlined(svg, f"{name}-", str(escape(label)))), files.picture(name, Picture(label, png)))
