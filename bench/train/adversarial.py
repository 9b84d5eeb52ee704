"""The adversarial loop that all methods share: Algorithm 1 of DISP, with the parts' hooks at their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.contract.base import Logged
from bench.contract.composition import Composition
from bench.contract.context import Augmentation, Batch, Context, DStep, GStep
from bench.networks.common.sharing import Share, sharing
from bench.train.adversarial_terms import discriminator_loss, generator_loss
from bench.train.batches import Batches
from bench.train.graphs import Graphs, Values, on_gpu
from bench.train.joint import gather_logits, share_of, sum_gradients
from bench.train.optimizers import Optimizers
from bench.train.seen import Fakes, augmented, augmented_fakes, discriminate, generated, logits_of


def adversarial(ctx: Context, method: Composition, optimizers: Optimizers) -> Iterator[Logged]:
    """DISP, Algorithm 1: `d_steps` discriminator updates, one generator update, one item of the iterator.

    A part may select or reweigh images, replace a loss, the real images that D sees, D's condition, or D itself
    (bench.contract.base). Without such a part nothing below differs from Algorithm 1.

    The engine calls `ctx.begin_step(step)` before it asks for the next item, at the first step too. The loop
    reads `ctx.step` alone and so starts anywhere. Closing the iterator ends the thread that reads images ahead. The
    yielded values are losses, mean logits, gradient norms and whatever the parts add, scalars on the device: nothing
    here waits for it. Values of the discriminator are means over its updates in this step. A diverging run raises
    nothing here: its NaN is in the yielded values.

    With `micro_batch` each update accumulates the gradients of its equal micro-batches, divided by their number.
    z and conditions are drawn for the whole batch, so that losses which are means over images have the whole
    batch's gradient. All else is per micro-batch: batch norm's statistics, the estimate of spectral norms,
    augmentation and noise, and the parts' extra terms.

    With `g_batch` an update of G has a multiple of the images of one of D: as many latents, and the conditions of D's
    last batch several times over.

    With `share_fakes` G's update draws nothing. It takes the images that D's last update saw and judges them by the D
    after that update, as FastGAN's released code does. Until then the graphs of all micro-batches stay in memory.
    """
    train = ctx.train
    updates = partial(make_updates, ctx, method, optimizers)
    with Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, flip=train.flip, device=ctx.device) as batches:
        graphs = Graphs(ctx, method, batches, updates, on_gpu(ctx.device)) if train.graphs else None
        while ctx.step < train.steps:
            method.begin_step(ctx)
            if graphs is not None:
                values = graphs.make()
            else:
                values = updates(lambda update: batches.at(ctx.step * train.d_steps + update))
            yield {**values, **method.after_step(ctx)}


def make_updates(ctx: Context, method: Composition, optimizers: Optimizers, batch_of: Callable[[int], Batch]) -> Values:
    """D's updates of a step, each on its own batch and conditions, then G's; what the engine logs of both."""
    train = ctx.train
    seen: list[Values] = []
    for update in range(train.d_steps):
        inputs = _inputs(ctx, method, batch_of(update))
        share = train.share_fakes is True and update == train.d_steps - 1
        values, shared = _update_discriminator(ctx, method, optimizers.discriminator, inputs, share=share)
        seen.append(values)
    values = _means(seen) | _update_generator(ctx, method, optimizers.generator, inputs, shared)
    if ctx.ranks.size > 1 and method.has("after_step"):
        ctx.real_logits = gather_logits(ctx, ctx.real_logits)
    return values


def latents(ctx: Context, count: int) -> Tensor:
    """z ~ N(0, I) for one update, (N, Z): drawn on the CPU, so that every device sees the same."""
    generator, _ = ctx.networks()
    return ctx.numbers("latents").normal(count, generator.z_dim)


class _Inputs(NamedTuple):
    """What goes into an update, or into one of its micro-batches, beside z.

    share: which images of the micro-batch these are, where several ranks share it.
    """

    batch: Batch
    condition_NK: Tensor | None
    d_condition_NK: Tensor | None
    share: Share | None = None

    @property
    def seen(self) -> Batch:
        """The batch as the hooks of a pass see it: with G's condition."""
        return replace(self.batch, condition_NK=self.condition_NK)

    def split(self, size: int) -> list[_Inputs]:
        """Micro-batches of `size` images."""
        images, index = self.batch.images_NCHW.split(size), self.batch.index_N.split(size)
        conditions = (
            _split(condition_NK, size, len(images)) for condition_NK in (self.condition_NK, self.d_condition_NK)
        )
        return [_Inputs(Batch(*batch), *pair) for *batch, pair in zip(images, index, zip(*conditions), strict=True)]

    def repeated(self, times: int) -> _Inputs:
        """The same `times` in a row, for an update of G that has more images than one of D."""
        if times == 1:
            return self
        batch = Batch(self.batch.images_NCHW.repeat(times, 1, 1, 1), self.batch.index_N.repeat(times))
        given_NK, seen_NK = (
            None if one is None else one.repeat(times, 1) for one in (self.condition_NK, self.d_condition_NK)
        )
        return _Inputs(batch, given_NK, seen_NK)

    def own(self, share: Share | None) -> _Inputs:
        """Of a whole micro-batch, what is this rank's."""
        if share is None:
            return self
        batch = Batch(share.own(self.batch.images_NCHW), share.own(self.batch.index_N))
        given_NK, seen_NK = (
            None if one is None else share.own(one) for one in (self.condition_NK, self.d_condition_NK)
        )
        return _Inputs(batch, given_NK, seen_NK, share)


