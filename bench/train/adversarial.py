"""The adversarial loop that all methods share: Algorithm 1 of DISP, with the parts' hooks at their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.networks import noise
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
        """Adam over all parameters, the attached ones too (hence after `Method.prepare`); settings are the spec's.

        A parameter without gradient is left as it is: what is frozen does not move, and a part may freeze and
        release between steps.
        """
        generator, discriminator = ctx.networks()
        train = _settings(ctx)
        adam = partial(
            torch.optim.Adam,
            betas=(train.beta1, train.beta2),
            eps=1e-8 if train.adam_eps is None else train.adam_eps,
        )
        return cls(
            adam(generator.parameters(), lr=train.g_lr), adam(discriminator.parameters(), lr=train.d_lr)
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

    With `micro_batch` each update accumulates the gradients of its equal micro-batches, divided by their number.
    z and conditions are drawn for the whole batch, so that losses which are means over images have the whole
    batch's gradient; all else is per micro-batch: batch norm's statistics, the estimate of spectral norms,
    augmentation and noise, and the parts' extra terms.
    """
    train = _settings(ctx)
    batches = Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, flip=train.flip, device=ctx.device)
    while ctx.step < train.steps:
        method.begin_step(ctx)
        updates = []
        for update in range(train.d_steps):
            batch = batches.at(ctx.step * train.d_steps + update)
            condition_NK = method.condition(ctx, batch)
            updates.append(_update_discriminator(ctx, method, optimizers.discriminator, batch, condition_NK))
        values = _means(updates)
        values |= _update_generator(ctx, method, optimizers.generator, condition_NK, len(batch.index_N))
        yield {**_floats(values), **method.after_step(ctx)}


def latents(ctx: Context, count: int) -> Tensor:
    """z ~ N(0, I) for one update, (N, Z): drawn on the CPU, so that every device sees the same."""
    generator, _ = ctx.networks()
    return torch.randn(count, int(generator.z_dim), generator=ctx.stream("latents")).to(ctx.device)  # type: ignore[arg-type]


class _Fakes(NamedTuple):
    images_NCHW: Tensor
    small_NCHW: Tensor | None  # the same images as a generator of two scales gives them to the discriminator


class _Pass(NamedTuple):
    """What one micro-batch contributes to an update."""

    adversarial: Tensor
    extra: Values
    seen: Values  # further values to log


def _update_discriminator(
    ctx: Context,
    method: Composition,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    condition_NK: Tensor | None,
) -> Values:
    generator, _ = ctx.networks()
    count = len(batch.index_N)
    size = _settings(ctx).micro_batch or count
    parts = zip(
        batch.images_NCHW.split(size),
        batch.index_N.split(size),
        latents(ctx, count).split(size),
        _split(condition_NK, size, count),
        strict=True,
    )
    passes = [
        partial(_discriminator_pass, ctx, method, Batch(images_NCHW, index_N), z_NZ, some_NK)
        for images_NCHW, index_N, z_NZ, some_NK in parts
    ]
    with _held(generator):
        return _descend(optimizer, "d", passes)


def _discriminator_pass(
    ctx: Context, method: Composition, batch: Batch, z_NZ: Tensor, condition_NK: Tensor | None
) -> _Pass:
    _, discriminator = ctx.networks()
    # One spectral normalisation a pass: within `cached` all calls of D see the same weights.
    with parametrize.cached():
        with torch.no_grad():
            fakes = _generated(ctx, z_NZ, condition_NK)
        real_NCHW = _augmented(ctx, method, batch.images_NCHW)
        fakes = _augmented_fakes(ctx, method, fakes)
        real_N, fake_N, maps = _judged(discriminator, real_NCHW, fakes, condition_NK)
        loss, _ = LOSSES[_settings(ctx).loss]
        adversarial_loss = loss(real_N, fake_N)
        step = DStep(batch, condition_NK, real_NCHW, fakes.images_NCHW, real_N, fake_N, discriminator, maps)
        extra = method.d_loss(ctx, step)
    ctx.real_logits.append(real_N.detach())
    seen = {"real_logit": real_N.detach().mean(), "fake_logit": fake_N.detach().mean()}
    return _Pass(adversarial_loss, extra, seen)


def _update_generator(
    ctx: Context,
    method: Composition,
    optimizer: torch.optim.Optimizer,
    condition_NK: Tensor | None,
    count: int,
) -> Values:
    """The generator's update: new z, the conditions of the last batch (Algorithm 1, lines 11-14)."""
    _, discriminator = ctx.networks()
    size = _settings(ctx).micro_batch or count
    parts = zip(latents(ctx, count).split(size), _split(condition_NK, size, count), strict=True)
    with _held(discriminator):
        return _descend(
            optimizer, "g", [partial(_generator_pass, ctx, method, z_NZ, some_NK) for z_NZ, some_NK in parts]
        )


