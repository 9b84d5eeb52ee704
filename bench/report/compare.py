"""A method against recorded baselines: its rank, ratios with intervals, and the gap its seeds could have shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from bench.errors import UserError
from bench.evaluate.registry import on_features, output_card
from bench.plan.expand import Table
from bench.report.cell_settings import metrics_of, protocol_of, protocols
from bench.report.cells import make_cells, per_seed
from bench.report.frame import machines_of
from bench.report.model import Cell, Comparison, Rule
from bench.report.origins import stale_notes
from bench.report.pairs import adjust, compare_cells, standing, visible_gap
from bench.report.render import markdown
from bench.report.render.cell_text import cell_text
from bench.spec.run import MetricSpec
from bench.spec.table import Scale
from bench.spec.words import against
from bench.stats import ALPHA

NO_TEST = "undecided: one seed"
NOT_JUDGED = "not judged"  # at smoke


class NoScoresError(UserError):
    """What is to be compared has no scores at all."""


@dataclass(frozen=True)
class Against:
    """One baseline in one column: its cell, and ours against it (None where no comparison is possible)."""

    row: str
    cell: Cell
    comparison: Comparison | None

    def verdict(self, metric: str) -> str:
        """better, worse or undecided, said of ours, by the Holm-adjusted p; larger or smaller where none is better."""
        comparison = self.comparison
        if comparison is None or not comparison.adjusted <= ALPHA:
            return "undecided"
        larger, card = comparison.size > comparison.null, output_card(metric)
        if not card.ranks:
            return "larger" if larger else "smaller"
        return "better" if larger == (card.better == "higher") else "worse"


@dataclass(frozen=True)
class Standing:
    """Our method in one column: its cell, its rank by mean among the sound cells, and every baseline.

    rank: None where a seed of ours diverged or none has ended, and where neither way is better.
    """

    column: str
    ours: Cell
    rank: int | None
    of: int
    against: tuple[Against, ...]


@dataclass(frozen=True)
class MethodComparison:
    """A method against a recorded set, in one metric of a table at a scale."""

    method: str
    recorded: str
    table: str
    scale: Scale
    metric: str
    label: str
    rule: Rule
    standings: tuple[Standing, ...]


def compare(
    spec: Table,
    scale: Scale,
    method: str,
    ours: pd.DataFrame,
    recorded: pd.DataFrame,
    set_name: str = "recorded",
    metric: str | None = None,
) -> MethodComparison:
    """Compare the runs of `method` (the lines of `ours` with that row id) with every row of a recorded set.

    ours, recorded: results (`load_results`, `load_recorded`) of the same table and scale. Both are reduced by the
    table's snapshot rule. Columns in which the method has no score are left out.
    metric: a metric of the table; None: its main one. Its card decides between ratios and differences. They are
    paired over shared seeds, else tested by Welch; p is Holm-adjusted over all baselines and columns.
    Raises UserError if either side has no such scores.
    """
    metric = metric or spec.main_metric(scale) or ""
    spec_metric = next((candidate for candidate in metrics_of(spec, scale) if candidate.name == metric), None)
    if spec_metric is None:
        raise UserError(f"table '{spec.name}' at scale {scale} does not score '{metric}'")
    # One value per seed on either side.
    mine = _scores(ours[ours["row"] == method], spec, scale, spec_metric)
    theirs = _scores(recorded[recorded["kind"] == "train"], spec, scale, spec_metric)
    for name, values in ((f"method '{method}'", mine), (f"recorded set '{set_name}'", theirs)):
        if values["value"].notna().sum() == 0:
            stale = " ".join(stale_notes(ours[ours["row"] == method])) if values is mine else ""
            raise NoScoresError(
                f"{name} has no finished '{metric}' scores for {spec.name} at scale {scale}"
                + (f". {stale}" if stale else "")
            )
    machines = machines_of(pd.concat([mine, theirs])) if output_card(metric).of_machine else []
    if len(machines) > 1:
        raise UserError(f"'{metric}' was taken on several machines ({'; '.join(machines)}), and is not compared across")
    # The columns in which we have a score, and the baselines other than copies of our own runs.
    scored = set(mine.loc[mine["value"].notna(), "column"])
    columns = [column.id for column in spec.columns if column.id in scored]
    held = set(theirs.loc[theirs["value"].notna(), "column"])
    if not held & set(columns):
        raise UserError(
            f"recorded set '{set_name}' has no finished '{metric}' scores in {_listed(columns)}, where '{method}' has "
            f"some; it has {_listed(sorted(held))}. --against runs compares with the rows of this store"
        )
    itself = set(ours.loc[ours["row"] == method, "uid"])
    copies = set(recorded.loc[recorded["uid"].isin(itself), "row"])
    rows = [row for row in dict.fromkeys(theirs["row"]) if row not in copies]
    # Every pair of cells, tested; then the standing of the method in each column.
    our_cells = make_cells(mine, metric, [method], columns, spec.seeds_at(scale))
    their_cells = make_cells(theirs, metric, rows, columns, spec.seeds_at(scale))
    comparisons = {
        (row, column): compare_cells(our_cells[method, column], their_cells[row, column], metric, column)
        for column in columns
        for row in rows
    }
    adjusted = _adjusted(comparisons)
    standings = tuple(
        _standing(
            column,
            our_cells[method, column],
            [Against(row, their_cells[row, column], adjusted[row, column]) for row in rows],
            metric,
        )
        for column in columns
    )
    splits = {protocol.split for protocol in protocols(spec, scale)}
    label = output_card(spec_metric.name).label(spec_metric.extractor)
    name = against(label, splits.pop() if len(splits) == 1 else "test")
    return MethodComparison(method, set_name, spec.name, scale, metric, name, spec.snapshot, standings)


def _listed(columns: list[str]) -> str:
    return f"column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"


def render(comparison: MethodComparison) -> str:
    """The comparison as plain text, a block per column."""
    parts = [_title(comparison)]
    for place in comparison.standings:
        heads, body = _table(comparison, place)
        body_text = tabulate(body, headers=heads, tablefmt="simple", disable_numparse=True)
        parts.append(f"{_headline(comparison, place)}\n{body_text}")
    return "\n\n".join([*parts, _reading(comparison)]) + "\n"


def render_markdown(comparison: MethodComparison) -> str:
    """The comparison as GitHub Markdown."""
    parts = [f"## {markdown.escape(_title(comparison))}"]
    for place in comparison.standings:
        heads, body = _table(comparison, place)
        lines = markdown.table(heads, [[markdown.escape(cell) for cell in line] for line in body])
        parts += [markdown.escape(_headline(comparison, place)), "\n".join(lines)]
    return "\n\n".join([*parts, markdown.escape(_reading(comparison))]) + "\n"


def _scores(frame: pd.DataFrame, spec: Table, scale: Scale, metric: MetricSpec) -> pd.DataFrame:
    """One value per seed, by the table's snapshot rule."""
    values = per_seed(frame, spec.snapshot, protocol_of(spec, scale))
    return values[(values["metric"] == metric.name) & (values["extractor"] == on_features(metric.extractor))]


