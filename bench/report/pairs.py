"""What ranks a cell among others, and gaps in words."""

from __future__ import annotations

import numpy as np

from bench.evaluate.registry import output_card
from bench.report.model import Cell


def standing(cell: Cell, metric: str) -> float:
    """What ranks a sound cell among others: the smaller, the better. UserError where neither way is better."""
    card = output_card(metric)
    if card.better == "zero":  # of each seed, as it is compared
        return float(np.mean([card.loss(value) for value in cell.values]))
    return card.loss(cell.centre)


def gap_text(ratio: float) -> str:
    """A detectable ratio in words: a gap in per cent; beyond a factor of ten no per cents, which nobody reads."""
    return "none below tenfold" if ratio > 10 else f"{100 * (ratio - 1):.0f} %"
