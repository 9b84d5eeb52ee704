"""What a method sees of a run while it trains."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench import networks, seeds
from bench.contract.numbers import Numbers, Supply
from bench.errors import UserError
from bench.machine.ranks import ALONE, Ranks
from bench.networks.common import sharing
from bench.networks.interface import Generator

if TYPE_CHECKING:
    from bench.spec.run import RunSpec, TrainSettings

# The letters of shapes are in docs/shape-letters.md. Logits are (N,), or (N, L) from a discriminator that judges L
# patches of each image.

Role = Literal["generator", "discriminator"]
ADDED = "added"  # the child of a network that holds what methods have attached to it
# The loop fills in all fields of a step; without this default, a test of one term would have to make up the rest.
_OF_THE_LOOP: Any = None


@dataclass(frozen=True)
class Batch:
    """One mini-batch of training images.

    images_NCHW: float32 in [-1, 1], mirrored at random with `train.flip`, not augmented.
    index_N: long, the position of each image among the run's training images: row i of `ctx.images_u8_NHWC`, of
    `ctx.labels_N` and of `ctx.attributes_NA`, that is among the selected ones where a part selects.
    condition_NK: G's condition for these images, in the hooks that come after `condition`; None without conditions.
    """

    images_NCHW: Tensor
    index_N: Tensor
    condition_NK: Tensor | None = None


@dataclass(frozen=True)
class Augmentation:
    """What one set of images went through in `augment`; call it to apply the same augmentation to other images.

    count: how many images it was drawn for.
    draws: the numbers that were drawn for it, by "part/name", names that say their shape: what the parts have put into
    `ctx.draws`, such as "diffaugment/translation_2N" or "ada-lite/geometry_N33".
    apply: the augmentation of exactly these draws, of as many images. A gradient passes through.
    """

    count: int
    draws: dict[str, Tensor]
    apply: Callable[[Tensor], Tensor]

    def __call__(self, images_NCHW: Tensor) -> Tensor:
        """The same augmentation of other images (N, C, H, W). ValueError if N is another number of images."""
        if len(images_NCHW) != self.count:
            raise ValueError(f"the augmentation was drawn for {self.count} images, not for {len(images_NCHW)}")
        return self.apply(images_NCHW)


@dataclass(frozen=True)
class DStep:
    """One discriminator update, as D's hooks see it; with `train.micro_batch` one micro-batch of it.

    batch: the training images, not augmented, and their positions.
    condition_NK: D's condition for these images, the real and the generated ones alike: the generator's condition, or
    what a part's `d_condition` made of it. None where D has no condition.
    real_NCHW: what D saw of the real images: after `reals`, and augmented. Without a gradient.
    fake_NCHW: what D saw of the generated images: augmented. Without a gradient to G.
    real_logits_N, fake_logits_N: D's logits of them, float32, with a gradient to D: (N,), or (N, L) of a D that
    judges L patches of each image.
    discriminate: D on further images, as `discriminate(images_NCHW, condition_NK)`, with this update's weights
    (spectral norms are computed once an update). It augments nothing.
    maps: what `D.forward_with_maps` returned beside the logits of the real images; None from a D without that method.
    g_condition_NK: G's condition.
    z_NZ: the latents of the generated images.
    real_augmentation, fake_augmentation: what the real and the generated images went through: its draws, and a
    function that does the same to other images.
    raw_NCHW: the real images before augmentation: after `reals`. `real_augmentation(raw_NCHW)` is `real_NCHW`.
    raw_fake_NCHW: likewise the generated images. `fake_augmentation(raw_fake_NCHW)` is `fake_NCHW`.
    """

    batch: Batch
    condition_NK: Tensor | None
    real_NCHW: Tensor
    fake_NCHW: Tensor
    real_logits_N: Tensor
    fake_logits_N: Tensor
    discriminate: Callable[[Tensor, Tensor | None], Tensor]
    maps: Any = None
    g_condition_NK: Tensor | None = None
    z_NZ: Tensor = _OF_THE_LOOP
    real_augmentation: Augmentation = _OF_THE_LOOP
    fake_augmentation: Augmentation = _OF_THE_LOOP
    raw_NCHW: Tensor = _OF_THE_LOOP
    raw_fake_NCHW: Tensor = _OF_THE_LOOP


@dataclass(frozen=True)
class GStep:
    """One generator update, as G's hooks see it; with `train.micro_batch` one micro-batch of it.

    z_NZ: the latents, from N(0, I).
    condition_NK: G's condition: that of the last discriminator update's images. None without conditions.
    images_NCHW: G's output, not augmented, with a gradient.
    logits_N: D's logits of these images, augmented, float32: (N,), or (N, L) of a D that judges L patches of each
    image. With a gradient to G; D is frozen.
    discriminate: D on further images, as `discriminate(images_NCHW, d_condition_NK)`. It augments nothing.
    d_condition_NK: D's condition for these images; the same as `condition_NK` unless a part has `d_condition`.
    batch: the training images of the last discriminator update, whose conditions these are.
    real_logits: `real_logits()` gives D's logits of that batch, (N,) or (N, L), float32 without a gradient: after
    `reals`, augmented again, by the D of this update. Computed when first asked for.
    augmentation: what the generated images went through before D: its draws, and a function that does the same to
    other images.
    """

    z_NZ: Tensor
    condition_NK: Tensor | None
    images_NCHW: Tensor
    logits_N: Tensor
    discriminate: Callable[[Tensor, Tensor | None], Tensor]
    d_condition_NK: Tensor | None = None
    batch: Batch = _OF_THE_LOOP
    real_logits: Callable[[], Tensor] = _OF_THE_LOOP
    augmentation: Augmentation = _OF_THE_LOOP


@dataclass(frozen=True)
class FinishedRun:
    """A source that is a run, opened again.

    ctx: its context, with its networks at their final weights. class_sampler: how images of given classes are drawn
    from `ctx.ema` (`Method.class_sampler`); None where its method cannot be asked for a class.
    """

    ctx: Context
    class_sampler: Callable[[Generator, Tensor, Tensor, torch.Generator], Tensor] | None


@dataclass
class Context:
    """A run in progress: its spec, data, networks and random streams.

    spec: the run's whole description; `spec.train` has its steps, batch and loss.
    images_u8_NHWC: the run's training images, uint8: its few-shot draw, or what a part's `select` left of it.
    labels_N: their class labels where the data set has them and the spec does not drop them, else None.
    attributes_NA, attribute_names: likewise their attributes, uint8, and what the columns are.
    device: where networks and batches are.
    sources: role -> weights file of a run or of the user; read it by `source`.
    open_run: opens a run of the store again, as `source_run` does; None outside of the engine.
    generator, discriminator: the networks that train; None before they are built (in `select` and `networks`) and in
    a run that trains neither (a SimCLR source run).
    ema: the average of the generator, from which images are scored; None before training.
    step: generator updates done so far.
    selected_M: the positions in the run's draw of the images that `select` chose, ascending; None if no part selects.
    real_logits: D's logits of the reals that this step's updates have seen (augmented), detached; one tensor (N,) or
    (N, L) for each update or micro-batch.
    ranks: the processes that train the run together (`train.gpus`), mostly this one alone.
    draws: what the running `augment` has drawn, by name: a part puts in, as `ctx.draws["shift_2N"] = ...`, what other
    parts may want to use or to invert. They find it in `Augmentation.draws` as "part/shift_2N".
    d_condition_NK: D's condition for the images of the running `augment`; None where D has none, and outside of an
    update.
    left: what this step's updates have left for `after_step`, by name: scalars of each update or micro-batch.
    supply: what draws the numbers of `numbers` ahead, for a GPU; None where each is drawn when it is asked for.
    """

    spec: RunSpec
    images_u8_NHWC: np.ndarray
    labels_N: np.ndarray | None
    device: torch.device
    sources: dict[str, Path] = field(default_factory=dict)
    open_run: Callable[[RunSpec], FinishedRun] | None = None
    attributes_NA: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    generator: Generator | None = None
    discriminator: nn.Module | None = None
    ema: Generator | None = None
    step: int = 0
    selected_M: np.ndarray | None = None
    real_logits: list[Tensor] = field(default_factory=list)
    draws: dict[str, Tensor] = field(default_factory=dict)
    d_condition_NK: Tensor | None = None
    ranks: Ranks = ALONE
    left: dict[str, list[Tensor]] = field(default_factory=dict)
    supply: Supply | None = None
    _calls: Counter[Any] = field(default_factory=Counter)

    @property
    def train(self) -> TrainSettings:
        """The spec's training settings; a reference point has none."""
        assert self.spec.train is not None, "a run without training has no loop"
        return self.spec.train

    def stream(self, *purpose: str | int) -> torch.Generator:
        """A fresh CPU generator from (seed, purpose, step, how often it was asked for in this step).

        Every random number of a method must come from here or from `numbers`: that is what makes resuming exact. A
        number for each image is drawn as `ctx.own(ctx.numbers(...).uniform(ctx.whole(len(images))))`: see `whole`.
        """
        return self._stream_of(purpose, self.step, self._next_call(purpose))

    def numbers(self, *purpose: str | int) -> Numbers:
        """The numbers of `stream` on the run's device: the way that never waits for a GPU, which draws ahead of it."""
        return self.numbers_of(purpose, self._next_call(purpose))

    def numbers_of(self, purpose: tuple[str | int, ...], call: int) -> Numbers:
        """Those that `numbers` gives when it is asked for the `call`-th time (from 1) in this step."""
        step = self.step
        return Numbers(lambda: self._stream_of(purpose, step, call), self.device, (purpose, call), self.supply)

    def _stream_of(self, purpose: tuple[str | int, ...], step: int, call: int) -> torch.Generator:
        return seeds.torch_stream(self.spec.seed, *purpose, step, call)

    def _next_call(self, purpose: tuple[str | int, ...]) -> int:
        self._calls[purpose] += 1
        return self._calls[purpose]

    def whole(self, count: int) -> int:
        """How many images the pass has of which `count` are here: `count` itself, unless several cards share the run.

        Draw numbers for so many, and keep those of the images here by `own`. A part that does so, whose terms are means
        over the images here, and that looks at the whole batch through `gathered` alone, declares `splits = True`.
        ValueError for another number of images than the pass has here.
        """
        return sharing.whole(count)

    def own(self, drawn: Tensor, dim: int = 0) -> Tensor:
        """Of numbers drawn for the whole pass, an entry an image along `dim`, those of the images here."""
        return sharing.own(drawn, dim)

    def gathered(self, values_N: Tensor) -> Tensor:
        """The entries (N, ...) of all images of the pass, of those of the images here; with their gradient.

        Every rank must come by: no part may ask for it in one case and not in another that another rank may see.
        """
        return sharing.gathered(values_N)

    def begin_step(self, step: int) -> None:
        """Move to `step`; from here on the streams are those of this step."""
        self.step = step
        self.real_logits, self.left = [], {}
        self._calls.clear()
        if self.supply is not None:
            self.supply.begin_step(step)

    def replaying(self) -> Callable[[], AbstractContextManager[None]]:
        """A function that makes contexts, inside which `stream` gives again the streams that it would give now.

        Afterwards `stream` goes on where it was: what is replayed changes no other random number.
        """
        return partial(self._replayed, dict(self._calls))

    @contextmanager
    def _replayed(self, then: dict[Any, int]) -> Iterator[None]:
        now, self._calls = self._calls, Counter(then)
        try:
            yield
        finally:
            self._calls = now

    def networks(self) -> tuple[Generator, nn.Module]:
        """The generator and the discriminator, of a run that has both."""
        assert self.generator is not None and self.discriminator is not None, "this run has no networks"
        return self.generator, self.discriminator

    def attach(self, role: Role, name: str, module: nn.Module) -> None:
        """Add a part's own trainable module to a network, where `attached` finds it; for `Method.prepare`.

        It is trained by that network's optimiser, frozen while the other network is updated, saved and restored
        with it, averaged in the EMA of the generator, and left alone by TransferGAN's copying. Construct it
        inside `initialised(...)`. Raises UserError for a name that is taken or is no lower-case identifier.
        """
        network = self._network(role)
        if ADDED not in dict(network.named_children()):
            network.add_module(ADDED, nn.ModuleDict())
        added = network.get_submodule(ADDED)
        assert isinstance(added, nn.ModuleDict)
        if name in added or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            what = "is attached already" if name in added else "must be a lower-case identifier"
            raise UserError(f"a module named '{name}' cannot be attached to the {role}: the name {what}")
        added[name] = module.to(self.device)

    def attached(self, role: Role, name: str) -> nn.Module:
        """The module that `attach` has added to a network under this name."""
        return self._network(role).get_submodule(f"{ADDED}.{name}")

    def _network(self, role: Role) -> nn.Module:
        generator, discriminator = self.networks()
        return generator if role == "generator" else discriminator

    def initialised(self, purpose: str) -> AbstractContextManager[None]:
        """Inside, layer constructors draw their weights from a stream of (seed, purpose) on the CPU."""
        return networks.initialised(self.spec.seed, "initialised", purpose)

    def source(self, role: str) -> dict[str, Any]:
        """The checkpoint of the source that the spec names `role` ("network", "simclr"), loaded without code.

        Raises UserError where the run's spec names no such source, and as `bench.files.weights.read_source`.
        """
        if role not in self.sources:
            raise UserError(f"this run was given no source '{role}'; the method's class must name it in `sources`")
        from bench.files.weights import read_source

        return read_source(self.sources[role])

    def source_run(self, role: str) -> FinishedRun:
        """The run that the spec names `role`, opened again at its final weights.

        Raises UserError where the source is a weights file, or is no run of this spec.
        """
        source = self.spec.run_sources.get(role)
        if source is None or self.open_run is None:
            what = "is a weights file" if role in self.sources else "was not given"
            raise UserError(f"source '{role}' {what}, must be a run")
        return self.open_run(source)
