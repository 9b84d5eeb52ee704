"""Reference points: images that no generator made, scored like a generator's, so that a score has a scale."""

from __future__ import annotations

import numpy as np

from bench import seeds
from bench.data import imageset
from bench.data.draws import train_pool, training_images
from bench.data.marks import marks
from bench.data.points import FLOOR, POINTS
from bench.data.reference_split import reference_images
from bench.errors import UserError, did_you_mean
from bench.files.memory_map import rows
from bench.spec.run import Protocol, RunSpec

AT_ONCE = 64  # images that are mixed in floating point at a time


def reference_point(spec: RunSpec) -> np.ndarray:
    """The uint8 images (N, H, W, 3) of a reference point, N = the protocol's generated count.

    The floor has no image twice, so where there are fewer real images than N it has fewer; its score records the
    count. Fewer images raise a Fréchet distance, so that such a floor lies too high. Raises UserError for a floor where
    the reference has every real image.
    """
    assert spec.protocol is not None
    name, count = spec.method[0].name, spec.protocol.generated
    stream = seeds.numpy_stream(spec.seed, "reference", name)
    if name == FLOOR:
        return _chosen(*_unseen(spec.protocol, spec), count, stream)
    images = training_images(spec.data, spec.seed).images
    first = stream.integers(len(images), size=count)
    if name == "memorised":
        return rows(images, first)
    if name == "pixel-mix":
        second = stream.integers(len(images), size=count)
        share = stream.random((count, 1, 1, 1), dtype=np.float32)
        mixed = np.empty((count, *images.shape[1:]), np.uint8)
        for at in range(0, count, AT_ONCE):
            here = slice(at, at + AT_ONCE)
            from_first, from_second = rows(images, first[here]), rows(images, second[here])
            mixed[here] = (share[here] * from_first + (1 - share[here]) * from_second).round()
        return mixed
    raise UserError(f"unknown reference point '{name}'; {did_you_mean(name, POINTS)}")


def floor_beside_training(spec: RunSpec) -> np.ndarray:
    """The floor of scores that look at training images: real ones (N, H, W, 3) in neither reference nor training.

    They are of the train pool, else test images that are not in the reference; as few as there are, maybe none.
    """
    assert spec.protocol is not None
    stream = seeds.numpy_stream(spec.seed, "reference", FLOOR, "beside training")
    known = marks(training_images(spec.data, spec.seed).images, near=False)["digest"]
    candidates = [_unseen(spec.protocol, spec)]
    if spec.protocol.split == "test":
        test = imageset.load(spec.data.name, spec.data.resolution).test
        candidates.append((test, np.arange(spec.protocol.reference, len(test))))
    for images, index in candidates:
        new = index[~np.isin(marks(images, near=False)["digest"][index], known)]
        if len(new):
            break
    return _chosen(images, new, spec.protocol.generated, stream)


def _chosen(images: np.ndarray, index: np.ndarray, count: int, stream: np.random.Generator) -> np.ndarray:
    """At most `count` of the images at `index`, none twice."""
    return rows(images, index[np.sort(stream.choice(len(index), min(count, len(index)), replace=False))])


def _unseen(protocol: Protocol, spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """A split of real images, and the positions in it of those that are not in the reference.

    The train pool against test images, else the test split: pixels decide, since a set's splits may overlap on purpose.
    """
    images = imageset.load(spec.data.name, spec.data.resolution)
    if protocol.split == "test":
        return images.train, train_pool(spec.data, spec.seed, len(images.train))
    reference = reference_images(protocol, spec.data, spec.seed)[0]
    test, known = (marks(some, near=False)["digest"] for some in (images.test, reference))
    new = np.flatnonzero(~np.isin(test, known))
    if not len(new):
        raise UserError(f"data set '{spec.data.name}' has no floor: every real image is in the reference")
    return images.test, new
