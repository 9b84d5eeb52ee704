"""Reference points: images that no generator made, scored like a generator's, so that a score has a scale."""

from __future__ import annotations

import numpy as np

from bench import seeds
from bench.data import imageset
from bench.data.draws import training_images
from bench.data.points import POINTS
from bench.errors import UserError, did_you_mean
from bench.files.memory_map import rows
from bench.spec.run import RunSpec

AT_ONCE = 64  # images that are mixed in floating point at a time


def reference_point(spec: RunSpec) -> np.ndarray:
    """The uint8 images (N, H, W, 3) of a reference point, N = the protocol's generated count.

    The floor has no image twice, so where the train pool is smaller than N it has fewer; its score records the count.
    Fewer images raise a Fréchet distance, so that such a floor lies too high.
    """
    assert spec.protocol is not None
    name, count = spec.method[0].name, spec.protocol.generated
    stream = seeds.numpy_stream(spec.seed, "reference", name)
    if name == "floor":
        pool = imageset.load(spec.data.name, spec.data.resolution).train
        return rows(pool, np.sort(stream.choice(len(pool), min(count, len(pool)), replace=False)))
    images, _ = training_images(spec.data, spec.seed)
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
