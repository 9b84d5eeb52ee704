"""What a measure that looks at no finished run sees: images with labels, and networks as they are before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.contract.context import Context
from bench.data import imageset
from bench.data.draws import TrainingImages, training_images
from bench.evaluate.sight import Sight
from bench.spec.run import RunSpec


class Steps(Protocol):
    """A training that has not begun, to be made step by step: bench.train.bare_steps.BareSteps is one."""

    @property
    def ctx(self) -> Context:
        """Its networks and images."""
        ...

    def make(self, number: int) -> dict[str, float]:
        """Make step `number`, from 0 on; gives its losses."""
        ...

    def close(self) -> None:
        """Leave it, wherever it is."""
        ...


Builder = Callable[[int], Steps]


class Material(Sight):
    """A task of a measure that looks at no run. Nothing is loaded or built before it is asked for.

    build: begins a training of the task's network, method and settings, of at least so many steps; where its card
    names them in `uses`. The other arguments are those of a `Sight`.
    """

    def __init__(
        self,
        task: RunSpec,
        build: Builder,
        device: str = "cpu",
        pause: Callable[[], None] = lambda: None,
        sources: Mapping[str, Path] | None = None,
    ) -> None:
        assert task.evaluated is None
        super().__init__(task, device, pause, sources)
        self._build = build

    def training(self, steps: int) -> Steps:
        """A new training of at least so many steps, before its first one."""
        return self._build(steps)

    @cached_property
    def drawn(self) -> TrainingImages:
        """The training images that the data draw for the seed, with labels and attributes where there are some."""
        return training_images(self.task.data, self.task.seed)

    @property
    def train_images(self) -> np.ndarray:
        """The training images (M, H, W, 3) uint8."""
        return self.drawn.images

    @property
    def train_labels(self) -> np.ndarray | None:
        """The class of each training image (M,); None for a set without classes."""
        return self.drawn.labels

    def test_labels(self, count: int | None = None) -> np.ndarray | None:
        """The class of each of the first `count` test images [default: all]; None for a set without classes."""
        labels = imageset.load(self.task.data.name, self.task.data.resolution).test_labels
        return labels if labels is None or count is None else labels[:count]
