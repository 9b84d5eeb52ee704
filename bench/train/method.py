"""The Method base class: a part of a method is one class that implements some of these hooks.

A row's method is an ordered composition of parts (`diffaugment + disp(prior=vgg16)`): augmentations chain,
losses add, network settings merge, and the exclusive hooks `condition`, `sampler` and `fit` belong to one
part at most. Constructor arguments are keyword-only with literal defaults: they are the settings that a table
may write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.train.context import Batch, Context, DStep, GStep

Sampler = Callable[[nn.Module, Tensor, torch.Generator], Tensor]
EXCLUSIVE = ("condition", "sampler", "fit")


class Method:
    """One part of a method. Every hook is optional; the defaults below are plain adversarial training.

    version: raise it whenever a change alters results, so that old records are not taken for new ones.
    sources: roles of the runs or weights it starts from, each with the setting that calls for it ("" for
    always): {"network": ""} for TransferGAN, {"simclr": "prior=simclr"} for DISP. A table says what fills a
    role.
    later: settings that were added after runs had been recorded. At their default, which must be what the part
    did before, they are no part of a run's identity, so that the old runs keep their names.
    """

    version: ClassVar[int] = 1
    sources: ClassVar[dict[str, str]] = {}
    later: ClassVar[tuple[str, ...]] = ()

    def networks(self, ctx: Context) -> dict[str, Any]:
        """Keyword overrides for `bench.networks.build`, e.g. {"condition_dim": 512}."""
        return {}

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

    def condition(self, ctx: Context, batch: Batch) -> Tensor | None:
        """What G and D are conditioned on for these images: (N, K) float, or None. Exclusive."""
        return None

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        """A differentiable transform of everything D sees, real and generated, in [-1, 1]."""
        return images_NCHW

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        """Extra scalar terms of the discriminator's loss, by name.

        Called once an update; with `train.micro_batch` once for each micro-batch, whose terms are averaged.
        A term of whole-batch statistics is then one of micro-batches.
        """
        return {}

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        """Extra scalar terms of the generator's loss, by name; with micro-batches as `d_loss`."""
        return {}

    def after_step(self, ctx: Context) -> dict[str, float]:
        """After each generator update (ADA's p, re-clustering); returns what to log."""
        return {}

    def sampler(self, ctx: Context) -> Sampler | None:
        """How images are drawn at inference: a function (generator, z_NZ, stream) -> images NCHW. Exclusive.

        z is the engine's, so that every method is sampled at the same latents; all else comes from `stream`.
        Noise inside the network is the engine's too: it makes a noise stream active around each call.
        """
        return None

    def fit(self, ctx: Context) -> Iterator[dict[str, float]]:
        """Replaces the adversarial loop (GLANN, SimCLR): a generator that yields its losses after each step.

        It starts at `ctx.step` (not at zero: runs resume) and ends after `ctx.spec.train.steps`; the engine
        checkpoints, logs and scores between two yields. A call of a network that draws noise needs
        `with noise.drawn_from(ctx.stream("noise"))` (bench.networks.noise). Exclusive.
        """
        raise NotImplementedError  # never called: the engine asks `overrides` first

    def state_dict(self) -> dict[str, Any]:
        """All that training changes in the part itself (tensors, numbers, nested dicts)."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""


def overrides(part: Method, hook: str) -> bool:
    """Whether a part implements `hook` itself."""
    return getattr(type(part), hook) is not getattr(Method, hook)


class Composition:
    """Parts in order, behind the hooks of one method."""

    def __init__(self, parts: Sequence[tuple[str, Method]]) -> None:
        self.parts = list(parts)
        for hook in EXCLUSIVE:
            claims = [name for name, part in self.parts if overrides(part, hook)]
            if len(claims) > 1:
                raise UserError(
                    f"methods '{claims[0]}' and '{claims[1]}' both claim the hook '{hook}', which only one "
                    "part may; leave one of them out"
                )

    def _owner(self, hook: str) -> Method | None:
        return next((part for _, part in self.parts if overrides(part, hook)), None)

    @property
    def replaces_loop(self) -> bool:
        """Whether a part trains with its own `fit`."""
        return self._owner("fit") is not None

    def networks(self, ctx: Context) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for name, part in self.parts:
            for key, value in part.networks(ctx).items():
                if key in merged and merged[key] != value:
                    raise UserError(
                        f"method '{name}' sets the network's {key} to {value}, another part to {merged[key]}"
                    )
                merged[key] = value
        return merged

    def prepare(self, ctx: Context) -> None:
        for _, part in self.parts:
            part.prepare(ctx)

    def begin_step(self, ctx: Context) -> None:
        for _, part in self.parts:
            part.begin_step(ctx)

    def condition(self, ctx: Context, batch: Batch) -> Tensor | None:
        owner = self._owner("condition")
        return owner.condition(ctx, batch) if owner else None

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        for _, part in self.parts:
            images_NCHW = part.augment(ctx, images_NCHW)
        return images_NCHW

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        return {
            f"{name}/{key}": value
            for name, part in self.parts
            for key, value in part.d_loss(ctx, step).items()
        }

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        return {
            f"{name}/{key}": value
            for name, part in self.parts
            for key, value in part.g_loss(ctx, step).items()
        }

    def after_step(self, ctx: Context) -> dict[str, float]:
        return {
            f"{name}/{key}": value for name, part in self.parts for key, value in part.after_step(ctx).items()
        }

    def sampler(self, ctx: Context) -> Sampler:
        owner = self._owner("sampler")
        found = owner.sampler(ctx) if owner else None
        return found or (lambda generator, z_NZ, stream: generator(z_NZ))

    def fit(self, ctx: Context) -> Iterator[dict[str, float]]:
        owner = self._owner("fit")
        assert owner is not None
        return owner.fit(ctx)

    def state_dict(self) -> dict[str, Any]:
        return {f"{position}.{name}": part.state_dict() for position, (name, part) in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for position, (name, part) in enumerate(self.parts):
            part.load_state_dict(state[f"{position}.{name}"])
