"""What measures of every kind see: real images, features of any images, weights of sources, and random streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import features, seeds
from bench.data import imageset
from bench.errors import UserError
from bench.features.cache import cached_features
from bench.files.weights import read_source
from bench.spec.run import RunSpec


class Sight:
    """A task as its measure sees it; a `Subject` of a finished run, or a `Material` of none.

    pause: called between batches of images, and by measures between their own steps; it ends an evaluation that is to
    stop, by an exception that a measure lets pass. sources: role -> file, of what the measure's card names.
    """

    def __init__(
        self,
        task: RunSpec,
        device: str = "cpu",
        pause: Callable[[], None] = lambda: None,
        sources: Mapping[str, Path] | None = None,
    ) -> None:
        self.task, self.device, self.pause = task, device, pause
        self._sources = dict(sources or {})

    @property
    def step(self) -> int:
        """The step of the snapshot that is looked at; 0 for a measure that looks at no run."""
        return 0

    def test_images(self, count: int | None = None) -> np.ndarray:
        """The first `count` images of the test split [default: all], uint8. Raises UserError where there are fewer."""
        data = self.task.data
        images = imageset.load(data.name, data.resolution).test
        if count is not None and count > len(images):
            raise UserError(f"data set '{data.name}' has {len(images)} test images, {count} are asked for")
        return images if count is None else images[:count]

    def named_test_images(self, count: int | None = None) -> tuple[np.ndarray, str]:
        """`test_images`, and a name of exactly these images."""
        images, data = self.test_images(count), self.task.data
        return images, f"{imageset.load(data.name, data.resolution).sha256}-test-{len(images)}"

    def features(self, images_NHWC: np.ndarray, extractor: str, *, keep: bool = False) -> np.ndarray:
        """Features (N, D) float32 of uint8 images. keep: of images that come again, such as training images."""
        network = features.load(extractor, self.device)
        return cached_features(network, images_NHWC) if keep else network(images_NHWC)

    def source(self, role: str) -> dict[str, Any]:
        """The weights of a further source that the measure's card names, loaded without code."""
        return read_source(self._sources[role])

    def stream(self, *purpose: str | int) -> torch.Generator:
        """A CPU generator for a purpose of this measure: all random numbers come from here.

        It depends on the seed of the task, the measure's name and the purpose alone.
        """
        assert self.task.measure is not None
        return seeds.torch_stream(self.task.seed, "evaluate", self.task.measure.name, *purpose)

    def _watched(self, parts: Iterable[int], count: int, what: str) -> Iterable[int]:
        for part in parts:
            self.pause()
            yield part
