"""The adversarial loop that all methods share: Algorithm 1 of DISP, with the parts' hooks at their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.contract.composition import Composition
from bench.contract.context import Augmentation, Batch, Context, DStep, GStep
from bench.spec.run import TrainSettings
from bench.train.batches import Batches
from bench.train.losses import LOSSES, AdversarialLoss, hinge_with_margins
from bench.train.seen import Fakes, augmented, augmented_fakes, generated, judged, logits_of

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

    A part may select or reweigh images, replace a loss, what is shown as real, what D is told, or D itself
    (bench.contract.base); without such a part nothing below differs from Algorithm 1.

    The engine calls `ctx.begin_step(step)` before it asks for the next item, at the first step too; the loop
    reads `ctx.step` alone and so starts anywhere. The yielded floats are losses, mean logits, gradient norms
    and whatever the parts add; values of the discriminator are means over its updates in this step. A
    diverging run raises nothing here: its NaN is in the yielded values.

    With `micro_batch` each update accumulates the gradients of its equal micro-batches, divided by their number.
    z and conditions are drawn for the whole batch, so that losses which are means over images have the whole
    batch's gradient; all else is per micro-batch: batch norm's statistics, the estimate of spectral norms,
    augmentation and noise, and the parts' extra terms.

    With `share_fakes` G's update draws nothing: it goes through the images that D's last update saw, by the D that
    this update has made, as FastGAN's released code does. G's graphs of all micro-batches are then kept meanwhile.
    """
    train = _settings(ctx)
    batches = Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, flip=train.flip, device=ctx.device)
    while ctx.step < train.steps:
        method.begin_step(ctx)
        updates = []
        for update in range(train.d_steps):
            given = _given(ctx, method, batches.at(ctx.step * train.d_steps + update))
            shared = train.share_fakes is True and update == train.d_steps - 1
            seen, made = _update_discriminator(ctx, method, optimizers.discriminator, given, shared=shared)
            updates.append(seen)
        values = _means(updates)
        values |= _update_generator(ctx, method, optimizers.generator, given, made)
        yield {**_floats(values), **method.after_step(ctx)}


def latents(ctx: Context, count: int) -> Tensor:
    """z ~ N(0, I) for one update, (N, Z): drawn on the CPU, so that every device sees the same."""
    generator, _ = ctx.networks()
    return torch.randn(count, generator.z_dim, generator=ctx.stream("latents")).to(ctx.device)


class _Given(NamedTuple):
    """What an update, or one of its micro-batches, is given beside z."""

    batch: Batch
    condition_NK: Tensor | None
    d_condition_NK: Tensor | None

    def split(self, size: int) -> list[_Given]:
        """Micro-batches of `size` images."""
        images, index = self.batch.images_NCHW.split(size), self.batch.index_N.split(size)
        conditions = (_split(one, size, len(images)) for one in (self.condition_NK, self.d_condition_NK))
        return [_Given(Batch(*one), *two) for *one, two in zip(images, index, zip(*conditions), strict=True)]


class _Pass(NamedTuple):
    """What one micro-batch contributes to an update."""

    adversarial: Tensor
    extra: Values
    seen: Values  # further values to log


class _Made(NamedTuple):
    """Generated images of one micro-batch with the graph that leads back to G, and what D saw of them."""

    z_NZ: Tensor
    fakes: Fakes
    seen: Fakes
    augmentation: Augmentation


def _given(ctx: Context, method: Composition, batch: Batch) -> _Given:
    condition_NK = method.condition(ctx, batch)
    return _Given(batch, condition_NK, method.d_condition(ctx, batch, condition_NK))


def _update_discriminator(
    ctx: Context, method: Composition, optimizer: torch.optim.Optimizer, given: _Given, *, shared: bool
) -> tuple[Values, list[_Made]]:
    """One update of D, and where they are to be shared the images that it saw, one item a micro-batch."""
    generator, _ = ctx.networks()
    parts = _parts(ctx, given)
    made: list[_Made] = []
    # With their graph they are made while G's parameters are not held.
    fakes = [_with_graph(ctx, z_NZ, some) if shared else None for z_NZ, some in parts]
    passes = [
        partial(_discriminator_pass, ctx, method, z_NZ, some, one, made)
        for (z_NZ, some), one in zip(parts, fakes, strict=True)
    ]
    with _held(generator):
        return _descend(optimizer, "d", passes), made


def _update_generator(
    ctx: Context, method: Composition, optimizer: torch.optim.Optimizer, given: _Given, made: list[_Made]
) -> Values:
    """The generator's update: new z, the conditions of the last batch (Algorithm 1, lines 11-14); or what was made."""
    _, discriminator = ctx.networks()
    if made:
        passes = [
            partial(_generator_pass, ctx, method, one.z_NZ, some, one)
            for one, some in zip(made, given.split(len(made[0].z_NZ)), strict=True)
        ]
    else:
        passes = [partial(_generator_pass, ctx, method, z_NZ, some) for z_NZ, some in _parts(ctx, given)]
    with _held(discriminator):
        return _descend(optimizer, "g", passes)


