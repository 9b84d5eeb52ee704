"""edit-directions: whether one direction in z does to images what a transformation of their pixels does (LT-GAN, 4.3).

The text finds directions by the method of Plumerault et al. 2020 and shows pictures. The numbers are ours: how much of
what is between an image and its transformed one is still there after the edit, over latents that no direction
was fitted to. Nothing of the settings is in the text; where that method's published code has a value it is the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np
    import torch

    from bench.evaluate.directions import Latents
    from bench.evaluate.subject import Subject

SHOWN = 2  # latents in the grid


class Settings(MeasureSettings):
    """edit: the transformation. most: the largest factor; factors: how many there are on either side of 0, evenly.

    trajectories: latents that the direction is found from. updates, lr: of Adam for each factor of each latent. sigma:
    of the blur of the error that they lower, in pixels of an image of 128 px.
    tried: latents that the direction is tried on. net: of LPIPS, by which edited images are compared.
    """

    edit: Literal["brightness", "zoom", "vertical-shift", "horizontal-shift"]
    most: float = Field(default=0.5, gt=0, lt=1)
    factors: PositiveInt = 5
    trajectories: PositiveInt = 50
    updates: PositiveInt = 50
    lr: float = Field(default=0.01, gt=0)
    sigma: float = Field(default=3.0, gt=0)
    tried: int = Field(default=50, ge=2)
    net: Literal["alex", "vgg"] = "alex"

    @property
    def sizes(self) -> list[float]:
        """The factors above 0."""
        return [self.most * (place + 1) / self.factors for place in range(self.factors)]


def check(run: RunSpec, settings: Settings) -> None:
    """UserError for a run whose images depend on each other, and for images that are too small for LPIPS."""
    from bench.features.perceptual import refuse_small  # here, for it imports torch

    if run.train is not None and run.train.batch_statistics is not None:
        raise UserError(
            "edit-directions: the run's images depend on each other (train.batch_statistics), so that none has a "
            "latent code of its own"
        )
    refuse_small("edit-directions", settings.net, run.data.resolution)


def compute(subject: Subject, settings: Settings) -> Result:
    """A direction from some latents, then what it does to others."""
    import numpy as np

    from bench.evaluate.descent import Adam
    from bench.evaluate.directions import fitted_direction, trajectories
    from bench.evaluate.edited_images import left_over, walks

    found = trajectories(
        subject.generator,
        _latents(subject, settings.trajectories, "start"),
        settings.edit,
        settings.sizes,
        Adam(settings.updates, settings.lr),
        settings.sigma,
        subject.pause,
    )
    direction = fitted_direction(found)
    tried = _latents(subject, settings.tried, "tried")
    edited_NT, unmoved_NT = left_over(subject, tried, direction, settings.edit, _both_ways(settings), settings.net)
    ends = [0, -1]
    values = [
        _share("edit_left", edited_NT.mean(1), unmoved_NT.mean(1)),
        _share("edit_left_ends", edited_NT[:, ends].mean(1), unmoved_NT[:, ends].mean(1)),
    ]
    arrays = {"edit_direction": direction.unit_Z, "edit_step": np.array([direction.step])}
    shown = tried.part(slice(0, SHOWN))
    pictures = walks(subject, shown, direction, settings.edit, _both_ways(settings, 0.0))
    return Result(values, grid=_grid(pictures, settings), arrays=arrays)


def _both_ways(settings: Settings, *middle: float) -> list[float]:
    """The factors from the least to the most, with or without 0 between them."""
    return [-size for size in reversed(settings.sizes)] + [*middle] + settings.sizes


def _latents(subject: Subject, count: int, purpose: str) -> Latents:
    """Latents of the measure's own, with what the run's method sets beside them."""
    from bench.evaluate.directions import Latents
    from bench.evaluate.frames import Frames

    drawn, generator = Frames(subject).drawn(count, purpose), subject.generator
    embedding_NE = None if drawn.conditions_NK is None else drawn.conditions_NK.to(subject.device)
    if embedding_NE is not None and not drawn.embedded:
        embedding_NE = _embedded(subject, embedding_NE)
    return Latents(
        drawn.latents_NZ.to(next(generator.parameters()).device),
        embedding_NE,
        lambda place: subject.stream(purpose, "noise", place),
    )


def _embedded(subject: Subject, conditions_NK: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        return subject.generator.embed(conditions_NK)


def _share(name: str, edited_N: np.ndarray, unmoved_N: np.ndarray) -> Value:
    """The ratio of two means over the same latents, and its standard error (of a ratio, to first order)."""
    if not unmoved_N.mean() > 0:
        raise UserError("edit-directions: the transformation changes none of the run's images, which are of one colour")
    share = float(edited_N.mean() / unmoved_N.mean())
    error = float((edited_N - share * unmoved_N).std(ddof=1) / unmoved_N.mean() / len(edited_N) ** 0.5)
    return Value(name, share, error, n_generated=len(edited_N))


def _grid(pictures: np.ndarray, settings: Settings) -> PictureGrid:
    """Of each latent what is asked for above what is made; pictures: (latents, 2, factors, H, W, 3)."""
    rows = ("asked", "made") * len(pictures)
    columns = tuple(f"{factor:+.2f}" if factor else "0" for factor in _both_ways(settings, 0.0))
    what = settings.edit.replace("-", " ")
    shows = f"an image under a {what} of its pixels, grey where it has none, and what the direction in z makes of it"
    return PictureGrid(pictures.reshape(-1, *pictures.shape[3:]), rows, columns, shows)


def _output(name: str, summary: str, short: str) -> Output:
    return Output(name=name, summary=summary, title=summary, short=short, better="lower", compared="ratio")


MEASURES = [
    RunMeasure(
        name="edit-directions",
        summary="whether a direction in z does to images what brightness, zoom or a shift does to their pixels",
        settings=Settings,
        pictures=True,
        outputs=(
            _output(
                "edit_left",
                "LPIPS of edited to transformed images, as a share of that of unedited ones",
                "left after the edit",
            ),
            _output(
                "edit_left_ends",
                "the same share at the two largest factors",
                "left at the ends",
            ),
        ),
        compute=compute,
        check=check,
    )
]
