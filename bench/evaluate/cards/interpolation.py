"""Pictures: from one image to another, along latents, along conditions (priors), or along both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.frames import Inputs
    from bench.evaluate.subject import Subject

Between = Literal["latents", "conditions", "both"]


class Settings(MeasureSettings):
    """between: what changes along a row; the rest is that of its first image. pairs: rows. steps: pictures of a row.

    Conditions change along a straight line, latents on the great circle (declared: no paper says how).
    """

    between: Between
    pairs: PositiveInt = 4
    steps: int = Field(default=8, ge=2)


def interpolation(subject: Subject, settings: Settings) -> Result:
    """A row for each pair of draws: every picture at a share of the way from the first to the second."""
    import numpy as np

    from bench.evaluate.frames import Frames  # here, for it imports torch, which a list of measures does not need

    frames = Frames(subject)
    ends = frames.drawn(2 * settings.pairs, "ends")
    if settings.between != "latents" and ends.conditions_NK is None:
        raise UserError(f"run {subject.run.uid}: its generator has no condition; write between: latents")
    shares = [step / (settings.steps - 1) for step in range(settings.steps)]
    pictures = [
        frames.picture(_between(ends.at(2 * pair), ends.at(2 * pair + 1), share, settings.between), pair)
        for pair in range(settings.pairs)
        for share in shares
    ]
    what = {"latents": "two latents", "conditions": "two conditions, at one latent", "both": "two draws"}
    shows = f"interpolation between {what[settings.between]}"
    columns = tuple(f"{share:.2f}" for share in shares)
    return Result(grid=PictureGrid(np.stack(pictures), ("",) * settings.pairs, columns, shows))


def _between(start: Inputs, end: Inputs, share: float, what: Between) -> Inputs:
    from bench.evaluate.frames import on_the_way

    made = start
    if what != "conditions":
        made = made.with_latent(on_the_way(start.latents_NZ[0], end.latents_NZ[0], share))
    if what != "latents":
        assert start.conditions_NK is not None and end.conditions_NK is not None
        made = made.with_condition((1 - share) * start.conditions_NK[0] + share * end.conditions_NK[0])
    return made


def _has_a_condition(run: RunSpec, settings: Settings) -> None:
    """UserError where conditions are to change, and no part of the run's method gives one."""
    from bench.contract.composition import build_method, overrides  # here, for it imports torch

    if settings.between == "latents":
        return
    if not any(overrides(part, "condition") for _, part in build_method(run.method).parts):
        raise UserError(f"run {run.uid}: its generator has no condition; write between: latents")


MEASURES = [
    RunMeasure(
        name="interpolation",
        summary="pictures: interpolation between two latents, two conditions (priors), or both",
        settings=Settings,
        pictures=True,
        compute=interpolation,
        check=_has_a_condition,
    )
]
