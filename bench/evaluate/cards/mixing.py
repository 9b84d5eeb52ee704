"""Pictures: the content of one image with the style of another, by the layers that carry the style (FastGAN's SLEs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject
    from bench.networks.interface import MixesStyles


class Settings(MeasureSettings):
    """contents, styles: images that give each. layers: all swapped together, or also each of them alone."""

    contents: PositiveInt = 4
    styles: PositiveInt = 6
    layers: Literal["all", "each"] = "all"


def mixing(subject: Subject, settings: Settings) -> Result:
    """Above the images that give a style, on the left those that give the content (section 4.2 and appendix C).

    Raises UserError for a generator without such layers.
    """
    import numpy as np

    from bench.evaluate.frames import Frames  # here, for it imports torch, which a list of measures does not need

    generator = cast("MixesStyles", subject.generator)
    sizes = generator.style_sizes
    if not sizes:
        raise UserError(f"run {subject.run.uid}: its generator has no skip-layer excitation to mix styles by")
    frames = Frames(subject)
    contents, styles = frames.drawn(settings.contents, "content"), frames.drawn(settings.styles, "style")
    swaps: list[tuple[str, tuple[int, ...]]] = [("all layers", sizes)]
    if settings.layers == "each":
        swaps += [(f"{size} px", (size,)) for size in sizes]
    # The line of styles, behind a white corner, then a line for each content and set of layers
    own_style = [frames.picture(styles.at(place), "style", place) for place in range(settings.styles)]
    pictures = [np.full_like(own_style[0], 255), *own_style]
    names = [""]
    for label, swapped in swaps:
        for place in range(settings.contents):
            content = contents.at(place)
            pictures.append(frames.picture(content, "content", place))
            pictures += [
                frames.mixed(content, styles.at(other), swapped, "content", place) for other in range(settings.styles)
            ]
            names.append(label)
    columns = ("content", *(f"style {place + 1}" for place in range(settings.styles)))
    shows = "style mixing: the content of the left image, the style of the image above"
    return Result(grid=PictureGrid(np.stack(pictures), tuple(names), columns, shows))


def _mixes(run: RunSpec, settings: Settings) -> None:
    """UserError for a run whose generator has no layers that carry a style."""
    from bench import networks  # here, for they import torch
    from bench.networks.describe import weightless
    from bench.networks.interface import MixesStyles

    assert run.network is not None
    with weightless():
        generator, _ = networks.build(run.network.name, **run.network.options)
    if not isinstance(generator, MixesStyles):
        raise UserError(f"measure 'mixing' needs skip-layer excitation, network '{run.network.name}' has none")
    if any(part.settings.get("skip") is False for part in run.method):
        raise UserError(f"measure 'mixing' needs skip-layer excitation, which run {run.uid} leaves out")


MEASURES = [
    RunMeasure(
        name="mixing",
        summary="pictures: content of one image, style of another, by FastGAN's skip-layer excitation",
        settings=Settings,
        pictures=True,
        compute=mixing,
        check=_mixes,
    )
]