def _adjusted(
    comparisons: dict[tuple[str, str], Comparison | None],
) -> dict[tuple[str, str], Comparison | None]:
    tested = {key: comparison for key, comparison in comparisons.items() if comparison is not None}
    return {**comparisons, **dict(zip(tested, adjust(list(tested.values()))))}


def _standing(column: str, ours: Cell, against: list[Against], metric: str) -> Standing:
    if not output_card(metric).ranks:
        return Standing(column, ours, None, len(against) + 1, tuple(against))
    sound = [baseline.cell for baseline in against if baseline.cell.sound and baseline.cell.version == ours.version]
    rank = 1 + sum(standing(cell, metric) < standing(ours, metric) for cell in sound) if ours.sound else None
    ordered = sorted(against, key=lambda one: standing(one.cell, metric) if one.cell.sound else math.inf)
    return Standing(column, ours, rank, len(sound) + 1, tuple(ordered))


def _title(comparison: MethodComparison) -> str:
    where = f"{comparison.table} (scale {comparison.scale})"
    return f"{comparison.method} against {comparison.recorded}: {comparison.label} in {where}"


def _headline(comparison: MethodComparison, place: Standing) -> str:
    ours = _cell(place.ours, comparison.metric)
    if comparison.scale == "smoke":
        return f"{place.column}: {comparison.method} {ours}"
    card, why = output_card(comparison.metric), "a seed diverged or none has ended"
    rank = f"rank {place.rank} of {place.of}" if place.rank else f"no rank: {why if card.ranks else card.direction}"
    return f"{place.column}: {comparison.method} {ours}, {rank}"


def _table(comparison: MethodComparison, place: Standing) -> tuple[list[str], list[list[str]]]:
    card = output_card(comparison.metric)
    difference = "|ours| - |baseline|" if card.better == "zero" else "ours - baseline"
    what = "ours / baseline" if card.is_ratio else difference
    heads = ["baseline", comparison.label, what, "95 % interval", "p", "n", "ours is"]
    return heads, [_line(baseline, place.ours, comparison.metric, comparison.scale) for baseline in place.against]


def _line(baseline: Against, ours: Cell, metric: str, scale: Scale) -> list[str]:
    pair = baseline.comparison
    if pair is None:
        differ = baseline.cell.sound and ours.sound and baseline.cell.version != ours.version
        verdict = "of another version of the score" if differ else "undecided"
        return [baseline.row, _cell(baseline.cell, metric), "–", "–", "–", "–", verdict]
    verdict = baseline.verdict(metric) if scale != "smoke" else NOT_JUDGED
    gap = visible_gap(pair) if verdict == "undecided" else None
    has_spread = pair.df > 0
    return [
        baseline.row,
        _cell(baseline.cell, metric),
        f"{pair.size:.3f}",
        f"{pair.low:.3f} to {pair.high:.3f}" if has_spread else "–",
        ("<0.001" if pair.adjusted < 0.001 else f"{pair.adjusted:.3f}") if has_spread else "–",
        f"{pair.n} {'paired' if pair.paired else 'Welch'}",
        NO_TEST if not has_spread else verdict if gap is None else f"undecided (could have seen: {gap})",
    ]


def _cell(cell: Cell, metric: str) -> str:
    return cell_text(cell, plain=output_card(metric).digits)


def _reading(comparison: MethodComparison) -> str:
    pairs = [baseline.comparison for place in comparison.standings for baseline in place.against]
    if any(pair is not None and pair.df <= 0 for pair in pairs):
        lone = f" {NO_TEST}: a single seed shows no spread; run at least two seeds of either side."
    else:
        lone = ""
    if comparison.scale == "smoke":
        lone += " Smoke numbers rank nothing: no rank and no verdict is given."
    return (
        f"{comparison.rule} snapshot of each seed; ±: 95 % t interval, ours of its own spread, theirs "
        "pooled unless it differs; p Holm-adjusted over all baselines and columns; "
        "paired: over shared seeds. could have seen: the gap that such a comparison finds four times in "
        f"five (alpha .05, unadjusted).{lone}"
    )
