"""path-length: perceptual path length in Z or in W (Karras et al. 2019, section 4.1; LT-GAN, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure, Value
from bench.evaluate.unsampled import UnsampledSettings
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluate.subject import Subject


class Settings(UnsampledSettings):
    """pairs: of latents. space: spherical paths in z, straight ones in w. epsilon: the step along a path.

    places: anywhere on a "path", or at its "ends", where t is 0. crop: "face" cuts an aligned face out of the image,
    "none" does not. net: LPIPS's. The defaults are the published code's.
    """

    pairs: int = Field(default=100_000, ge=2)
    space: Literal["z", "w"] = "w"
    epsilon: float = Field(default=1e-4, gt=0, lt=1)
    places: Literal["path", "ends"] = "path"
    crop: Literal["face", "none"] = "none"
    net: Literal["vgg", "alex"] = "vgg"


def check(run: RunSpec, settings: Settings) -> None:
    """UserError for a method with conditions, a W that the network does not have, and images too small for LPIPS."""
    from bench import networks
    from bench.contract.composition import build_method  # here, for they import torch
    from bench.features.perceptual import refuse_small
    from bench.networks.describe import weightless
    from bench.networks.interface import Styled

    if build_method(run.method).has("condition"):
        raise UserError("path-length: is of a generator without conditions, and this run's method conditions it")
    assert run.network is not None
    if settings.space == "w":
        with weightless():
            generator, _ = networks.build(run.network.name, **run.network.options)
        if not isinstance(generator, Styled):
            raise UserError(f"path-length: space is w, and network '{run.network.name}' has none; use z")
    size = run.data.resolution // (2 if settings.crop == "face" else 1)
    refuse_small("path-length", settings.net, size)


def compute(subject: Subject, settings: Settings) -> Result:
    """The mean over the pairs that are kept, and its standard error."""
    from bench.evaluate.paths import face, path_lengths, shrunk, without_outside
    from bench.features.perceptual import lpips_distance

    lpips = lpips_distance(settings.net, subject.device)

    def seen(images_NCHW: Tensor) -> Tensor:
        return shrunk(face(images_NCHW) if settings.crop == "face" else images_NCHW)

    lengths_N = path_lengths(
        subject.generator,
        lambda one, other: lpips(seen(one), seen(other)).flatten(),
        lambda pair: subject.stream("pair", pair),
        pairs=settings.pairs,
        space=settings.space,
        places=settings.places,
        epsilon=settings.epsilon,
        pause=subject.pause,
    )
    kept = without_outside(lengths_N)
    error = float(kept.std(ddof=1) / len(kept) ** 0.5)
    return Result([Value("path_length", float(kept.mean()), error, n_generated=2 * settings.pairs)])


MEASURES = [
    RunMeasure(
        name="path-length",
        summary="perceptual path length in Z or in W",
        settings=Settings,
        outputs=(
            Output(
                name="path_length",
                summary="mean LPIPS of two images a small step apart on a path between latents, over its square",
                title="perceptual path length",
                short="PPL",
                better="lower",
                compared="ratio",
            ),
        ),
        compute=compute,
        check=check,
    )
]
