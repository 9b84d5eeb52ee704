"""A score over the steps of one cell's seeds, as a small SVG whose colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench.report.html.environment import fill

WIDTH, HEIGHT = 320.0, 170.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 10.0, 26.0
COLOURS = 7  # in report.css
ROOM = 0.06  # above and below the values, a share of their range


@dataclass(frozen=True)
class Line:
    """One seed: its points in pixels, the colour's number, and whether it diverged at the last point."""

    seed: int
    colour: int
    points: Sequence[tuple[float, float]]
    diverged: bool


@dataclass(frozen=True)
class Level:
    """A reference point: its height in pixels."""

    name: str
    y: float


@dataclass(frozen=True)
class Seed:
    """The scores (step, value) of one seed, finite and in order of steps."""

    seed: int
    scores: Sequence[tuple[float, float]]
    diverged: bool = False


def curve_svg(label: str, seeds: Sequence[Seed], levels: Mapping[str, float], log: bool) -> Markup:
    """The curves; levels are drawn where they lie within the values, which fill the picture. "" without a score."""
    # The axes: steps across, values upwards
    scores = [score for seed in seeds for score in seed.scores if not log or score[1] > 0]
    if not scores:
        return Markup("")
    steps, values = zip(*scores)
    low, high = _range([_scaled(value, log) for value in values])
    first, last = min(steps), max(steps)

    def x(step: float) -> float:
        share = (step - first) / (last - first) if last > first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (high - _scaled(value, log)) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    # What is drawn
    lines = [
        Line(seed.seed, seed.seed % COLOURS, [(x(step), y(value)) for step, value in seed.scores], seed.diverged)
        for seed in seeds
        if seed.scores
    ]
    within = [Level(name, y(level)) for name, level in levels.items() if _inside(level, low, high, log)]
    return Markup(  # the template escapes
        fill(
            "curve.html.j2",
            label=label,
            lines=lines,
            levels=within,
            width=WIDTH,
            height=HEIGHT,
            frame=(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
            across=[(x(step), f"{step:,.0f}") for step in dict.fromkeys((first, last))],
            up=[(y(value), _tick(value)) for value in dict.fromkeys((min(values), max(values)))],
        )
    )


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = ROOM * ((high - low) or abs(high) or 1.0)
    return low - room, high + room


def _inside(level: float, low: float, high: float, log: bool) -> bool:
    return math.isfinite(level) and (not log or level > 0) and low < _scaled(level, log) < high


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
