"""The Method base class: a part of a method is one class that implements some of its hooks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from bench.contract.context import Batch, Context, DStep, GStep
from bench.networks.interface import Generator

Sampler = Callable[[Generator, Tensor, torch.Generator], Tensor]
ClassSampler = Callable[[Generator, Tensor, Tensor, torch.Generator], Tensor]
QueryCondition = Callable[[Context, np.ndarray], Tensor]
Weights = tuple[Tensor | None, Tensor | None]
Logged = dict[str, float | Tensor]  # what a step gives to the log: floats and scalars on the device


@dataclass(frozen=True)
class Auxiliary:
    """A part's own network that tells by what step in z two generated images have moved, for a measure of it.

    sigma: standard deviation of the steps of its training.
    same: (images_NCHW, moved_NCHW, partner_N) -> logits (N,) of whether image i and its partner have moved by the same
    step; moved_NCHW are the images of z + step.
    """

    sigma: float
    same: Callable[[Tensor, Tensor, Tensor], Tensor]


@runtime_checkable
class FittingSampler(Protocol):
    """A sampler that fits a distribution to a generator before it first draws from it, such as DISP's mixture."""

    def fit(self, generator: Generator) -> int:
        """Fit it now, if it is not yet fitted to these weights; how many images it is fitted to."""
        ...

    def __call__(self, generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
        """As every `Sampler`."""
        ...


class Method:
    """One part of a method. Every hook is optional; the defaults below are plain adversarial training.

    A row's method is an ordered composition of parts (`diffaugment + disp(prior=vgg16)`): augmentations and what is
    shown as real chain, losses add, weights multiply, network settings merge, and an exclusive hook belongs to one part
    at most. Constructor arguments are keyword-only with literal defaults: they are the settings that a table may write.
    A class is called by its name in lower case with dashes (`LeCam` is `le-cam`), or by a class attribute `name`.

    Hooks by the time at which they are called:

    once, before training    select, networks, d_networks, discriminator, prepare; load_state_dict on resume
    each step                begin_step; variant with `train.graphs`
    each update of D         condition, d_condition, reals, augment, d_weights or d_adversarial, d_loss
    each update of G         augment, g_weights or g_adversarial, g_loss
    after each step          after_step
    each snapshot            sampler
    of a finished run        class_sampler, auxiliary, query_condition, trains_decoders
    each checkpoint          state_dict
    instead of all steps     fit

    version: raise it whenever a change alters results, so that old records are not taken for new ones.
    sources: roles of the runs or weights it starts from, each with the setting that calls for it ("" for
    always): {"network": ""} for TransferGAN, {"simclr": "prior=simclr"} for DISP. A table says what fills a
    role.
    later: settings that were added after runs had been recorded. At their default, which must be what the part
    did before, they are no part of a run's identity, so that the old runs keep their names.
    needs_labels, needs_attributes: whether it cannot do without class labels or attributes, or the setting with which
    it cannot ("target=labels"); a plan on images without any is then refused.
    in_graphs: True, or the reason why `train.graphs` cannot record its updates once and repeat them. They can be where
    the hooks of an update read no value of the device, take their numbers from `ctx.numbers`, change nothing in Python
    but `ctx.draws` and `ctx.left`, and do in every step what they do in the others of its `variant`. What `begin_step`
    and `after_step` change on the device they change in place, and what they draw is for purposes of their own.
    splits: whether several cards may train a run with it (`train.gpus`). True: of a share of a pass's images every hook
    gives what it would give of them among all, with numbers drawn for the whole pass (`ctx.whole`, `ctx.own`), and its
    terms are means over the images here; what looks at others does so through `ctx.gathered`. Else the reason why not,
    which a plan prints. Not known by default, and then refused.
    of_sampler: settings that change nothing but `sampler`. They are a part of the run's identity as all are, but an
    evaluation may sample the finished run with other values of them, without another training.
    papers: what it is from, as (authors, year, title, link), with a link such as "arXiv:2006.10738" or "https://...";
    reports show them beside the rows.
    trains_on: extractors whose features its training makes better by themselves, as a D that reads them does. Reports
    say that its scores on these are no comparison.
    """

    version: ClassVar[int] = 1
    sources: ClassVar[dict[str, str]] = {}
    later: ClassVar[tuple[str, ...]] = ()
    needs_labels: ClassVar[bool | str] = False
    needs_attributes: ClassVar[bool | str] = False
    of_sampler: ClassVar[tuple[str, ...]] = ()
    in_graphs: ClassVar[Literal[True] | str] = "does not say that its updates can be recorded (`Method.in_graphs`)"
    splits: ClassVar[bool | str] = False
    papers: ClassVar[tuple[tuple[str, int, str, str], ...]] = ()
    trains_on: ClassVar[tuple[str, ...]] = ()

    def select(self, ctx: Context) -> np.ndarray | None:
        """Which of the run's training images are trained on: their positions in `ctx.images_u8_NHWC`, distinct
        integers in any order; None for all. Exclusive.

        Called once, before every other hook of every part, whatever their order, and again before a resumed step:
        it must choose the same again, so random numbers come from `ctx.stream`. There are no networks yet. The
        images it leaves, in their old order, are the run's from here on: `ctx.images_u8_NHWC`, `ctx.labels_N`,
        `ctx.attributes_NA`, `Batch.index_N`, conditions, priors and batches know no others. The reference points
        (floor, memorised, pixel-mix) and the scores are those of the whole draw, also where the reference is of the
        training images, and a source run selects by its own method alone.
        """
        return None

    def networks(self, ctx: Context) -> dict[str, Any]:
        """Keyword overrides for `bench.networks.build`, e.g. {"condition_dim": 512}."""
        return {}

    def d_networks(self, ctx: Context, options: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword overrides for the discriminator alone, such as another `condition_dim` than G's (`d_condition`).

        options: what both networks are built with: the table's options and those of all parts' `networks`. The
        weights of D's other layers do not depend on the size of its condition.
        """
        return {}

    def discriminator(self, ctx: Context, discriminator: nn.Module) -> nn.Module:
        """The discriminator to train, given the one that the table names: another, or one that wraps it. Exclusive.

        It is called with images (N, C, H, W) in [-1, 1] and a condition (N, K) or None, and gives logits (N,) or (N,
        L). D's optimiser trains it, G's update freezes it, checkpoints save and restore it: nothing else is to do. One
        whose layers look at the whole batch sets `batch_statistics = True`, or real and generated images come in
        one call; one that judges what a generator of two scales gives takes `small_NCHW=`. Construct new layers
        inside `ctx.initialised(...)`. Parts that look into the table's discriminator (FreezeD) may refuse it.
        """
        return discriminator

    def prepare(self, ctx: Context) -> None:
        """Once, before step 0 and also before a resumed step: load source weights, freeze blocks, compute
        priors, attach modules (`ctx.attach`).

        Whatever this leaves in the networks is overwritten by a checkpoint on resume; frozen flags are not
        part of checkpoints and so must be set here, or in `begin_step`.
        """

    def begin_step(self, ctx: Context) -> None:
        """Before each step of the adversarial loop, `ctx.step` being its number: what depends on the step alone.

        The place to switch `requires_grad` (two stages of fine-tuning): a resumed run comes by here as well.
        """

    def variant(self, ctx: Context) -> Hashable:
        """What of this step its hooks decide by in Python, such as whether a lazy term is due; for `train.graphs`."""
        return None

    def condition(self, ctx: Context, batch: Batch) -> Tensor | None:
        """What G and D are conditioned on for these images: (N, K) float, or None. Exclusive."""
        return None

    def d_condition(self, ctx: Context, batch: Batch, condition_NK: Tensor | None) -> Tensor | None:
        """D's condition for these images, where it differs from G's: (N, K') float, or None. Exclusive.

        condition_NK is G's. Called once for each update of D, for the whole batch. The result is D's condition for the
        generated images too, and in the update of G that follows. The discriminator must take K' numbers (`d_networks`
        or `discriminator`). `augment` finds it in `ctx.d_condition_NK`.
        """
        return condition_NK

    def reals(self, ctx: Context, batch: Batch, images_NCHW: Tensor) -> Tensor:
        """What D is shown as real images, before augmentation: (N, C, H, W) in [-1, 1], without a gradient.

        images_NCHW: `batch.images_NCHW`, or what the parts before this one have made of them. N must stay.
        """
        return images_NCHW

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        """A differentiable transform of everything D sees, real and generated, in [-1, 1].

        Random numbers come from `ctx.stream`, and it changes nothing in the part: the loop may apply the same
        augmentation again (`Augmentation`). What it puts into `ctx.draws` other parts can see and invert.
        """
        return images_NCHW

    def d_weights(self, ctx: Context, step: DStep) -> Weights:
        """Weights (N,) of the real and of the generated images in D's adversarial loss; None for all 1.

        The loss becomes 1/N sum of weight * term on each side: weights of mean 1 leave its size, a weight of 0 leaves
        an image out. Those of several parts multiply. No gradient passes through them. With micro-batches, called once
        for each: the N best are then those of a micro-batch. Their means are logged (`d_real_weight`,
        `d_fake_weight`) and `d_loss` is the weighted loss, the one that is trained.
        """
        return None, None

    def g_weights(self, ctx: Context, step: GStep) -> Tensor | None:
        """Weights (N,) of the generated images in G's adversarial loss, as `d_weights`; `g_weight` is logged.

        Top-k training, for example, gives N / k to the k images of the highest logits and 0 to the others.
        """
        return None

    def d_adversarial(self, ctx: Context, step: DStep) -> Tensor | None:
        """D's adversarial loss, a scalar, instead of the table's (`train.loss`); None for the table's. Exclusive.

        For losses that are no mean over single images, such as relativistic ones. Logged as `d_loss`. Not together
        with a part that weighs images.
        """
        return None

    def g_adversarial(self, ctx: Context, step: GStep) -> Tensor | None:
        """G's adversarial loss, a scalar, as `d_adversarial`; D's logits of real images are `step.real_logits()`."""
        return None

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        """Extra scalar terms of the discriminator's loss, by name, beside the adversarial one.

        Called once an update; with `train.micro_batch` once for each micro-batch, whose terms are averaged.
        A term of whole-batch statistics is then one of micro-batches.
        """
        return {}

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        """Extra scalar terms of the generator's loss, by name; with micro-batches as `d_loss`."""
        return {}

    def after_step(self, ctx: Context) -> Logged:
        """After each generator update (ADA's p, re-clustering); returns what to log.

        A scalar on the device is read when it is logged: on a GPU `float(...)` of it would wait for the step to end.
        """
        return {}

    def sampler(self, ctx: Context) -> Sampler | None:
        """How images are drawn at inference: a function (generator, z_NZ, stream) -> images NCHW. Exclusive.

        z is the engine's, so that every method is sampled at the same latents; all else comes from `stream`.
        Noise inside the network is the engine's too: it makes a noise stream active around each call.
        """
        return None

    def class_sampler(self, ctx: Context) -> ClassSampler | None:
        """How images of given classes are drawn at inference: (generator, z_NZ, label_N, stream) -> images NCHW.

        None for a part that cannot be asked for a class. Exclusive. label_N: long, on the CPU, classes of the run's
        data set that the run has been trained on. z and stream as in `sampler`.
        """
        return None

    def auxiliary(self, ctx: Context) -> Auxiliary | None:
        """A network of the part that tells apart how generated images have moved, in evaluation mode, with the run's D.

        None for a part without one. Exclusive. The measure `auxiliary` asks how often it is right.
        """
        return None

    def query_condition(self) -> QueryCondition | None:
        """How G's condition of any given image is computed: (ctx, uint8 images NHWC) -> (N, K) float. Exclusive.

        None for a part whose conditions are of its training images alone. Of a training image it gives what `condition`
        does. It is what the inversion of a test image starts from.
        """
        return None

    def trains_decoders(self) -> bool:
        """Whether D ends with decoders of its maps that were trained: the measure `reconstructions` shows them."""
        return False

    def fit(self, ctx: Context) -> Iterator[Logged]:
        """Replaces the adversarial loop (GLANN, SimCLR): a generator that yields its losses after each step.

        It starts at `ctx.step` (not at zero: runs resume) and ends after `ctx.spec.train.steps`; the engine
        checkpoints, logs and scores between two yields. A call of a network that draws noise needs
        `with noise.drawn_from(ctx.stream("noise"))` (bench.networks.common.noise). Exclusive, and no
        other part may bring a hook of the adversarial loop, which would not be called.
        """
        raise NotImplementedError  # never called: the engine asks `overrides` first

    def state_dict(self) -> dict[str, Any]:
        """All that training changes in the part itself (tensors, numbers, nested dicts)."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
