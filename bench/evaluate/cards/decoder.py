"""decoder: how much of an image D's features keep, by a decoder trained on them (FastGAN, appendix B, table 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure, Value
from bench.evaluate.unsampled import UnsampledSettings
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


class Settings(UnsampledSettings):
    """steps: of the decoder, on batches of the run's training images. 100,000 are the paper's, the rest is declared.

    lr: of Adam, whose betas are 0.5 and 0.999. width: of the decoder. net: of LPIPS, the loss and the distance that is
    reported. images: the first so many training images are reconstructed for that, all for None.
    """

    steps: PositiveInt = 100_000
    batch: int = Field(default=8, ge=2)
    lr: float = Field(default=2e-4, gt=0)
    width: PositiveInt = 32
    net: Literal["vgg", "alex"] = "vgg"
    images: PositiveInt | None = 1000


def check(run: RunSpec, settings: Settings) -> None:
    """UserError for images too small for a decoder, or for LPIPS."""
    from bench.evaluate.decoding import decoded_side  # here, for they import torch
    from bench.features.perceptual import refuse_small

    refuse_small("decoder", settings.net, decoded_side(run.data.resolution))


def compute(subject: Subject, settings: Settings) -> Result:
    """The mean LPIPS over real images, and its standard error."""
    from bench.evaluate.decoding import Maps, Training, decoded, trained_decoder
    from bench.features.perceptual import lpips_distance
    from bench.networks.common.pixels import to_uint8
    from bench.networks.interface import Penultimate

    if not isinstance(discriminator := subject.discriminator, Penultimate):
        raise UserError("decoder: the run's method puts a module before D that gives no feature maps")
    real_NHWC = subject.train_images
    count = min(len(real_NHWC), settings.images or len(real_NHWC))
    lpips = lpips_distance(settings.net, subject.device)
    maps = Maps(discriminator, real_NHWC, subject.device, subject.pause)
    training = Training(settings.steps, settings.batch, settings.lr, settings.width)
    decoder = trained_decoder(maps, lpips, training, subject.stream("decoder").initial_seed(), subject.pause)
    images_NCHW, distances_N = decoded(maps, decoder, lpips, count, subject.pause)
    error = float(distances_N.std() / count**0.5) if count > 1 else None
    value = Value("decoder_lpips", float(distances_N.mean()), error, count, count)
    return Result([value], to_uint8(images_NCHW))


MEASURES = [
    RunMeasure(
        name="decoder",
        summary="LPIPS of real images and what a decoder makes of D's features of them",
        settings=Settings,
        outputs=(
            Output(
                name="decoder_lpips",
                summary="mean LPIPS of training images and what a decoder, trained on D's frozen map, makes of them",
                title="LPIPS of D's decoder",
                short="LPIPS",
                better="lower",
                compared="ratio",
                printed="lpips",
            ),
        ),
        needs=("discriminator",),
        compute=compute,
        check=check,
    )
]
