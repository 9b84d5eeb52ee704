"""The content of one image with the style of another, by the layers that carry the style (FastGAN's SLEs).

`mixing` gives pictures; `mixing-change` how much an image changes when a single layer takes another one's style.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import PositiveInt

from bench.data.picture_grid import PictureGrid
from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output
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


class ChangeSettings(MeasureSettings):
    """layer: the size of the map that the layer changes. Every content is mixed with every style. net: of LPIPS."""

    layer: PositiveInt
    contents: PositiveInt = 8
    styles: PositiveInt = 8
    net: Literal["alex", "vgg"] = "alex"


def change(subject: Subject, settings: ChangeSettings) -> Result:
    """The mean LPIPS of an image to itself with the layer's style of another image; the standard error over contents.

    Ours: appendix C says by pictures which layer changes most.
    """
    import numpy as np

    from bench.evaluate.frames import Frames
    from bench.features.perceptual import lpips_distance
    from bench.networks.common.pixels import signed_images

    frames, lpips = Frames(subject), lpips_distance(settings.net, str(subject.device))
    contents, styles = frames.drawn(settings.contents, "content"), frames.drawn(settings.styles, "style")
    means, shown = [], []
    for place in range(settings.contents):
        content = contents.at(place)
        own = frames.picture(content, "content", place)
        mixed = np.stack([
            frames.mixed(content, styles.at(other), (settings.layer,), "content", place)
            for other in range(settings.styles)
        ])  # fmt: skip
        pairs = [signed_images(images, subject.device) for images in (np.stack([own] * settings.styles), mixed)]
        means.append(float(lpips(*pairs).double().mean()))
        shown += [own, *mixed]
    error = float(np.std(means, ddof=1)) / len(means) ** 0.5 if len(means) > 1 else None
    value = Value("mixing_lpips", float(np.mean(means)), error, n_generated=settings.contents * settings.styles)
    return Result([value], np.stack(shown))


def _sizes(run: RunSpec, name: str) -> tuple[int, ...]:
    """The sizes of the maps of a run's layers that carry a style. UserError where there are none."""
    from bench import networks  # here, for they import torch
    from bench.networks.describe import weightless
    from bench.networks.interface import MixesStyles

    assert run.network is not None
    with weightless():
        generator, _ = networks.build(run.network.name, **run.network.options)
    if not isinstance(generator, MixesStyles):
        raise UserError(f"measure '{name}' needs skip-layer excitation, network '{run.network.name}' has none")
    if any(part.settings.get("skip") is False for part in run.method):
        raise UserError(f"measure '{name}' needs skip-layer excitation, which run {run.uid} leaves out")
    return generator.style_sizes


def _mixes(run: RunSpec, settings: Settings) -> None:
    _sizes(run, "mixing")


def _has_the_layer(run: RunSpec, settings: ChangeSettings) -> None:
    if settings.layer not in (sizes := _sizes(run, "mixing-change")):
        assert run.network is not None
        raise UserError(
            f"measure 'mixing-change': network '{run.network.name}' has skip-layer excitation at "
            f"{', '.join(map(str, sizes))} px, not at {settings.layer}"
        )


MEASURES = [
    RunMeasure(
        name="mixing",
        summary="pictures: content of one image, style of another, by FastGAN's skip-layer excitation",
        settings=Settings,
        pictures=True,
        compute=mixing,
        check=_mixes,
    ),
    RunMeasure(
        name="mixing-change",
        summary="how much an image changes when one layer of skip-layer excitation reads another image (FastGAN)",
        settings=ChangeSettings,
        outputs=(
            Output(
                name="mixing_lpips",
                summary="mean LPIPS of images to themselves with one layer's style of another; neither end is good",
                title="LPIPS of a swapped layer",
                short="LPIPS",
                better="none",
            ),
        ),
        compute=change,
        check=_has_the_layer,
    ),
]
