"""back-tracking: how near G's nearest image comes to an image that was kept out of training (FastGAN, table 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.data import counting, draw_counts
from bench.data.picture_grid import PictureGrid
from bench.data.points import is_its_own_reference
from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure, Value
from bench.evaluate.unsampled import UnsampledSettings
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from bench.evaluate.subject import Subject

PAIRS = 3  # of images in the grid, a row each
BETWEEN = (0.25, 0.5, 0.75)  # shares of the way from the first latent to the second


class Settings(UnsampledSettings):
    """images: so many of those that were kept out of training, all for None: the run's holdout, with split "test" the
    test split. updates: of each latent, which starts at N(0, I).

    lr: of Adam, whose betas are 0.5 and 0.999. The loss is LPIPS on `net`, of images averaged over `pool` x `pool`
    pixels, plus `squared` times the mean squared error. 1,000 updates are the paper's, the rest is the released code's.
    """

    images: PositiveInt | None = None
    updates: PositiveInt = 1000
    lr: float = Field(default=0.1, gt=0)
    net: Literal["vgg", "alex"] = "vgg"
    pool: PositiveInt = 2
    squared: float = Field(default=0.2, ge=0)
    split: Literal["test"] | None = None


def check(run: RunSpec, settings: Settings) -> None:
    """UserError for a run without enough images kept out, for conditions, and for images too small for LPIPS."""
    from bench.contract.composition import build_method  # here, for they import torch
    from bench.features.perceptual import refuse_small

    found, tests = counting.counts(run.data.name, run.data.resolution), settings.split == "test"
    if tests and is_its_own_reference(run.data.name):
        raise UserError(f"back-tracking: split is test, but runs train on the test images of '{run.data.name}'")
    if not tests and run.data.holdout is None:
        why = "is of images kept out of training, and this run has all"
        raise UserError(f"back-tracking: {why}; give data.holdout, or split: test")
    kept_out = None if found is None else found[1] if tests else draw_counts.held_out(run.data, found[0])
    if kept_out is not None and not (settings.images or 2) <= kept_out:
        raise UserError(f"back-tracking: images is {settings.images or 2}, and {kept_out} are kept out of training")
    if build_method(run.method).has("condition"):
        raise UserError("back-tracking: searches z alone, and this run's method conditions G; take inversion")
    refuse_small("back-tracking", settings.net, run.data.resolution // settings.pool)


def compute(subject: Subject, settings: Settings) -> Result:
    """The mean LPIPS over the images, whole, and its standard error."""
    import torch  # here, so that listing cards does not import it

    from bench.evaluate.descent import Adam, fitted
    from bench.evaluate.perceptual import lpips_of, reconstruction_loss
    from bench.features.perceptual import lpips_distance
    from bench.networks.common.pixels import to_uint8

    # The images, and a latent for each.
    kept_out = subject.held_out if settings.split is None else subject.named_test_images
    wanted_NHWC, sha256 = kept_out(settings.images)
    count, generator = len(wanted_NHWC), subject.generator
    latents = [torch.randn(generator.z_dim, generator=subject.stream("latent", place)) for place in range(count)]
    start_NZ = torch.stack(latents).to(subject.device)

    # The fit, and how near it comes.
    lpips = lpips_distance(settings.net, subject.device)
    (found_NZ,), images_NCHW = fitted(
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
    made_NHWC = to_uint8(images_NCHW)
    return Result([value], made_NHWC, _grid(subject, wanted_NHWC, made_NHWC, found_NZ))


def _grid(subject: Subject, wanted_NHWC: np.ndarray, made_NHWC: np.ndarray, found_NZ: Tensor) -> PictureGrid:
    """The first pairs of images, what is found of each beside it, and in the middle the way between the two latents.

    The pictures of the way have the noise of the pair's first image.
    """
    import numpy as np

    pairs = min(PAIRS, len(wanted_NHWC) // 2)
    if not pairs:
        shows = "an image that was kept out of training, and what G makes nearest to it"
        return PictureGrid(np.stack([wanted_NHWC[0], made_NHWC[0]]), ("",), ("image", "found"), shows)
    pictures = []
    for first in range(0, 2 * pairs, 2):
        between_NHWC = _way(subject, found_NZ[first], found_NZ[first + 1], first)
        pictures += [wanted_NHWC[first], made_NHWC[first], *between_NHWC, made_NHWC[first + 1], wanted_NHWC[first + 1]]
    columns = ("image", "found", *(f"{share:.2f}" for share in BETWEEN), "found", "image")
    shows = (
        "images that were kept out of training, what G makes nearest to them, and the interpolation between the latents"
    )
    return PictureGrid(np.stack(pictures), ("",) * pairs, columns, shows)


def _way(subject: Subject, start_Z: Tensor, end_Z: Tensor, place: int) -> np.ndarray:
    """The pictures (N, H, W, 3) of the latents between two, made as the fitted images are."""
    import torch

    from bench.evaluate.descent import frozen, image_of
    from bench.evaluate.frames import on_the_way
    from bench.networks.common import noise
    from bench.networks.common.pixels import to_uint8

    made, generator = [], subject.generator
    with frozen(generator), torch.no_grad():
        for share in BETWEEN:
            subject.pause()
            latent_NZ = on_the_way(start_Z, end_Z, share)[None].to(subject.device)
            with noise.drawn_for_each([subject.stream("noise", place)]):
                made.append(image_of(generator, [latent_NZ]))
    return to_uint8(torch.cat(made))


MEASURES = [
    RunMeasure(
        name="back-tracking",
        summary="LPIPS of images kept out of training to the nearest images that G can make",
        settings=Settings,
        pictures=True,
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
