"""Training steps as they were measured on cards: results/recorded/devices/*.json, written by `make gpu-check`.

A plan believes the measured seconds of a step before the model of docs/cost.md. A step is known by the same key as its
counted work, so that a training with other settings of it is another step.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from bench.errors import UserError
from bench.files.yamlfile import first_problem
from bench.paths import recorded_root
from bench.plan.cost.work import step_key
from bench.spec.run import Frozen, RunSpec

FOLDER = "devices"  # of the recorded sets; bench.report.recorded leaves it out


class MeasuredStep(Frozen):
    """One training's step on a card: the seconds of the fastest, the middle and the slowest of those that were made."""

    key: str = Field(pattern=r"^[0-9a-f]{16}$")
    what: str
    precision: Literal["float32", "tf32", "bfloat16"]
    images: PositiveInt  # of D's update; fewer than the batch where the card was given a part of it
    batch: PositiveInt
    low: PositiveFloat
    seconds: PositiveFloat
    high: PositiveFloat
    peak_gb: PositiveFloat | None = None
    watts: PositiveFloat | None = None


class MeasuredCard(Frozen):
    """What was measured on one card, and with what."""

    schema_version: Literal[1] = 1
    short: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")  # of --card
    card: str
    driver: str | None = None
    torch: str
    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    commit: str | None = None
    steps: tuple[MeasuredStep, ...]


def read_card(path: Path) -> MeasuredCard:
    """One file. Raises UserError, with the file and the place in it, for what is no such file."""
    try:
        return MeasuredCard.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise UserError(f"{path}: no measurements of a card: {error}") from error
        keys, message = first_problem(MeasuredCard, error)
        raise UserError(f"{path}: {'.'.join(map(str, keys))}: {message}") from error


def cards_of(folder: Path) -> dict[str, MeasuredCard]:
    """The newest file of each card in a folder, by the card's short name."""
    files = [read_card(path) for path in sorted(folder.glob("*.json"))]
    return {card.short: card for card in sorted(files, key=lambda card: card.date)}


@cache
def recorded_cards() -> dict[str, MeasuredCard]:
    """The cards that are recorded, read once."""
    return cards_of(recorded_root() / FOLDER)


@cache
def steps_of(short: str) -> dict[tuple[str, str], MeasuredStep]:
    """The recorded steps of a card, by their key and precision."""
    card = recorded_cards().get(short)
    return {} if card is None else {(step.key, step.precision): step for step in card.steps}


def measured_step(short: str, spec: RunSpec) -> tuple[float, float, float] | None:
    """Low, middle and high seconds of a training's step on a card, in the run's precision; None if it was not measured.

    Where the card was given a part of the batch, the seconds are scaled to all of it.
    """
    steps = steps_of(short)
    if not steps or spec.train is None or spec.network is None:
        return None
    step = steps.get((step_key(spec), spec.train.precision))
    if step is None:
        return None
    factor = step.batch / step.images
    return step.low * factor, step.seconds * factor, step.high * factor
