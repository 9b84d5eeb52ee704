"""A comparison in words and cells, the same for every renderer; a renderer only escapes and embellishes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.compare import MethodComparison
from bench.report.costs import ColumnCosts, Cost, Point
from bench.report.model import Cell, Comparison
from bench.report.render.cell_text import cell_text
from bench.report.verdicts import ALIKE, BETTER, LARGER, NOT_JUDGED, ONE_SEED, SMALLER, WORSE, Against, Standing
from bench.stats import Needed
from bench.stats.power import MOST

DASH = "–"
Lines = Sequence[Sequence[str]]


def title(comparison: MethodComparison) -> str:
    """For example "mine against cpu: FD(vgg16@32) in disp/table1 (scale mini)"."""
    where = f"{comparison.table} (scale {comparison.scale})"
    return f"{comparison.method} against {comparison.recorded}: {comparison.label} in {where}"


def headline(comparison: MethodComparison, place: Standing) -> str:
    """For example "faces: mine 812 ± 95 (n=3), rank 3 of 13, 95 % interval 2 to 9"."""
    return f"{place.column}: {comparison.method} {ours_text(comparison, place)}"


def ours_text(comparison: MethodComparison, place: Standing) -> str:
    """For example "812 ± 95 (n=3), rank 3 of 13, 95 % interval 2 to 9"."""
    return f"{cell(place.ours, comparison)}{_rank(comparison, place)}"


def rank_text(place: Standing) -> str:
    """The rank with its interval: "3 of 13 (2 to 9)"; a dash where there is none."""
    if place.rank is None or place.ranks is None:
        return DASH
    return f"{place.rank} of {place.of} ({place.ranks[0]} to {place.ranks[1]})"


def summary(comparison: MethodComparison) -> tuple[list[str], list[list[str]]]:
    """Heads and lines of the table of data sets: rank, and how many baselines ours is told apart from."""
    for_us, against_us = (BETTER, WORSE) if comparison.card.ranks else (LARGER, SMALLER)
    heads = ["data set", "ours", "rank", for_us, ALIKE, against_us, "not compared"]
    body = [_summary(comparison, place, place.column, for_us, against_us) for place in comparison.standings]
    if len(body) > 1:
        sums = [sum(int(line[column]) for line in body) for column in range(3, 7)] if _judged(comparison) else []
        body += [["all", "", "", *map(str, sums)]] if sums else []
    return heads, body


def baseline_heads(comparison: MethodComparison) -> list[str]:
    """The heads of the table of baselines."""
    what = compared_as(comparison)
    return ["baseline", "ours is", what, "95 % interval", "p", "n", comparison.label, "seeds needed"]


def compared_as(comparison: MethodComparison) -> str:
    """What a baseline is compared by: "ours / baseline", "ours - baseline"."""
    card = comparison.card
    difference = "|ours| - |baseline|" if card.better == "zero" else "ours - baseline"
    return "ours / baseline" if card.is_ratio else difference


def baseline_lines(comparison: MethodComparison, place: Standing) -> list[list[str]]:
    """A line for each baseline, the best first."""
    return [_line(one, comparison) for one in place.against]


def gaps_text(place: Standing) -> str:
    """For example "Seeds that a true gap would need: 10 %: 17 (11 to 32), 20 %: 5 (4 to 9)."; "" where unknown."""
    if not place.gaps:
        return ""
    told = ", ".join(f"{gap}: {needed_text(seeds)}" for gap, seeds in place.gaps)
    return f"Seeds of either side that a true gap would need: {told}."


def needed_text(needed: Needed | None) -> str:
    """For example "17 (11 to 32)", "over 1000"."""
    if needed is None:
        return DASH
    first, low, high = (str(seeds) if seeds is not None else f"over {MOST}" for seeds in
                        (needed.seeds, needed.low, needed.high))  # fmt: skip
    return first if low == first == high else f"{first} ({low} to {high})"


def basis(comparison: MethodComparison) -> list[str]:
    """What the verdicts of the data sets rest on, in sentences."""
    pooled = [place.column for place in comparison.standings if place.pooled]
    alone = [place.column for place in comparison.standings if place.pooled is False]
    lines = []
    if pooled:
        lines.append(
            f"Intervals and p of {', '.join(pooled)}: Tukey's range test for all pairs of rows at once, on the spread "
            "of differences over shared seeds, pooled over the rows, as the report's marks have it."
        )
    if alone:
        lines.append(
            f"In {', '.join(alone)} the rows' spreads differ (Bartlett's test), or seeds are not shared: each pair has "
            "a test and an interval of its own (n paired: over shared seeds; n Welch: not shared), and p is "
            "Holm-adjusted over the baselines."
        )
    return lines


def reading(comparison: MethodComparison) -> list[str]:
    """How the numbers are to be read, in sentences."""
    every = [one for place in comparison.standings for one in place.against]
    lines = [
        f"{comparison.rule} snapshot of each seed; ±: 95 % t interval, ours of its own spread, theirs pooled unless it "
        "differs.",
        *basis(comparison),
    ]
    if _judged(comparison) and any(place.pooled is not None for place in comparison.standings):
        lines.append(
            "Seeds needed: of either side, to be told apart four times in five if the difference that was seen is the "
            "true one (noncentral t); in brackets at the limits of the spread's own 95 % interval."
        )
    if any(one.verdict == ONE_SEED or (one.comparison is not None and not one.comparison.df > 0) for one in every):
        lines.append("A single seed shows no spread; run at least two seeds of either side.")
    if not _judged(comparison):
        lines.append("Smoke numbers rank nothing: no rank and no verdict is given.")
    return [*lines, *comparison.notes]


def refused_lines(comparison: MethodComparison) -> list[str]:
    """What was scored otherwise, in a sentence a cell."""
    return [f"Not compared, scored otherwise (ours first): {row} in {column}: {why}."
            for row, column, why in comparison.refused]  # fmt: skip


def cost_heads(comparison: MethodComparison) -> list[str]:
    """The heads of the table of costs."""
    heads = ["row", comparison.label, "hours a run", "least to most", "n"]
    return [*heads, "on the front"] if _judged(comparison) else heads


def cost_lines(comparison: MethodComparison, points: Sequence[Point]) -> list[list[str]]:
    """A line for each row, the cheapest first."""
    digits = comparison.card.digits
    return [
        [one.row, f"{one.score:.{digits}g}", *_hours(one.cost), *(["yes" if one.front else ""] if _judged(comparison)
                                                                   else [])]
        for one in points
    ]  # fmt: skip


def cost_title(costs: ColumnCosts, device: str) -> str:
    """For example "faces: measured cost on AMD EPYC, 1 thread"."""
    return f"{costs.column}: measured cost on {device}"


def unmeasured_text(costs: ColumnCosts) -> str:
    """The rows without a measured cost, by the reason; "" without any."""
    reasons: dict[str, list[str]] = {}
    for row, why in costs.unmeasured:
        reasons.setdefault(why, []).append(row)
    return "; ".join(f"{why}: {', '.join(rows)}" for why, rows in reasons.items())


def cost_reading(comparison: MethodComparison) -> str:
    """How costs are to be read."""
    front = (
        " On the front: no other row on this device is at most as costly and at least as good, by means alone."
        if _judged(comparison)
        else ""
    )
    return (
        "Cost: hours of a training as its record has them, scoring of its snapshots included and the training of a "
        f"source network not; nothing is estimated.{front}"
    )


def cell(of: Cell, comparison: MethodComparison) -> str:
    """A cell's mean with its interval, as tables have it."""
    return cell_text(of, plain=comparison.card.digits)