class _Pass(NamedTuple):
    """What one micro-batch contributes to an update: of all of it, or of the share of it that is this rank's."""

    adversarial: Tensor
    extra: Values
    seen: Values  # further values to log
    share: Share | None


class _Shared(NamedTuple):
    """Generated images of one micro-batch with the graph that leads back to G, and what D saw of them."""

    z_NZ: Tensor
    inputs: _Inputs
    fakes: Fakes
    seen: Fakes
    augmentation: Augmentation


def _inputs(ctx: Context, method: Composition, batch: Batch) -> _Inputs:
    condition_NK = method.condition(ctx, batch)
    return _Inputs(batch, condition_NK, method.d_condition(ctx, batch, condition_NK))


def _update_discriminator(
    ctx: Context, method: Composition, optimizer: torch.optim.Optimizer, inputs: _Inputs, *, share: bool
) -> tuple[Values, list[_Shared]]:
    """One update of D; with `share` also the generated images that it saw, one item a micro-batch."""
    generator, _ = ctx.networks()
    parts = _micro_batches(ctx, inputs)
    shared: list[_Shared] = []
    # Images with a graph are made here, before G's parameters are frozen.
    fakes = [_with_graph(ctx, z_NZ, part) if share else None for z_NZ, part in parts]
    passes = [
        partial(_discriminator_pass, ctx, method, z_NZ, part, with_graph, shared)
        for (z_NZ, part), with_graph in zip(parts, fakes, strict=True)
    ]
    with _frozen(generator):
        return _descend(ctx, optimizer, "d", passes), shared


