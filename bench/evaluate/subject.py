"""What a measure sees of a finished run: its networks at a snapshot, its images, features and data, all on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bench import features
from bench.contract.base import Sampler
from bench.contract.composition import Composition
from bench.contract.context import Context
from bench.data import draws, imageset
from bench.data.reference_split import images_of_train, reference_images
from bench.errors import UserError
from bench.evaluate.sight import Sight
from bench.metrics.scorers import make_scorer
from bench.metrics.scores import Score
from bench.networks.interface import Generator
from bench.spec.run import Protocol as ScoringProtocol
from bench.spec.run import RunSpec


class Opened(Protocol):
    """A finished run at one of its snapshots: bench.run.reopen.Reopened is one."""

    @property
    def ctx(self) -> Context:
        """The run's context: its training images, labels and networks."""
        ...

    @property
    def method(self) -> Composition:
        """The run's method, with its state."""
        ...

    @property
    def step(self) -> int:
        """The step of the snapshot."""
        ...

    @property
    def generator(self) -> Generator:
        """The average of G's weights, which is what was scored."""
        ...

    @property
    def sampler(self) -> Sampler:
        """How the run's method makes images; the same whenever it is asked for."""
        ...

    def images(self, count: int, seed: int | None = None) -> Iterator[np.ndarray]:
        """The first `count` uint8 images, a batch (N, H, W, 3) at a time."""
        ...

    def made(self, make: Callable[[], Tensor], noises: torch.Generator) -> np.ndarray:
        """uint8 images (N, H, W, 3) of one call of the generator, made as when the run is sampled."""
        ...

    def sheets(self) -> list[tuple[int, np.ndarray]]:
        """The steps of the run's snapshots with their first uint8 images, of which the run keeps a picture each."""
        ...


# Opens the run with other values of the settings that its method uses at inference alone
Opener = Callable[[Mapping[str, Any]], Opened]


class Subject(Sight):
    """A finished run, as a measure sees it. Nothing is opened, loaded or computed before it is asked for.

    task: the evaluation; `task.protocol` says how many images there are and what the reference is.
    open_run: opens the run at the snapshot of the task. inference: how it is sampled, for `open_run`. The other
    arguments are those of a `Sight`.
    """

    def __init__(
        self,
        task: RunSpec,
        open_run: Opener,
        device: str = "cpu",
        pause: Callable[[], None] = lambda: None,
        inference: Mapping[str, Any] | None = None,
        sources: Mapping[str, Path] | None = None,
    ) -> None:
        assert task.evaluated is not None and task.protocol is not None
        super().__init__(task, device, pause, sources)
        self.run: RunSpec = task.evaluated
        self.protocol: ScoringProtocol = task.protocol
        self._open, self._inference = open_run, dict(inference or {})

    def sampled(self, inference: Mapping[str, Any]) -> Subject:
        """The same run with other values of settings that its method uses at inference alone.

        Raises UserError where its method has no such setting.
        """
        if not inference:
            return self
        more = {**self._inference, **inference}
        return Subject(self.task, self._open, self.device, self.pause, more, self._sources)

    # ---- the run ---------------------------------------------------------------------------------

    @cached_property
    def opened(self) -> Opened:
        """The run at its snapshot."""
        return self._open(self._inference)

    @property
    def step(self) -> int:
        """The step of the snapshot."""
        return self.opened.step

    @property
    def generator(self) -> Generator:
        """The average of G's weights at the snapshot, in evaluation mode."""
        return self.opened.generator

    @property
    def discriminator(self) -> nn.Module:
        """D at the snapshot. Raises UserError for a run without one."""
        if self.opened.ctx.discriminator is None:
            raise UserError(f"run {self.run.uid} has no discriminator")
        return self.opened.ctx.discriminator

    @property
    def method(self) -> Composition:
        """The run's method, with its state at the snapshot."""
        return self.opened.method

    @property
    def sampler(self) -> Sampler:
        """How the method makes images from latents: a function (generator, z_NZ, stream) -> images NCHW."""
        return self.opened.sampler

    # ---- images ----------------------------------------------------------------------------------

    def images(self, count: int | None = None) -> np.ndarray:
        """The run's first `count` images (count, H, W, 3) uint8 [default: as many as the protocol generates].

        They are the images that a training with this protocol, sampled like this, would have scored at the snapshot.
        """
        return np.concatenate(list(self.batches(count)))

    def batches(self, count: int | None = None) -> Iterator[np.ndarray]:
        """`images`, a batch (N, H, W, 3) at a time: for more of them than memory should hold."""
        for batch_NHWC in self.opened.images(self.protocol.generated if count is None else count):
            yield batch_NHWC
            self.pause()

    def class_images(self, label: int, count: int) -> np.ndarray:
        """Images (count, H, W, 3) uint8 of one class; every class has the same latents.

        Raises UserError for a method that cannot be asked for a class.
        """
        ctx, generator = self.opened.ctx, self.generator
        sampler = self.method.class_sampler(ctx)
        if sampler is None:
            raise UserError(f"run {self.run.uid} cannot be asked for a class")
        # In whole batches, where the norms take their statistics of the batch
        together = (self.run.train.batch_statistics if self.run.train else None) or count
        latents, batches = self.stream("class-latents"), []
        for start in range(0, count, together):
            z_NZ = torch.randn(together, generator.z_dim, generator=latents).to(ctx.device)
            label_N, stream = torch.full((together,), label), self.stream("class-sampler", label, start)
            make = partial(sampler, generator, z_NZ, label_N, stream)
            batches.append(self.opened.made(make, self.stream("class-noise", label, start)))
            self.pause()
        return np.concatenate(batches)[:count]

    @property
    def train_images(self) -> np.ndarray:
        """The images (M, H, W, 3) uint8 that the run was trained on."""
        return self.opened.ctx.images_u8_NHWC

    def held_out(self, count: int | None = None) -> tuple[np.ndarray, str]:
        """The first `count` uint8 images that the run's `holdout` kept out of training [default: all], and their name.

        Raises UserError where there are fewer.
        """
        data = self.run.data
        images = imageset.load(data.name, data.resolution)
        index = draws.held_out(data, self.run.seed, len(images.train))
        if len(index) < (count or 1):
            raise UserError(f"run {self.run.uid} keeps {len(index)} images out of training, {count or 1} are asked for")
        return images_of_train(images, index[:count])

    @cached_property
    def reference(self) -> tuple[np.ndarray, str]:
        """The protocol's reference images, uint8, and a name of exactly these images."""
        return reference_images(self.protocol, self.run.data, self.run.seed)

    # ---- numbers ---------------------------------------------------------------------------------

    def made_features(self, count: int, extractor: str) -> np.ndarray:
        """Features (count, D) float32 of the run's first `count` images, which are not kept."""
        network = features.load(extractor, self.device)
        return np.concatenate([network(batch_NHWC) for batch_NHWC in self.batches(count)])

    def scores(self, images_NHWC: np.ndarray) -> list[Score]:
        """The protocol's scores of uint8 images (N, H, W, 3), against its reference."""
        scorer = make_scorer(self.protocol, self.run.data, self.run.seed, self.device, watch=self._watched)
        return scorer.score(images_NHWC)