def p_text(pair: Comparison) -> str:
    """The adjusted p; a dash where no test is possible."""
    if not pair.df > 0:
        return DASH
    return "<0.001" if pair.adjusted < 0.001 else f"{pair.adjusted:.3f}"


def _judged(comparison: MethodComparison) -> bool:
    return comparison.scale != "smoke"


def _rank(comparison: MethodComparison, place: Standing) -> str:
    if not _judged(comparison):
        return ""
    if place.rank is None or place.ranks is None:
        why = "a seed diverged or none has ended" if comparison.card.ranks else comparison.card.direction
        return f", no rank: {why}"
    return f", rank {place.rank} of {place.of}, 95 % interval {place.ranks[0]} to {place.ranks[1]}"


def _summary(comparison: MethodComparison, place: Standing, name: str, *verdicts: str) -> list[str]:
    judged = place.count(*verdicts, ALIKE, ONE_SEED)
    counts = [place.count(verdicts[0]), place.count(ALIKE, ONE_SEED), place.count(verdicts[1]),
              len(place.against) - judged + _refused(comparison, place)]  # fmt: skip
    if not _judged(comparison):
        return [name, cell(place.ours, comparison), DASH, *[DASH] * 4]
    return [name, cell(place.ours, comparison), rank_text(place), *map(str, counts)]


def _refused(comparison: MethodComparison, place: Standing) -> int:
    return sum(column == place.column for _, column, _ in comparison.refused)


def _line(one: Against, comparison: MethodComparison) -> list[str]:
    shown, pair = cell(one.cell, comparison), one.comparison
    if pair is None:
        return [one.row, f"not compared: {one.verdict}", *[DASH] * 4, shown, DASH]
    limits = f"{pair.low:.3f} to {pair.high:.3f}" if pair.df > 0 else DASH
    n = f"{pair.n} {'paired' if pair.paired else 'Welch'}"
    needed = needed_text(one.needed) if one.verdict != NOT_JUDGED else DASH
    return [one.row, one.verdict, f"{pair.size:.3f}", limits, p_text(pair), n, shown, needed]


def _hours(cost: Cost) -> list[str]:
    return [f"{cost.hours:.3g}", f"{cost.low:.3g} to {cost.high:.3g}" if cost.n > 1 else DASH, str(cost.n)]
