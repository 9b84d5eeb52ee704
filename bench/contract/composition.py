"""The parts of a method behind one set of hooks, in order, and which parts cannot be combined."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.contract.base import Auxiliary, ClassSampler, Logged, Method, QueryCondition, Sampler, Weights
from bench.contract.context import Batch, Context, DStep, GStep
from bench.contract.discovery import methods
from bench.contract.signature import source_digest
from bench.errors import UserError
from bench.files.source_code import module_file
from bench.spec.run import Part

# Hooks that one part at most may have. Two selections would depend on the order of the parts (does the second see all
# images, or those of the first?), and of two discriminators one would be thrown away.
EXCLUSIVE = (
    "select",
    "discriminator",
    "condition",
    "d_condition",
    "d_adversarial",
    "g_adversarial",
    "sampler",
    "class_sampler",
    "auxiliary",
    "query_condition",
    "fit",
)
# The hooks that the adversarial loop alone calls
LOOP = (
    "begin_step",
    "variant",
    "condition",
    "d_condition",
    "reals",
    "augment",
    "d_weights",
    "g_weights",
    "d_adversarial",
    "g_adversarial",
    "d_loss",
    "g_loss",
    "after_step",
)


def overrides(part: Method, hook: str) -> bool:
    """Whether a part implements `hook` itself."""
    return getattr(type(part), hook) is not getattr(Method, hook)


def positions(chosen: Any, count: int, name: str) -> np.ndarray:
    """The positions (M,) of some of `count` images, int64 and ascending.

    Raises ValueError that names the method for anything else.
    """
    chosen_M = np.asarray(chosen.cpu() if isinstance(chosen, Tensor) else chosen)
    what = f"method '{name}': select"
    if chosen_M.ndim != 1 or not np.issubdtype(chosen_M.dtype, np.integer):
        raise ValueError(
            f"{what} gives {chosen_M.dtype} of shape {chosen_M.shape}, must be whole numbers (M,): the positions of "
            "the images to train on (of a mask: np.flatnonzero)"
        )
    if not len(chosen_M):
        raise ValueError(f"{what} leaves none of the {count} training images")
    if chosen_M.min() < 0 or chosen_M.max() >= count:
        raise ValueError(f"{what} gives positions {chosen_M.min()} to {chosen_M.max()}, must lie in 0 to {count - 1}")
    unique_M = np.unique(chosen_M).astype(np.int64)
    if len(unique_M) < len(chosen_M):
        raise ValueError(f"{what} gives a position twice; let d_weights say what counts more")
    return unique_M


def _check_images(ctx: Context, images: np.ndarray, name: str, hook: str) -> None:
    if ctx.images_u8_NHWC is not images:
        raise ValueError(
            f"method '{name}' replaces the training images in {hook}, where other parts may have counted them "
            "already: return positions from select, or change what D sees in reals"
        )


def _merged(options: Mapping[str, Mapping[str, Any]], network: str) -> dict[str, Any]:
    """The network options of the parts, by their names. UserError where two of them differ in one."""
    merged: dict[str, Any] = {}
    for name, own in options.items():
        for key, value in own.items():
            if key in merged and merged[key] != value:
                raise UserError(f"method '{name}' sets the {network}'s {key} to {value}, another part to {merged[key]}")
            merged[key] = value
    return merged


def _product(weights: Sequence[Tensor | None]) -> Tensor | None:
    factors = [weight for weight in weights if weight is not None]
    return reduce(torch.mul, factors) if factors else None


class Composition:
    """Parts in order, behind the hooks of one method."""

    def __init__(self, parts: Sequence[tuple[str, Method]]) -> None:
        self.parts = list(parts)
        for hook in EXCLUSIVE:
            if len(claims := self._claims(hook)) > 1:
                raise UserError(
                    f"methods '{claims[0]}' and '{claims[1]}' both claim the hook '{hook}', which only one "
                    "part may; leave one of them out"
                )
        for side in ("d", "g"):
            replacing, weighing = self._claims(f"{side}_adversarial"), self._claims(f"{side}_weights")
            if replacing and weighing:
                raise UserError(
                    f"method '{weighing[0]}' weighs images ({side}_weights) in a loss that method '{replacing[0]}' "
                    f"replaces ({side}_adversarial); leave one of them out"
                )
        self._refuse_hooks_of_a_loop_that_does_not_run()

    def _refuse_hooks_of_a_loop_that_does_not_run(self) -> None:
        """UserError for hooks of the adversarial loop beside a part with its own `fit`: nothing would call them."""
        for owner in self._claims("fit"):
            for name, part in self.parts:
                idle = [hook for hook in LOOP if overrides(part, hook)]
                if idle and name != owner:
                    raise UserError(
                        f"method '{owner}' trains without the adversarial loop, so '{name}' could not do its part "
                        f"({', '.join(idle)}); leave one of them out"
                    )

    def _claims(self, hook: str) -> list[str]:
        return [name for name, part in self.parts if overrides(part, hook)]

    def _owner(self, hook: str) -> Method | None:
        return next((part for _, part in self.parts if overrides(part, hook)), None)

    def has(self, hook: str) -> bool:
        """Whether a part implements `hook`."""
        return self._owner(hook) is not None

    @property
    def replaces_loop(self) -> bool:
        """Whether a part trains with its own `fit`."""
        return self.has("fit")

    def select(self, ctx: Context) -> np.ndarray | None:
        """The chosen positions, ascending; None for all. ValueError for positions outside the training images."""
        owner = self._owner("select")
        chosen = owner.select(ctx) if owner else None
        return None if chosen is None else positions(chosen, len(ctx.images_u8_NHWC), self._claims("select")[0])

    def discriminator(self, ctx: Context, discriminator: nn.Module) -> nn.Module:
        """D as the part that has this hook wraps it; D itself without one."""
        owner = self._owner("discriminator")
        return owner.discriminator(ctx, discriminator) if owner else discriminator

    def networks(self, ctx: Context) -> dict[str, Any]:
        """The network options of all parts. UserError where two parts set one option to different values."""
        options: dict[str, dict[str, Any]] = {}
        images = ctx.images_u8_NHWC
        for name, part in self.parts:
            options[name] = part.networks(ctx)
            _check_images(ctx, images, name, "networks")
        return _merged(options, "network")

    def d_networks(self, ctx: Context, options: Mapping[str, Any]) -> dict[str, Any]:
        """All parts' options of D alone, which has `options` beside. UserError where two parts differ in one."""
        return _merged({name: part.d_networks(ctx, options) for name, part in self.parts}, "discriminator")

    def prepare(self, ctx: Context) -> None:
        """Every part's, in order; none may replace the training images."""
        images = ctx.images_u8_NHWC
        for name, part in self.parts:
            part.prepare(ctx)
            _check_images(ctx, images, name, "prepare")

    def begin_step(self, ctx: Context) -> None:
        """Every part's, in order."""
        for _, part in self.parts:
            part.begin_step(ctx)

    def variant(self, ctx: Context) -> tuple[Hashable, ...]:
        """Every part's, in order."""
        return tuple(part.variant(ctx) for _, part in self.parts)

    def not_in_graphs(self) -> list[tuple[str, str]]:
        """The parts whose updates `train.graphs` cannot record, and why."""
        return [(name, part.in_graphs) for name, part in self.parts if part.in_graphs is not True]

    def condition(self, ctx: Context, batch: Batch) -> Tensor | None:
        """G's condition (N, K), of the part that has one; None without."""
        owner = self._owner("condition")
        return owner.condition(ctx, batch) if owner else None

    def d_condition(self, ctx: Context, batch: Batch, condition_NK: Tensor | None) -> Tensor | None:
        """D's condition: what a part makes of G's, or G's itself."""
        owner = self._owner("d_condition")
        return owner.d_condition(ctx, batch, condition_NK) if owner else condition_NK

    def reals(self, ctx: Context, batch: Batch) -> Tensor:
        """What D is shown as real of a batch, before augmentation. ValueError for another shape than the batch's."""
        images_NCHW = batch.images_NCHW
        for name, part in self.parts:
            images_NCHW = part.reals(ctx, batch, images_NCHW)
            if images_NCHW.shape != batch.images_NCHW.shape:
                raise ValueError(
                    f"method '{name}': reals gives shape {tuple(images_NCHW.shape)}, must be "
                    f"{tuple(batch.images_NCHW.shape)}"
                )
        return images_NCHW.detach()

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        """All augmentations in order; afterwards `ctx.draws` has what they drew, by "part/name"."""
        drawn: dict[str, Tensor] = {}
        for name, part in self.parts:
            ctx.draws = {}
            images_NCHW = part.augment(ctx, images_NCHW)
            drawn |= {f"{name}/{key}": value for key, value in ctx.draws.items()}
        ctx.draws = drawn
        return images_NCHW

    def d_weights(self, ctx: Context, step: DStep) -> Weights:
        """The products of the parts' weights of real and of generated images; None where no part weighs them."""
        pairs = [part.d_weights(ctx, step) for _, part in self.parts]
        return _product([real for real, _ in pairs]), _product([fake for _, fake in pairs])

    def g_weights(self, ctx: Context, step: GStep) -> Tensor | None:
        """The product of the parts' weights (N,) of generated images; None where no part weighs them."""
        return _product([part.g_weights(ctx, step) for _, part in self.parts])

    def d_adversarial(self, ctx: Context, step: DStep) -> Tensor | None:
        """The loss of the part that replaces D's adversarial one; None without such a part."""
        owner = self._owner("d_adversarial")
        return owner.d_adversarial(ctx, step) if owner else None

    def g_adversarial(self, ctx: Context, step: GStep) -> Tensor | None:
        """The loss of the part that replaces G's adversarial one; None without such a part."""
        owner = self._owner("g_adversarial")
        return owner.g_adversarial(ctx, step) if owner else None

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        """Every part's terms of D's loss, by "part/term"."""
        return {f"{name}/{key}": value for name, part in self.parts for key, value in part.d_loss(ctx, step).items()}

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        """Every part's terms of G's loss, by "part/term"."""
        return {f"{name}/{key}": value for name, part in self.parts for key, value in part.g_loss(ctx, step).items()}

    def after_step(self, ctx: Context) -> Logged:
        """What every part logs after a step, by "part/name"."""
        return {f"{name}/{key}": value for name, part in self.parts for key, value in part.after_step(ctx).items()}

    def sampler(self, ctx: Context) -> Sampler:
        """The sampler of the part that has one; else G of a latent, without a condition."""
        owner = self._owner("sampler")
        sampler = owner.sampler(ctx) if owner else None
        return sampler or (lambda generator, z_NZ, stream: generator(z_NZ))

    def class_sampler(self, ctx: Context) -> ClassSampler | None:
        """The sampler of given classes, of the part that has one; None where none can be asked for a class."""
        owner = self._owner("class_sampler")
        return owner.class_sampler(ctx) if owner else None

    def auxiliary(self, ctx: Context) -> Auxiliary | None:
        """The network that tells steps in z apart, of the part that has one; None where none has."""
        owner = self._owner("auxiliary")
        return owner.auxiliary(ctx) if owner else None

    def query_condition(self) -> QueryCondition | None:
        """How G's condition of any given image is computed; None where the method cannot."""
        owner = self._owner("query_condition")
        return owner.query_condition() if owner else None

    def trains_decoders(self) -> bool:
        """Whether D ends with decoders of its maps that were trained."""
        return any(part.trains_decoders() for _, part in self.parts)

    def fit(self, ctx: Context) -> Iterator[Logged]:
        """The loop of the part that replaces the adversarial one; there must be one (`replaces_loop`)."""
        owner = self._owner("fit")
        assert owner is not None
        return owner.fit(ctx)

    def state_dict(self) -> dict[str, Any]:
        """Every part's state, by its position and name."""
        return {f"{position}.{name}": part.state_dict() for position, (name, part) in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give every part its state of `state_dict`."""
        for position, (name, part) in enumerate(self.parts):
            part.load_state_dict(state[f"{position}.{name}"])


def build_method(parts: tuple[Part, ...]) -> Composition:
    """The composition of the parts, imported and constructed.

    Raises UserError for bad values, and for a part whose code has changed since the run was planned.
    """
    built = []
    for part in parts:
        target = methods().entry(part.name).target
        if part.source is not None and part.source != source_digest(target):
            module = target.partition(":")[0]
            raise UserError(
                f"method '{part.name}': its source ({module_file(module)}, or a file that it imports) is not the "
                "one that this run was planned with; plan it again: with other code it is another run"
            )
        try:
            built.append((part.name, methods().load(part.name)(**part.settings)))
        except (TypeError, ValueError) as error:
            raise UserError(f"method '{part.name}': {error}") from error
    return Composition(built)
