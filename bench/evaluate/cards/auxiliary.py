"""Auxiliary: how often a method's own network tells by what step in z two generated images have moved (LT-GAN, fig 5).

The text (section 5) asks the trained network A about 25,000 samples and as many of them moved by a step e in z, at
several standard deviations of e. Declared: the generator is the average that is scored; samples come in couples, half
of them with one e for both and half with one each, so that chance is right in 50 %; every couple has new e; A reads
two images in an order and is asked both ways round, so that it answers once about each sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    import torch

    from bench.contract.base import Auxiliary
    from bench.evaluate.subject import Subject
    from bench.spec.run import RunSpec

BLOCK = 128  # images at once, an even number: a constant, as the numbers of a block come from its own streams


class AuxiliarySettings(MeasureSettings):
    """sigma: standard deviation of the steps; None: that of the training. pairs: samples, each with itself moved."""

    sigma: float | None = Field(default=None, gt=0)
    pairs: int = Field(default=25_000, ge=4, multiple_of=2)


def _compute(subject: Subject, settings: AuxiliarySettings) -> Result:
    import torch

    auxiliary = subject.method.auxiliary(subject.opened.ctx)
    assert auxiliary is not None, "the card's check has found one"
    sigma = auxiliary.sigma if settings.sigma is None else settings.sigma
    right = []
    for start in range(0, settings.pairs, BLOCK):
        right.append(right_answers(subject, auxiliary, sigma, start, min(BLOCK, settings.pairs - start)))
        subject.pause()
    # The two answers about a couple are not independent, couples are.
    share_C = torch.cat(right).double().reshape(-1, 2).mean(1)
    error = share_C.std() / len(share_C) ** 0.5
    return Result(
        [Value("auxiliary_accuracy", float(100 * share_C.mean()), float(100 * error), n_generated=settings.pairs)]
    )


def right_answers(subject: Subject, auxiliary: Auxiliary, sigma: float, start: int, count: int) -> torch.Tensor:
    """1 where A is right about sample i and the other one of its couple, else 0: (count,), of samples `start` on.

    Both images of a sample have the same condition and the same noise: they differ by e alone, as in training.
    """
    import torch

    from bench.networks.common import noise

    generator = subject.generator

    def made(z_NZ: torch.Tensor) -> torch.Tensor:
        with noise.drawn_from(subject.stream("noise", start)):
            return subject.sampler(generator, z_NZ.to(subject.device), subject.stream("conditions", start))

    z_NZ = torch.randn(count, generator.z_dim, generator=subject.stream("latents", start))
    same_C = torch.arange(count // 2) % 2 == 0
    steps = torch.randn(count // 2, 2, generator.z_dim, generator=subject.stream("steps", start)) * sigma  # (C, 2, Z)
    steps[same_C, 1] = steps[same_C, 0]
    partner_N = torch.arange(count) ^ 1
    with torch.no_grad():
        images_NCHW, moved_NCHW = made(z_NZ), made(z_NZ + steps.flatten(0, 1))
        logits_N = auxiliary.same(images_NCHW, moved_NCHW, partner_N.to(subject.device)).cpu()
    return (logits_N > 0) == same_C.repeat_interleave(2)


def _check(run: RunSpec, settings: AuxiliarySettings) -> None:
    from bench.contract.composition import build_method, overrides

    if not any(overrides(part, "auxiliary") for _, part in build_method(run.method).parts):
        raise UserError(f"measure 'auxiliary': the method of run {run.uid} has no auxiliary network")


MEASURES = (
    RunMeasure(
        name="auxiliary",
        summary="how often the method's auxiliary network tells equal steps in z from unequal ones (sigma=, pairs=)",
        settings=AuxiliarySettings,
        outputs=(
            Output(
                name="auxiliary_accuracy",
                summary="right answers of a method's auxiliary network, of which chance gives 50 %",
                title="accuracy of the auxiliary network",
                short="accuracy of A",
                better="higher",
                unit="%",
                worst=0.0,
                printed="accuracy",
            ),
        ),
        needs=("generator", "discriminator"),
        check=_check,
        compute=_compute,
    ),
)
