"""Our method against every baseline of a column: ratios or differences with intervals, who is told apart, seeds needed.

The verdicts are those of the report's marks: Tukey's range test on the spread of differences over shared seeds, pooled
over the column (`bench.stats.versus`), and each pair by itself, Holm-corrected, where seeds are not shared or the rows'
spreads differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.evaluate.registry import output_card
from bench.report.model import Cell, Comparison
from bench.report.pairs import standing
from bench.spec.table import Scale
from bench.stats import Needed, Pairing, Versus, versus

NOT_JUDGED, ALIKE, ONE_SEED = "not judged", "not told apart", "not told apart: one seed"
BETTER, WORSE, LARGER, SMALLER = "better", "worse", "larger", "smaller"
GAPS = (1.05, 1.1, 1.2, 1.4)  # true ratios that a line on seeds names
SPREADS = (0.5, 1.0, 2.0)  # true differences, in spreads of a difference of one seed of each


@dataclass(frozen=True)
class Against:
    """One baseline in one column: its cell, and ours against it.

    comparison: None where none is possible; verdict then says why, and else, of ours: better, worse, not told apart
    (larger, smaller where neither way is better), or "not judged" at smoke. needed: the seeds that would tell the two
    apart if the difference that was seen were the true one; None where they are told apart or nothing is known.
    """

    row: str
    cell: Cell
    comparison: Comparison | None
    verdict: str
    needed: Needed | None = None


@dataclass(frozen=True)
class Standing:
    """Our method in one column.

    rank: by mean among the sound cells of this version of the score, of so many; ranks: its 95 % interval. Both are
    None where a seed of ours diverged or none has ended, where neither way is better, and at smoke.
    against: the baselines, the best first. pooled: whether one spread serves all pairs (None: no pair was tested).
    gaps: seeds that a true gap, in words, would need.
    """

    column: str
    ours: Cell
    rank: int | None
    ranks: tuple[int, int] | None
    of: int
    against: tuple[Against, ...]
    pooled: bool | None = None
    gaps: tuple[tuple[str, Needed], ...] = ()

    def count(self, *verdicts: str) -> int:
        """How many baselines have one of these verdicts."""
        return sum(one.verdict in verdicts for one in self.against)


def standing_of(
    column: str, ours: Cell, theirs: Mapping[str, Cell], metric: str, scale: Scale, others: Mapping[str, bool]
) -> Standing:
    """Ours among `theirs`, by row. others: of each row whether its noise counts for the spread: it is no copy."""
    card = output_card(metric)
    sound = {row: cell for row, cell in theirs.items() if _why_not(ours, cell, metric) is None}
    against = {row: Against(row, cell, None, _why_not(ours, cell, metric) or "") for row, cell in theirs.items()}
    tested: Versus | None = None
    if sound:
        scores = [_scores(cell, metric) for cell in sound.values()]
        tested = versus(_scores(ours, metric), scores, [True, *(others.get(row, True) for row in sound)])
        for place, row in enumerate(sound):
            against[row] = _judged(against[row], tested, place, column, metric, scale)
    # The rank, by mean, and its interval, by who is told apart
    ranked = card.ranks and ours.sound and scale != "smoke"
    alive = [cell for cell in theirs.values() if cell.sound and cell.version == ours.version]
    verdicts = [one.verdict for one in against.values()]
    ends = 1 + verdicts.count(WORSE), len(alive) + 1 - verdicts.count(BETTER)
    rank = 1 + sum(standing(cell, metric) < standing(ours, metric) for cell in alive) if ranked else None
    ordered = list(against.values())
    if card.ranks:
        ordered.sort(key=lambda one: standing(one.cell, metric) if one.cell.sound else math.inf)
    known = tested is not None and any(pair.test.df > 0 for pair in tested.pairings)
    return Standing(
        column,
        ours,
        rank,
        ends if ranked else None,
        len(alive) + 1,
        tuple(ordered),
        tested.pooled if tested is not None and known else None,
        _gaps(tested, card.is_ratio) if tested is not None and tested.pooled and scale != "smoke" else (),
    )


def _why_not(ours: Cell, theirs: Cell, metric: str) -> str | None:
    """Why two cells cannot be compared, in words; None where they can."""
    for cell, whose in ((ours, " of ours"), (theirs, "")):
        if cell.spread is not None:
            return f"a seed{whose} diverged"
        if not cell.sound:
            return f"no seed{whose} has ended"
    if ours.version != theirs.version:
        return "of another version of the score"
    if output_card(metric).is_ratio and min(*ours.values, *theirs.values) <= 0:
        return "no ratio: a value of 0 or less"
    return None


def _scores(cell: Cell, metric: str) -> dict[int, float]:
    """A cell's values as they are subtracted: logs where ratios are compared."""
    card = output_card(metric)
    values = [card.compared_as(value) for value in cell.values]
    return dict(zip(cell.seeds, map(math.log, values) if card.is_ratio else values))


def _judged(one: Against, tested: Versus, place: int, column: str, metric: str, scale: Scale) -> Against:
    pair = tested.pairings[place]
    made = replace(one, comparison=_comparison(pair, column, output_card(metric).is_ratio))
    if scale == "smoke":
        return replace(made, verdict=NOT_JUDGED)
    if not pair.test.df > 0:
        return replace(made, verdict=ONE_SEED)
    if pair.apart:
        return replace(made, verdict=_direction(pair.test.difference > 0, metric))
    return replace(made, verdict=ALIKE, needed=tested.needed(place))


def _direction(larger: bool, metric: str) -> str:
    card = output_card(metric)
    if not card.ranks:
        return LARGER if larger else SMALLER
    return BETTER if larger == (card.better == "higher") else WORSE


def _comparison(pair: Pairing, column: str, ratio: bool) -> Comparison:
    test = pair.test
    if ratio:
        size, low, high = (math.exp(min(x, 700.0)) for x in (test.difference, test.low, test.high))  # exp overflows
    else:
        size, low, high = test.difference, test.low, test.high
    return Comparison(column, "ratio" if ratio else "difference", size, low, high, test.p, pair.adjusted, test.n,
                      test.df, test.sd, pair.paired)  # fmt: skip


def _gaps(tested: Versus, ratio: bool) -> tuple[tuple[str, Needed], ...]:
    """What seeds true gaps would need, in words: per cent of a ratio, or differences in spreads."""
    sd = tested.pairings[0].sd
    if not sd > 0:
        return ()
    if ratio:
        sizes = [(f"{100 * (gap - 1):.0f} %", math.log(gap)) for gap in GAPS]
    else:
        sizes = [(f"{share * sd:.2g}", share * sd) for share in SPREADS]
    found = [(words, tested.needed(0, size)) for words, size in sizes]
    return tuple((words, seeds) for words, seeds in found if seeds is not None)