def _update_generator(
    ctx: Context,
    method: Composition,
    optimizer: torch.optim.Optimizer,
    inputs: _Inputs,
    shared: list[_Shared],
) -> Values:
    """One update of G: new z and the conditions of the last batch (Algorithm 1, lines 11-14), or D's shared images."""
    _, discriminator = ctx.networks()
    inputs = inputs.repeated((ctx.train.g_batch or ctx.train.batch) // ctx.train.batch)
    if shared:
        passes = [partial(_generator_pass, ctx, method, one.z_NZ, one.inputs, one) for one in shared]
    else:
        passes = [partial(_generator_pass, ctx, method, z_NZ, part) for z_NZ, part in _micro_batches(ctx, inputs)]
    with _frozen(discriminator):
        return _descend(ctx, optimizer, "g", passes)


def _micro_batches(ctx: Context, inputs: _Inputs) -> list[tuple[Tensor, _Inputs]]:
    """The micro-batches of one update, with z drawn for the whole batch; of each what is this rank's."""
    count = len(inputs.batch.index_N)
    size = ctx.train.micro_batch or count
    share = share_of(ctx, size)
    parts = zip(latents(ctx, count).split(size), inputs.split(size), strict=True)
    return [(z_NZ if share is None else share.own(z_NZ), part.own(share)) for z_NZ, part in parts]


def _with_graph(ctx: Context, z_NZ: Tensor, inputs: _Inputs) -> Fakes:
    with sharing(inputs.share), parametrize.cached():
        return generated(ctx, z_NZ, inputs.condition_NK)


def _discriminator_pass(
    ctx: Context,
    method: Composition,
    z_NZ: Tensor,
    inputs: _Inputs,
    with_graph: Fakes | None,
    shared: list[_Shared],
) -> _Pass:
    """D's loss on one micro-batch, and the values to log.

    with_graph: generated images with the graph that leads back to G; they go to `shared` with what D saw of them.
    """
    _, discriminator = ctx.networks()
    batch, (_, condition_NK, d_condition_NK, share) = inputs.seen, inputs
    # One spectral normalisation a pass: within `cached` all calls of D see the same weights.
    with sharing(share), parametrize.cached():
        # Generated images, without a graph unless G's update goes through the same.
        fakes = with_graph
        if fakes is None:
            with torch.no_grad():
                fakes = generated(ctx, z_NZ, condition_NK)

        # What D sees: real and generated images, augmented.
        raw_NCHW, raw_fake_NCHW = method.reals(ctx, batch), fakes.images_NCHW.detach().float()
        real_NCHW, real_augmentation = augmented(ctx, method, raw_NCHW, d_condition_NK)
        fakes, fake_augmentation = augmented_fakes(ctx, method, fakes, d_condition_NK)
        if with_graph is not None:
            shared.append(_Shared(z_NZ, inputs, with_graph, fakes, fake_augmentation))
            fakes = fakes.detached()

        # Its logits, the adversarial term, and the parts' terms.
        real_N, fake_N, maps = discriminate(discriminator, real_NCHW, fakes, d_condition_NK)
        step = DStep(
            batch=batch,
            condition_NK=d_condition_NK,
            real_NCHW=real_NCHW,
            fake_NCHW=fakes.images_NCHW,
            real_logits_N=real_N,
            fake_logits_N=fake_N,
            discriminate=discriminator,
            maps=maps,
            g_condition_NK=condition_NK,
            z_NZ=z_NZ,
            real_augmentation=real_augmentation,
            fake_augmentation=fake_augmentation,
            raw_NCHW=raw_NCHW,
            raw_fake_NCHW=raw_fake_NCHW,
        )
        loss, weights = discriminator_loss(ctx, method, step)
        extra = method.d_loss(ctx, step)
    ctx.real_logits.append(real_N.detach())
    seen = {"real_logit": real_N.detach().mean(), "fake_logit": fake_N.detach().mean(), **weights}
    return _Pass(loss, extra, seen, share)


def _generator_pass(
    ctx: Context, method: Composition, z_NZ: Tensor, inputs: _Inputs, shared: _Shared | None = None
) -> _Pass:
    """G's loss on one micro-batch. shared: D's generated images, to be used in place of new ones."""
    _, discriminator = ctx.networks()
    batch, (_, condition_NK, d_condition_NK, share) = inputs.seen, inputs

    @cache
    def real_logits() -> Tensor:
        with torch.no_grad():
            real_NCHW, _ = augmented(ctx, method, method.reals(ctx, batch), d_condition_NK)
            return logits_of(discriminator, Fakes(real_NCHW, None), d_condition_NK).float()

    with sharing(share), parametrize.cached():
        # Generated images with their graph, and what D sees of them: augmented.
        if shared is None:
            fakes = generated(ctx, z_NZ, condition_NK)
            seen, augmentation = augmented_fakes(ctx, method, fakes, d_condition_NK)
        else:
            _, _, fakes, seen, augmentation = shared

        # D's logits, the adversarial term, and the parts' terms.
        logits_N = logits_of(discriminator, seen, d_condition_NK).float()
        step = GStep(
            z_NZ=z_NZ,
            condition_NK=condition_NK,
            images_NCHW=fakes.images_NCHW,
            logits_N=logits_N,
            discriminate=discriminator,
            d_condition_NK=d_condition_NK,
            batch=batch,
            real_logits=real_logits,
            augmentation=augmentation,
        )
        loss, weights = generator_loss(ctx, method, step)
        extra = method.g_loss(ctx, step)
    return _Pass(loss, extra, weights, share)


def _split(condition_NK: Tensor | None, size: int, parts: int) -> list[Tensor | None]:
    return [None] * parts if condition_NK is None else list(condition_NK.split(size))


def _descend(
    ctx: Context, optimizer: torch.optim.Optimizer, letter: str, passes: Sequence[Callable[[], _Pass]]
) -> Values:
    """One step down the mean gradient of the passes; returns the means of what they saw, and the gradient's norm."""
    optimizer.zero_grad(set_to_none=True)
    values: list[Values] = []
    terms: list[Values] = []

    # Accumulate the gradient of one micro-batch after the other.
    for forward in passes:
        loss, extra, seen, share = forward()
        total = torch.stack([loss, *extra.values()]).sum()
        (total / len(passes) if share is None else total * (share.weight / len(passes))).backward()
        values.append({f"{letter}_loss": loss.detach(), **seen})
        terms.append({name: value.detach() for name, value in extra.items()})

    # Take the step.
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    means, extras = _means(values), _means(terms)
    if share is not None:
        means, extras = sum_gradients(share, gradients, means, extras)
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    optimizer.step()
    return {**means, f"{letter}_grad": norm, **extras}


def _means(values: list[Values]) -> Values:
    return {name: torch.stack([value[name] for value in values]).mean() for name in values[0]}


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients flow through `network` but not into it; what was frozen before stays frozen after."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
