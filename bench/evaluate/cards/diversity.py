"""Diversity within a class, or under one condition: how different the images of one are (LT-GAN, Figure 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.errors import UserError
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.subject import Subject
    from bench.spec.run import RunSpec


class Diversity(MeasureSettings):
    """The mean distance of all pairs of images in a group, over groups.

    within: a group is a class, or (conditions) the images made from the condition of one training image. groups: how
    many are looked at; None: all classes, or 100 conditions at most. images: of a group. worst: the share of groups,
    the least diverse ones, whose mean is given too.
    extractor: None, and the distance is LPIPS of `net`, at `size` pixels (None: the images' own). Or an extractor, and
    it is the Euclidean distance of its features.
    """

    within: Literal["classes", "conditions"] = "classes"
    groups: int | None = Field(default=None, ge=1)
    images: int = Field(default=10, ge=2)
    worst: float = Field(default=0.1, gt=0, le=1)
    extractor: str | None = None
    net: Literal["alex", "vgg"] = "alex"
    size: int | None = Field(default=None, ge=32)


def _check(run: RunSpec, settings: Diversity) -> None:
    from bench.contract.composition import build_method
    from bench.evaluate.conditioned import refuse_batch_statistics

    hook = {"classes": "class_sampler", "conditions": "condition"}[settings.within]
    if not build_method(run.method).has(hook):
        lacks = {"classes": "cannot be asked for a class", "conditions": "conditions on nothing"}[settings.within]
        raise UserError(f"measure 'diversity', within {settings.within}: the method of run {run.uid} {lacks}")
    refuse_batch_statistics(run, "diversity")


def _compute(subject: Subject, settings: Diversity) -> Result:
    import numpy as np

    from bench.evaluate.lpips_space import LpipsSpace

    lpips = LpipsSpace(settings.net, settings.size, subject.device, subject.pause) if not settings.extractor else None
    far, shown = [], []
    for number, group in enumerate(_groups(subject, settings)):
        images_NHWC = _images_of(subject, settings, int(group), number)
        if lpips is not None:
            far.append(lpips.mean_of_pairs(images_NHWC))
        else:
            far.append(_mean_distance(subject, images_NHWC, settings.extractor or ""))
        shown.append(images_NHWC[:10])
    # The mean over groups, and over the least diverse of them
    order = np.argsort(far, kind="stable")
    worst = order[: max(1, round(settings.worst * len(far)))]
    error = float(np.std(far, ddof=1) / len(far) ** 0.5) if len(far) > 1 else None
    names = _gives(settings)
    values = [
        Value(names[0], float(np.mean(far)), error, n_generated=len(far) * settings.images),
        Value(names[1], float(np.mean(np.array(far)[worst])), n_generated=len(worst) * settings.images),
    ]
    return Result(values, np.concatenate([shown[place] for place in order[:5]]))


def _groups(subject: Subject, settings: Diversity) -> np.ndarray:
    """The classes that the run was trained on, or positions of training images, as many as are asked for."""
    import numpy as np
    import torch

    if settings.within == "conditions":
        there = np.arange(len(subject.train_images))
        groups = settings.groups or min(100, len(there))
    else:
        labels = subject.opened.ctx.labels_N
        assert labels is not None, "a method that can be asked for a class has labels"
        there = np.unique(labels)
        groups = settings.groups or len(there)
    if groups > len(there):
        what = "training images" if settings.within == "conditions" else "classes"
        raise UserError(f"measure 'diversity': groups is {groups}, must be at most the {len(there)} {what} of the run")
    chosen: np.ndarray = there[torch.randperm(len(there), generator=subject.stream("groups"))[:groups].numpy()]
    return chosen


def _images_of(subject: Subject, settings: Diversity, group: int, number: int) -> np.ndarray:
    import numpy as np

    from bench.evaluate.conditioned import images_like, images_of_class

    if settings.within == "classes":
        return images_of_class(subject, group, settings.images, number)
    return images_like(subject, np.full(settings.images, group), number)


def _mean_distance(subject: Subject, images_NHWC: np.ndarray, extractor: str) -> float:
    from scipy.spatial.distance import pdist

    return float(pdist(subject.features(images_NHWC, extractor).astype("float64")).mean())


def _gives(settings: Diversity) -> list[str]:
    name = "diversity_lpips" if settings.extractor is None else "diversity_distance"
    return [name, f"{name}_worst"]


def _outputs(name: str, short: str, of: str) -> tuple[Output, Output]:
    """Two outputs: over all groups, and over the least diverse."""
    return (
        Output(
            name=name,
            summary=f"mean {of} of two images of a class or condition; its error is the standard error over these",
            title=f"{of} within a class",
            short=short,
            better="higher",
        ),
        Output(
            name=f"{name}_worst",
            summary="the same of the least diverse classes or conditions: low where some collapse",
            title=f"{of} within the least diverse classes",
            short=f"worst {short}",
            better="higher",
        ),
    )


MEASURES = (
    RunMeasure(
        name="diversity",
        summary="how different images of one class, or of one condition, are, on average and at worst",
        settings=Diversity,
        outputs=(
            *_outputs("diversity_lpips", "LPIPS", "LPIPS"),
            *_outputs("diversity_distance", "distance", "distance of features"),
        ),
        gives=_gives,
        check=_check,
        compute=_compute,
    ),
)
