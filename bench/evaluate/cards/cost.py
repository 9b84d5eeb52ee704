"""Cost: seconds of a training step, the hours that ten thousand take, memory and parameters, on the machine at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from bench.errors import UserError
from bench.evaluate.card import PlainSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    from bench.evaluate.material import Material

HOURS = 10_000 / 3600  # of ten thousand steps, for a second a step


class CostSettings(PlainSettings):
    """steps: timed in a round; a multiple of the longest interval of a lazy term (16) holds each as often as it comes.

    rounds: whose mean and standard deviation are reported.
    """

    steps: PositiveInt = 16
    rounds: PositiveInt = 5


def _compute(material: Material, settings: CostSettings) -> Result:
    """Real steps of the cell's network, method and batch, from the first one on."""
    from bench.evaluate.step_cost import step_cost  # here, for it imports torch

    taken = step_cost(
        material.training, material.device, steps=settings.steps, rounds=settings.rounds, pause=material.pause
    )
    if taken.peak_bytes is None:
        raise UserError("this system does not tell how much memory a process has had (/proc/self/status)")
    return Result(
        [
            Value("seconds_per_step", taken.mean, taken.spread),
            Value("hours_per_10k", taken.mean * HOURS, None if taken.spread is None else taken.spread * HOURS),
            Value("memory_gb", taken.peak_bytes / 1e9),
            Value("parameters_m", sum(taken.parameters) / 1e6),
        ]
    )


MEASURES = (
    RunMeasure(
        name="cost",
        summary="seconds of a training step, hours of 10,000, peak memory and parameters, on this machine",
        of_run=False,
        uses=("method", "network", "train"),
        exclusive=True,
        needs=(),
        settings=CostSettings,
        compute=_compute,
        outputs=(
            Output(
                name="seconds_per_step",
                summary="seconds of a training step; error: the standard deviation over rounds",
                title="seconds of a step",
                short="time of a step",
                unit="s",
                better="lower",
                compared="ratio",
                of_machine=True,
            ),
            Output(
                name="hours_per_10k",
                summary="hours of 10,000 training steps; error: the standard deviation over rounds",
                title="hours of 10,000 steps",
                short="time of 10,000 steps",
                unit="h",
                better="lower",
                compared="ratio",
                of_machine=True,
            ),
            Output(
                name="memory_gb",
                summary="the most memory of building the networks and making steps (GPU: allocated; CPU: resident)",
                title="peak memory",
                short="memory",
                unit="GB",
                better="lower",
                compared="ratio",
                of_machine=True,
            ),
            Output(
                name="parameters_m",
                summary="parameters of G and D together, in millions",
                title="parameters",
                short="parameters",
                unit="millions",
                better="lower",
                compared="ratio",
                digits=5,
            ),
        ),
    ),
)
