"""back-tracking: how near G's nearest image comes to an image that was kept out of training (FastGAN, table 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.data import counting, draw_counts
from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure, Value
from bench.evaluate.unsampled import UnsampledSettings
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


class Settings(UnsampledSettings):
    """images: so many of the run's holdout, all for None. updates: of each latent, which starts at N(0, I).

    lr: of Adam, whose betas are 0.5 and 0.999. The loss is LPIPS on `net`, of images averaged over `pool` x `pool`
    pixels, plus `squared` times the mean squared error. 1,000 updates are the paper's, the rest is the released code's.
    """

    images: PositiveInt | None = None
    updates: PositiveInt = 1000
    lr: float = Field(default=0.1, gt=0)
    net: Literal["vgg", "alex"] = "vgg"
    pool: PositiveInt = 2
    squared: float = Field(default=0.2, ge=0)


def check(run: RunSpec, settings: Settings) -> None:
    """UserError for a run without enough images kept out, for conditions, and for images too small for LPIPS."""
    from bench.contract.composition import build_method  # here, for they import torch
    from bench.features.perceptual import refuse_small

    if run.data.holdout is None:
        raise UserError("back-tracking: is of images kept out of training, and this run has all; give data.holdout")
    found = counting.counts(run.data.name, run.data.resolution)
    kept_out = None if found is None else draw_counts.held_out(run.data, found[0])
    if kept_out is not None and not (settings.images or 2) <= kept_out:
        raise UserError(f"back-tracking: images is {settings.images or 2}, and {kept_out} are kept out of training")
    if build_method(run.method).has("condition"):
        raise UserError("back-tracking: searches z alone, and this run's method conditions G; take inversion")
    refuse_small("back-tracking", settings.net, run.data.resolution // settings.pool)


def compute(subject: Subject, settings: Settings) -> Result:
    """The mean LPIPS over the images, whole, and its standard error."""
    import torch  # here, so that listing cards does not import it

    from bench.evaluate.descent import Adam, fitted_images
    from bench.evaluate.perceptual import lpips_of, reconstruction_loss
    from bench.features.perceptual import lpips_distance
    from bench.networks.common.pixels import to_uint8

    # The images, and a latent for each.
    wanted_NHWC, sha256 = subject.held_out(settings.images)
    count, generator = len(wanted_NHWC), subject.generator
    latents = [torch.randn(generator.z_dim, generator=subject.stream("latent", place)) for place in range(count)]
    start_NZ = torch.stack(latents).to(subject.device)

    # The fit, and how near it comes.
    lpips = lpips_distance(settings.net, subject.device)
    images_NCHW = fitted_images(
        generator,
        [start_NZ],
        wanted_NHWC,
        reconstruction_loss(lpips, settings.pool, settings.squared),
        Adam(settings.updates, settings.lr, 0.5, 0.999),
        lambda place: subject.stream("noise", place),
        subject.pause,
    )
    distances_N = lpips_of(lpips, images_NCHW, wanted_NHWC, subject.device, subject.pause)
    error = float(distances_N.std() / count**0.5) if count > 1 else None
    value = Value("back_tracking_lpips", float(distances_N.mean()), error, count, count, sha256)
    return Result([value], to_uint8(images_NCHW))


MEASURES = [
    RunMeasure(
        name="back-tracking",
        summary="LPIPS of images kept out of training to the nearest images that G can make",
        settings=Settings,
        outputs=(
            Output(
                name="back_tracking_lpips",
                summary="mean LPIPS of images kept out of training to those that latents are fitted to make of them",
                title="LPIPS of back-tracking",
                short="LPIPS",
                better="lower",
                compared="ratio",
                printed="lpips",
            ),
        ),
        compute=compute,
        check=check,
    )
]
