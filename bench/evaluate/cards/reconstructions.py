"""Pictures: what the decoders of an auto-encoding discriminator make of training images (FastGAN, figure 14).

They are the decoders that D was trained with (AE-D, section 3.2); `decoder` trains one of its own on a frozen D.
Declared: D and its decoders are in evaluation mode, so that a picture is of its image alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure
from bench.evaluate.unsampled import UnsampledSettings
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject


class Settings(UnsampledSettings):
    """images: rows, each of a training image, drawn without repetition, as one step's augmentation makes it."""

    images: PositiveInt = 4


NO_DECODERS = "its discriminator is trained with no decoders; take a run of ae-d"


def reconstructions(subject: Subject, settings: Settings) -> Result:
    """A row for each image: as D saw it, decoded from D's last map, a part of it, and that part decoded.

    Raises UserError for fewer training images than rows, and for a D without decoders.
    """
    import numpy as np
    import torch

    from bench.evaluate.descent import frozen
    from bench.files.memory_map import rows
    from bench.networks.common.pixels import signed_images, to_uint8
    from bench.networks.interface import Decoding

    # The images, and the step whose augmentation they get
    discriminator, ctx, train = subject.discriminator, subject.opened.ctx, subject.train_images
    if not isinstance(discriminator, Decoding):
        raise UserError(f"run {subject.run.uid}: {NO_DECODERS}")
    if settings.images > len(train):
        raise UserError(
            f"run {subject.run.uid} has {len(train)} training images, {settings.images} are asked for: lower images"
        )
    chosen = torch.randperm(len(train), generator=subject.stream("images"))[: settings.images].numpy()
    ctx.begin_step(subject.step)
    pictures: list[np.ndarray] = []
    # One image at a time, so that none depends on how many there are
    with frozen(discriminator), torch.no_grad():
        for place, position in enumerate(chosen):
            subject.pause()
            image_NCHW = signed_images(rows(train, np.array([position])), subject.device)
            seen_NCHW = subject.method.augment(ctx, image_NCHW)
            part = int(torch.randint(discriminator.parts, (), generator=subject.stream("part", place)))
            whole, cut = discriminator.decode(seen_NCHW, part)[:2]
            shown = (whole.target_NCHW, whole.decoded_NCHW, cut.target_NCHW, cut.decoded_NCHW)
            pictures += [to_uint8(image_NCHW)[0] for image_NCHW in shown]
    columns = ("augmented", "decoded", "part", "part decoded")
    shows = "augmented training images, a part of each, and what the discriminator's decoders make of its maps of them"
    return Result(grid=PictureGrid(np.stack(pictures), ("",) * settings.images, columns, shows))


def _has_decoders(run: RunSpec, settings: Settings) -> None:
    """UserError for a run whose method trains no decoders."""
    from bench.contract.composition import build_method  # here, for it imports torch

    if not build_method(run.method).trains_decoders():
        raise UserError(f"run {run.uid}: {NO_DECODERS}")


MEASURES = [
    RunMeasure(
        name="reconstructions",
        summary="pictures: training images and what FastGAN's decoders make of the discriminator's maps of them",
        settings=Settings,
        needs=("discriminator",),
        pictures=True,
        compute=reconstructions,
        check=_has_decoders,
    )
]