def _generator_pass(ctx: Context, method: Composition, z_NZ: Tensor, condition_NK: Tensor | None) -> _Pass:
    _, discriminator = ctx.networks()
    with parametrize.cached():
        fakes = _generated(ctx, z_NZ, condition_NK)
        logits_N = _logits(discriminator, _augmented_fakes(ctx, method, fakes), condition_NK).float()
        _, loss = LOSSES[_settings(ctx).loss]
        adversarial_loss = loss(logits_N)
        extra = method.g_loss(ctx, GStep(z_NZ, condition_NK, fakes.images_NCHW, logits_N, discriminator))
    return _Pass(adversarial_loss, extra, {})


def _generated(ctx: Context, z_NZ: Tensor, condition_NK: Tensor | None) -> _Fakes:
    """G's images; at both scales where G has two outputs, and with a noise stream of their own."""
    generator, _ = ctx.networks()
    with noise.drawn_from(ctx.stream("noise")):
        if getattr(generator, "small_resolution", None) is None:
            return _Fakes(generator(z_NZ, condition_NK), None)
        return _Fakes(*generator.both_scales(z_NZ, condition_NK))  # type: ignore[operator]


def _judged(
    discriminator: nn.Module, real_NCHW: Tensor, fakes: _Fakes, condition_NK: Tensor | None
) -> tuple[Tensor, Tensor, Any]:
    """Logits of the real and of the fake images, and D's maps of the real ones or None.

    One call for both is faster, and the same where D judges each image by itself. A D whose layers look at the
    whole batch (`batch_statistics`), which gives maps or takes two scales, is called for each.
    """
    maps = None
    if (judge_with_maps := getattr(discriminator, "forward_with_maps", None)) is not None:
        real_N, maps = judge_with_maps(real_NCHW, condition_NK)
        fake_N = _logits(discriminator, fakes, condition_NK)
    elif getattr(discriminator, "batch_statistics", False) or fakes.small_NCHW is not None:
        real_N = discriminator(real_NCHW, condition_NK)
        fake_N = _logits(discriminator, fakes, condition_NK)
    else:
        both_NK = None if condition_NK is None else torch.cat([condition_NK, condition_NK])
        real_N, fake_N = discriminator(torch.cat([real_NCHW, fakes.images_NCHW]), both_NK).chunk(2)
    return real_N.float(), fake_N.float(), maps


def _logits(discriminator: nn.Module, fakes: _Fakes, condition_NK: Tensor | None) -> Tensor:
    small = {} if fakes.small_NCHW is None else {"small_NCHW": fakes.small_NCHW}
    logits_N: Tensor = discriminator(fakes.images_NCHW, condition_NK, **small)
    return logits_N


def _augmented(ctx: Context, method: Composition, images_NCHW: Tensor) -> Tensor:
    """Augmentations work in float32 whatever the networks do: coordinates and colours need the digits."""
    with torch.autocast(ctx.device.type, enabled=False):
        return method.augment(ctx, images_NCHW.float())


def _augmented_fakes(ctx: Context, method: Composition, fakes: _Fakes) -> _Fakes:
    """Each scale by itself, with random numbers of its own."""
    small_NCHW = None if fakes.small_NCHW is None else _augmented(ctx, method, fakes.small_NCHW)
    return _Fakes(_augmented(ctx, method, fakes.images_NCHW), small_NCHW)


def _split(condition_NK: Tensor | None, size: int, count: int) -> list[Tensor | None]:
    return [None] * (count // size) if condition_NK is None else list(condition_NK.split(size))


def _descend(optimizer: torch.optim.Optimizer, letter: str, passes: Sequence[Callable[[], _Pass]]) -> Values:
    """One step down the mean gradient of the passes; returns the means of what they saw, and the gradient's norm."""
    optimizer.zero_grad(set_to_none=True)
    values: list[Values] = []
    terms: list[Values] = []
    for forward in passes:
        loss, extra, seen = forward()
        total = torch.stack([loss, *extra.values()]).sum()
        (total / len(passes)).backward()
        values.append({f"{letter}_loss": loss.detach(), **seen})
        terms.append({name: value.detach() for name, value in extra.items()})
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    optimizer.step()
    return {**_means(values), f"{letter}_grad": norm, **_means(terms)}


def _means(values: list[Values]) -> Values:
    return {name: torch.stack([one[name] for one in values]).mean() for name in values[0]}


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
