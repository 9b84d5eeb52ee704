"""Seconds of a training step on a card: a constant, and its operations and activation bytes at the card's rates.

    t = constant + per_tflop * TFLOP + per_gigabyte * GB of activations

The three are fitted to measured steps by least squares of relative errors, none below 0 (benchmarks.cost). So more work
never costs less. Data loading and scoring are no part of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bench.errors import UserError, did_you_mean
from bench.plan.cost.measured import MeasuredCard, measured_step, recorded_cards
from bench.plan.cost.work import Work
from bench.spec.run import RunSpec

CARDS = Path(__file__).with_name("cards.json")
USUAL = "h100"  # the card that a figure is for unless another is named
DEVIATIONS = 2  # of the logarithm's error, from the expected seconds to the low and to the high ones


class Span(NamedTuple):
    """Seconds: what is expected, and between which two it will probably lie."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> Span:
        """Each of the three times a factor."""
        return Span(*(factor * value for value in self))


@dataclass(frozen=True)
class Card:
    """A card's coefficients, and how well they give the steps that they were fitted to."""

    name: str
    source: str
    constant: float  # seconds
    per_tflop: float
    per_gigabyte: float
    error: float  # rms relative error over the points
    left_out_error: float  # the same, each point by a fit to the others
    log_error: float  # rms of ln(predicted / measured), each point by a fit to the others
    error_without_bytes: float  # as `error`, of a fit of the constant and the operations
    error_of_operations_alone: float
    steps: list[tuple[str, float, float, float]]  # the points: what, TFLOP, GB, measured seconds
    short: str = ""  # of --card

    @property
    def suffices(self) -> bool:
        """Whether the points tell all three coefficients from 0; without one of them the model would mislead."""
        return min(self.constant, self.per_tflop, self.per_gigabyte) > 0

    def seconds(self, work: Work) -> float:
        """The expected seconds of a step."""
        return self.constant + self.per_tflop * work.tflop + self.per_gigabyte * work.gigabytes

    @property
    def factor(self) -> float:
        """What separates the expected seconds from the low and from the high ones.

        exp(2 s), where s is the rms of ln(predicted / measured) of points that the fit had not seen. Times are
        positive and the fit is of relative errors, so that half is as wrong as twice. If the logarithms of the errors
        are normal, 19 of 20 new steps lie within two deviations. With ten points or fewer this is a rule of thumb: no
        other card, driver or network was tried.
        """
        return math.exp(DEVIATIONS * self.log_error)

    def span_of(self, spec: RunSpec, work: Work | None) -> Span | None:
        """Low, expected and high seconds of a training: of its measured step, else by the model; None if neither is."""
        assert spec.train is not None
        if (step := measured_step(self.short, spec)) is not None:
            return Span(*step).times(spec.train.steps)
        return self.span(work, spec.train.steps) if work is not None and self.suffices else None

    def span(self, work: Work, steps: int) -> Span:
        """Low, expected and high seconds of so many steps, which share one error: it does not average out."""
        expected = steps * self.seconds(work)
        return Span(expected / self.factor, expected, expected * self.factor)


@cache
def measured_cards() -> dict[str, Card]:
    """Every card on which steps were measured, by its short name."""
    return {name: Card(**row, short=name) for name, row in json.loads(CARDS.read_text()).items()}


def card_of(name: str) -> Card:
    """The card of a short name, of which there is a model or a file of measured steps (bench.plan.cost.measured).

    Raises UserError for an unknown one, and for one whose steps do not suffice for a model where it has no file.
    """
    models = measured_cards()
    known = {short for short, card in models.items() if card.suffices} | recorded_cards().keys()
    if name not in known:
        raise UserError(f"--card: no rates of a card '{name}'; {did_you_mean(name, known)}")
    return models[name] if name in models else _without_model(recorded_cards()[name])


def _without_model(card: MeasuredCard) -> Card:
    """A card of which measured steps alone are known."""
    return Card(card.card, f"measured on {card.date}", 0, 0, 0, 0, 0, 0, 0, 0, [], card.short)
