"""The reference points by name: images that no generator made, scored so that a score has a scale."""

from __future__ import annotations

from bench.data.counting import counts
from bench.data.draw_counts import drawn
from bench.data.known import datasets
from bench.errors import UserError
from bench.spec.run import DataSpec, Protocol, ReferenceSplit

FLOOR = "floor"
POINTS = {  # what a caption says of each, where the reference is of the test split
    # what a perfect generator scores at these counts
    FLOOR: "real images of the train pool against the test images",
    # DISP section 5.1, memorization test: repetitions are drawn
    "memorised": "the run's training images, resampled, against the test images",
    # what vicinal mixing of pixels alone scores
    "pixel-mix": "cross-dissolves of two training images",
}
_OTHERWISE = {  # where the reference holds training images
    FLOOR: "real images of the test split that are not in the reference, against it (a row below it is nearer to the "
    "reference than new real images are)",
    "memorised": "the run's training images, resampled, against the reference (what copying scores)",
}


def meaning(point: str, split: ReferenceSplit) -> str:
    """What a reference point is, in words, against this reference."""
    return POINTS[point] if split == "test" else _OTHERWISE.get(point, POINTS[point])


def exists(point: str, data: DataSpec, protocol: Protocol) -> bool:
    """Whether there is such a point: a floor needs real images that are not the reference.

    A reference of both splits leaves none. Nor does the whole train pool of a set whose test split is its train split.
    """
    if point != FLOOR or protocol.split == "test":
        return True
    whole_pool = data.holdout is None and not (protocol.split == "training-images" and _leaves_images_out(data))
    return protocol.split != "all" and not (whole_pool and is_its_own_reference(data.name))


def _leaves_images_out(data: DataSpec) -> bool:
    """Whether a draw leaves images of the set out. One of 1,000 from a published thousand does not.

    Where nobody can say, since the set is not built here, a draw is taken to be of a part.
    """
    if data.shots is None and data.share is None:
        return False
    if not is_its_own_reference(data.name):
        return True
    try:
        there = counts(data.name, data.resolution)
    except UserError:  # the checks of a plan say what is wrong with the set
        return True
    return there is None or drawn(data, there[0]) < there[0]


def is_its_own_reference(name: str) -> bool:
    """Whether the test images of a data set are its training images on purpose (`reference: all`)."""
    registry = datasets()
    return name in registry and registry.load(name).options.get("reference") == "all"
