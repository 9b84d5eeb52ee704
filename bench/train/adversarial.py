"""The adversarial loop that all methods share: Algorithm 1 of DISP, with the parts' hooks at their places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.spec import TrainSettings
from bench.train.batches import Batches
from bench.train.context import Batch, Context, DStep, GStep
from bench.train.losses import LOSSES
from bench.train.method import Composition

Values = dict[str, Tensor]


@dataclass
class Optimizers:
    """The two Adam optimisers of a run."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer

    @classmethod
    def build(cls, ctx: Context) -> Optimizers:
        """Adam over what is trainable now, hence after `Method.prepare`; rates and betas are the spec's."""
        generator, discriminator = ctx.networks()
        train = _settings(ctx)
        betas = (train.beta1, train.beta2)
        return cls(
            torch.optim.Adam(_trainable(generator), lr=train.g_lr, betas=betas),
            torch.optim.Adam(_trainable(discriminator), lr=train.d_lr, betas=betas),
        )

    def state_dict(self) -> dict[str, Any]:
        """Both optimisers' states, for a checkpoint."""
        return {"generator": self.generator.state_dict(), "discriminator": self.discriminator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])


def adversarial(ctx: Context, method: Composition, optimizers: Optimizers) -> Iterator[dict[str, float]]:
    """DISP, Algorithm 1: `d_steps` discriminator updates, one generator update, one item of the iterator.

    The engine calls `ctx.begin_step(step)` before it asks for the next item, at the first step too; the loop
    reads `ctx.step` alone and so starts anywhere. The yielded floats are losses, mean logits, gradient norms
    and whatever the parts add; values of the discriminator are means over its updates in this step. A
    diverging run raises nothing here: its NaN is in the yielded values.
    """
    train = _settings(ctx)
    batches = Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, flip=train.flip, device=ctx.device)
    while ctx.step < train.steps:
        updates = []
        for update in range(train.d_steps):
            batch = batches.at(ctx.step * train.d_steps + update)
            condition_NK = method.condition(ctx, batch)
            updates.append(_update_discriminator(ctx, method, optimizers.discriminator, batch, condition_NK))
        values = {name: torch.stack([one[name] for one in updates]).mean() for name in updates[0]}
        values |= _update_generator(ctx, method, optimizers.generator, condition_NK, len(batch.index_N))
        yield {**_floats(values), **method.after_step(ctx)}


def latents(ctx: Context, count: int) -> Tensor:
    """z ~ N(0, I) for one update, (N, Z): drawn on the CPU, so that every device sees the same."""
    generator, _ = ctx.networks()
    return torch.randn(count, int(generator.z_dim), generator=ctx.stream("latents")).to(ctx.device)  # type: ignore[arg-type]


def _update_discriminator(
    ctx: Context,
    method: Composition,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    condition_NK: Tensor | None,
) -> Values:
    generator, discriminator = ctx.networks()
    # One spectral normalisation an update: within `cached` all calls of D see the same weights.
    with parametrize.cached():
        with torch.no_grad():
            fake_NCHW = generator(latents(ctx, len(batch.index_N)), condition_NK)
        real_NCHW = _augmented(ctx, method, batch.images_NCHW)
        fake_NCHW = _augmented(ctx, method, fake_NCHW)
        both_NK = None if condition_NK is None else torch.cat([condition_NK, condition_NK])
        real_N, fake_N = discriminator(torch.cat([real_NCHW, fake_NCHW]), both_NK).float().chunk(2)
        loss, _ = LOSSES[_settings(ctx).loss]
        adversarial_loss = loss(real_N, fake_N)
        step = DStep(batch, condition_NK, real_NCHW, fake_NCHW, real_N, fake_N, discriminator)
        extra = method.d_loss(ctx, step)
    norm = _descend(optimizer, adversarial_loss, extra)
    ctx.real_logits.append(real_N.detach())
    return {
        "d_loss": adversarial_loss.detach(),
        "real_logit": real_N.detach().mean(),
        "fake_logit": fake_N.detach().mean(),
        "d_grad": norm,
        **{name: value.detach() for name, value in extra.items()},
    }


def _update_generator(
    ctx: Context,
    method: Composition,
    optimizer: torch.optim.Optimizer,
    condition_NK: Tensor | None,
    count: int,
) -> Values:
    """The generator's update: new z, the conditions of the last batch (Algorithm 1, lines 11-14)."""
    generator, discriminator = ctx.networks()
    with _held(discriminator):
        with parametrize.cached():
            z_NZ = latents(ctx, count)
            images_NCHW = generator(z_NZ, condition_NK)
            logits_N = discriminator(_augmented(ctx, method, images_NCHW), condition_NK).float()
            _, loss = LOSSES[_settings(ctx).loss]
            adversarial_loss = loss(logits_N)
            extra = method.g_loss(ctx, GStep(z_NZ, condition_NK, images_NCHW, logits_N, discriminator))
        norm = _descend(optimizer, adversarial_loss, extra)
    return {
        "g_loss": adversarial_loss.detach(),
        "g_grad": norm,
        **{name: value.detach() for name, value in extra.items()},
    }


def _augmented(ctx: Context, method: Composition, images_NCHW: Tensor) -> Tensor:
    """Augmentations work in float32 whatever the networks do: coordinates and colours need the digits."""
    with torch.autocast(ctx.device.type, enabled=False):
        return method.augment(ctx, images_NCHW.float())


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, extra: Values) -> Tensor:
    """One step down the gradient of loss + extra terms; returns the gradient's norm."""
    optimizer.zero_grad(set_to_none=True)
    torch.stack([loss, *extra.values()]).sum().backward()
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    optimizer.step()
    return norm


@contextmanager
def _held(network: nn.Module) -> Iterator[None]:
    """Gradients flow through `network` but not into it; what was frozen before stays frozen after."""
    held = _trainable(network)
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _settings(ctx: Context) -> TrainSettings:
    assert ctx.spec.train is not None, "a run without training has no loop"
    return ctx.spec.train


def _trainable(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _floats(values: Values) -> dict[str, float]:
    """All values at once: a device is waited for once a step, not once a value."""
    return dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))
