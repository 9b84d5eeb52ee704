"""Pictures: what G makes of the priors of given images, altered, interpolated or mixed (DISP fig. 8; DIP fig. 5, 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from bench.data import counting
from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from bench.evaluate.subject import Subject

Kind = Literal["image", "cut-mix", "cut-out", "sketch", "grey", "interpolation", "mix-up"]
BETWEEN = ("interpolation", "mix-up")
SHOWS = {
    "image": "samples with the prior of the image on the left",
    "cut-mix": "samples with the prior of an image in which a part of another is pasted",
    "cut-out": "samples with the prior of an image of which a part is removed",
    "sketch": "samples with the prior of a sketch of an image",
    "grey": "samples with the prior of a grey image",
    "interpolation": "interpolation between the priors of two images, at one latent",
    "mix-up": "Bernoulli mix-up of the priors of two images, at one latent",
}


class Settings(MeasureSettings):
    """kind: what is made of the first images of the test split. images: rows. pictures: of G in each.

    Of interpolation and mix-up a row is of two images, and its pictures are at equal shares of the second; mix-up takes
    each number of the prior from the second with that share as probability. Else pictures differ in the latent alone,
    which is the same in every row.
    """

    kind: Kind
    images: PositiveInt = 4
    pictures: PositiveInt = 6


def prior_pictures(subject: Subject, settings: Settings) -> Result:
    """A row for each image or pair: what is shown to the extractor, then what G makes of its prior."""
    import numpy as np

    between = settings.kind in BETWEEN
    images_NHWC = subject.test_images(settings.images * (2 if between else 1))
    make = _between if between else _altered
    pictures, columns = make(subject, images_NHWC, settings)
    return Result(grid=PictureGrid(np.stack(pictures), ("",) * settings.images, columns, SHOWS[settings.kind]))


def _altered(subject: Subject, images_NHWC: np.ndarray, settings: Settings) -> tuple[list[np.ndarray], tuple[str, ...]]:
    import numpy as np

    from bench.evaluate.frames import Frames, Inputs

    frames, plain = Frames(subject), settings.kind == "image"
    shown = images_NHWC if plain else np.stack(
        [_edited(subject, images_NHWC, place, settings.kind) for place in range(len(images_NHWC))]
    )  # fmt: skip
    priors_NK = _priors(subject, shown)
    latents = frames.drawn(settings.pictures, "latents")
    pictures = []
    for place, image in enumerate(images_NHWC):
        pictures += [image] if plain else [image, shown[place]]
        pictures += [
            frames.picture(Inputs(latents.at(each).latents_NZ, priors_NK[place][None]), "latents", each)
            for each in range(settings.pictures)
        ]
    first = ("image",) if plain else ("image", settings.kind)
    return pictures, (*first, *(f"z {each + 1}" for each in range(settings.pictures)))


def _between(subject: Subject, images_NHWC: np.ndarray, settings: Settings) -> tuple[list[np.ndarray], tuple[str, ...]]:
    import torch

    from bench.evaluate.frames import Frames, Inputs

    frames, priors_NK = Frames(subject), _priors(subject, images_NHWC)
    latents = frames.drawn(settings.images, "latents")
    shares = [step / max(1, settings.pictures - 1) for step in range(settings.pictures)]
    pictures = []
    for row in range(settings.images):
        first_K, second_K = priors_NK[2 * row], priors_NK[2 * row + 1]
        chance_K = torch.rand(len(first_K), generator=subject.stream("mix-up", row)).to(first_K.device)
        pictures.append(images_NHWC[2 * row])
        for share in shares:
            # What the second has taken over stays with it: the numbers change one after the other
            mixed_K = torch.where(chance_K < share, second_K, first_K)
            prior_K = mixed_K if settings.kind == "mix-up" else torch.lerp(first_K, second_K, share)
            pictures.append(frames.picture(Inputs(latents.at(row).latents_NZ, prior_K[None]), "latents", row))
        pictures.append(images_NHWC[2 * row + 1])
    return pictures, ("first image", *(f"{share:.2f}" for share in shares), "second image")


def _edited(subject: Subject, images_NHWC: np.ndarray, place: int, kind: str) -> np.ndarray:
    """One of the images, altered; a part comes from the next one, and lies in a random place."""
    import torch

    from bench.evaluate import edits

    image = images_NHWC[place]
    box = edits.box_at(len(image), *torch.rand(2, generator=subject.stream("box", place)).tolist())
    if kind == "cut-mix":
        return edits.cut_mix(image, images_NHWC[(place + 1) % len(images_NHWC)], box)
    return (
        edits.cut_out(image, box) if kind == "cut-out" else edits.grey(image) if kind == "grey" else edits.sketch(image)
    )


def _priors(subject: Subject, images_NHWC: np.ndarray) -> Tensor:
    """C(x) of images, scaled as those of the run's training images: (N, K)."""
    query = subject.method.query_condition()
    if query is None:
        raise UserError(f"run {subject.run.uid} {NO_PRIOR}")
    return query(subject.opened.ctx, images_NHWC)


NO_PRIOR = "has no condition of an image that it was not trained on"


def _has_priors(run: RunSpec, settings: Settings) -> None:
    """UserError for a method without priors of other images, and for too few test images."""
    from bench.contract.composition import build_method  # here, for it imports torch

    if build_method(run.method).query_condition() is None:
        raise UserError(f"run {run.uid} {NO_PRIOR}")
    needed = settings.images * (2 if settings.kind in BETWEEN else 1)
    if settings.kind == "cut-mix" and needed < 2:
        raise UserError("a part of another image is pasted: images must be at least 2")
    found = counting.counts(run.data.name, run.data.resolution)
    if found is not None and found[1] < needed:
        raise UserError(f"data set '{run.data.name}' has {found[1]} test images, {needed} are asked for")


MEASURES = [
    RunMeasure(
        name="prior-pictures",
        summary="pictures: G with the priors of given images, as they are, altered, interpolated or mixed",
        settings=Settings,
        pictures=True,
        compute=prior_pictures,
        check=_has_priors,
    )
]