def _parts(ctx: Context, given: _Given) -> list[tuple[Tensor, _Given]]:
    """The micro-batches of one update, with z drawn for the whole batch."""
    count = len(given.batch.index_N)
    size = _settings(ctx).micro_batch or count
    return list(zip(latents(ctx, count).split(size), given.split(size), strict=True))


def _with_graph(ctx: Context, z_NZ: Tensor, given: _Given) -> Fakes:
    with parametrize.cached():
        return generated(ctx, z_NZ, given.condition_NK)


def _discriminator_pass(
    ctx: Context, method: Composition, z_NZ: Tensor, given: _Given, shared: Fakes | None, made: list[_Made]
) -> _Pass:
    """shared: images with the graph that leads back to G, which go to `made` with what D saw of them."""
    _, discriminator = ctx.networks()
    batch, condition_NK, d_condition_NK = given
    # One spectral normalisation a pass: within `cached` all calls of D see the same weights.
    with parametrize.cached():
        fakes = shared
        if fakes is None:
            with torch.no_grad():
                fakes = generated(ctx, z_NZ, condition_NK)
        raw_NCHW = method.reals(ctx, batch)
        real_NCHW, real_augmentation = augmented(ctx, method, raw_NCHW)
        fakes, fake_augmentation = augmented_fakes(ctx, method, fakes)
        if shared is not None:
            made.append(_Made(z_NZ, shared, fakes, fake_augmentation))
            fakes = fakes.detached()
        real_N, fake_N, maps = judged(discriminator, real_NCHW, fakes, d_condition_NK)
        step = DStep(
            batch,
            d_condition_NK,
            real_NCHW,
            fakes.images_NCHW,
            real_N,
            fake_N,
            discriminator,
            maps,
            condition_NK,
            real_augmentation,
            fake_augmentation,
            raw_NCHW,
        )
        loss, weights = _d_adversarial(ctx, method, step)
        extra = method.d_loss(ctx, step)
    ctx.real_logits.append(real_N.detach())
    seen = {"real_logit": real_N.detach().mean(), "fake_logit": fake_N.detach().mean(), **weights}
    return _Pass(loss, extra, seen)


def _generator_pass(
    ctx: Context, method: Composition, z_NZ: Tensor, given: _Given, made: _Made | None = None
) -> _Pass:
    """made: the images to go through, in place of new ones."""
    _, discriminator = ctx.networks()
    batch, condition_NK, d_condition_NK = given

    @cache
    def real_logits() -> Tensor:
        with torch.no_grad():
            real_NCHW, _ = augmented(ctx, method, method.reals(ctx, batch))
            return logits_of(discriminator, Fakes(real_NCHW, None), d_condition_NK).float()

    with parametrize.cached():
        if made is None:
            fakes = generated(ctx, z_NZ, condition_NK)
            seen, augmentation = augmented_fakes(ctx, method, fakes)
        else:
            _, fakes, seen, augmentation = made
        logits_N = logits_of(discriminator, seen, d_condition_NK).float()
        step = GStep(
            z_NZ,
            condition_NK,
            fakes.images_NCHW,
            logits_N,
            discriminator,
            d_condition_NK,
            batch,
            real_logits,
            augmentation,
        )
        loss, weights = _g_adversarial(ctx, method, step)
        extra = method.g_loss(ctx, step)
    return _Pass(loss, extra, weights)


def _d_adversarial(ctx: Context, method: Composition, step: DStep) -> tuple[Tensor, Values]:
    """D's adversarial loss as the parts weigh or replace it, and the mean weights to log."""
    if (replaced := method.d_adversarial(ctx, step)) is not None:
        return replaced, {}
    real_N, fake_N = method.d_weights(ctx, step)
    loss = _d_side(ctx, step)
    value = loss.discriminator(step.real_logits_N, step.fake_logits_N, real_N, fake_N)
    return value, _mean_weights(d_real_weight=real_N, d_fake_weight=fake_N)


def _d_side(ctx: Context, step: DStep) -> AdversarialLoss:
    """The loss that the settings ask for, with margins drawn for these very logits where they ask for that."""
    train = _settings(ctx)
    if train.hinge_margin is None:
        return LOSSES[train.loss]
    least = train.hinge_margin
    margins = [
        least + (1 - least) * torch.rand(logits_N.shape, generator=ctx.stream("hinge-margin")).to(ctx.device)
        for logits_N in (step.real_logits_N, step.fake_logits_N)
    ]
    return hinge_with_margins(*margins)


def _g_adversarial(ctx: Context, method: Composition, step: GStep) -> tuple[Tensor, Values]:
    """G's adversarial loss, likewise."""
    if (replaced := method.g_adversarial(ctx, step)) is not None:
        return replaced, {}
    weights_N = method.g_weights(ctx, step)
    value = LOSSES[_settings(ctx).loss].generator(step.logits_N, weights_N)
    return value, _mean_weights(g_weight=weights_N)


def _mean_weights(**weights: Tensor | None) -> Values:
    return {name: value.detach().float().mean() for name, value in weights.items() if value is not None}


def _split(condition_NK: Tensor | None, size: int, parts: int) -> list[Tensor | None]:
    return [None] * parts if condition_NK is None else list(condition_NK.split(size))


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
