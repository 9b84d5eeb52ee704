"""What a method promises: for each promise a check of the test bench that raises BrokenPromise if it is broken."""

from __future__ import annotations

import pickle

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from bench import seeds
from bench.conformance.cases import MICRO, STEPS, STOP_AT
from bench.conformance.engine import Bench, BrokenPromise, watching_global_state
from bench.conformance.same import different_attributes
from bench.contract.base import Sampler
from bench.contract.composition import build_method
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.interface import Generator, HasMaps, looks_at_the_batch
from bench.run.execute import execute
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.checkpoints import fingerprint
from bench.train import seen
from bench.train.batches import Batches


def builds(bench: Bench) -> None:
    """Its settings are valid, and its sources train."""
    try:
        build_method(bench.spec.method)
    except UserError as error:  # about its settings, not about the network
        raise BrokenPromise(str(error)) from error
    store = bench.store("first")
    for source in bench.spec.run_sources.values():
        store.open(source)
        if execute(source.uid, store, bench.settings, lambda: False, lambda *_: None) != "done":
            raise BrokenPromise(f"its source run failed: {store.folder(source.uid).error()}")
    bench.begun = fingerprint(bench.training("first").weights())


def steps(bench: Bench) -> None:
    """It trains to its end with finite losses, and changes some weights."""
    with watching_global_state() as bench.touched:
        bench.finished = bench.training("first")
        outcome = bench.finished.run(lambda: False, lambda *_: None)
    if outcome != "done":
        raise BrokenPromise(f"a loss or gradient is not finite after {bench.straight.ctx.step} steps")
    if fingerprint(bench.straight.weights()) == bench.begun:
        raise BrokenPromise(f"nothing has changed after {STEPS} steps")


def global_random_state(bench: Bench) -> None:
    """It draws random numbers from its own streams only."""
    if bench.touched:
        raise BrokenPromise(
            f"draws from the global random state of {', '.join(bench.touched)}: take every random number "
            "from ctx.stream(purpose), or the run cannot resume exactly"
        )


def repeats(bench: Bench) -> None:
    """A second run ends with the same weights and logs as the first."""
    again = bench.training("again")
    again.run(lambda: False, lambda *_: None)
    bench.compare(again, "a second run of the same spec", "a random stream that is not from ctx.stream?")


def resumes(bench: Bench) -> None:
    """A run that is stopped and continued ends as an undisturbed one does."""
    first = bench.training("stopped")
    if first.run(lambda: first.ctx.step >= STOP_AT, lambda *_: None) != "stopped":
        raise BrokenPromise("the run did not stop at a step boundary")
    second = bench.training("stopped")
    if second.ctx.step != STOP_AT:
        raise BrokenPromise(f"the resumed run is at step {second.ctx.step}, was stopped at {STOP_AT}")
    second.run(lambda: False, lambda *_: None)
    if lost := different_attributes(bench.straight, second):
        raise BrokenPromise(
            f"{', '.join(lost)} differ between a run that was stopped at step {STOP_AT} and one that "
            "was not: return them from state_dict and put them back in load_state_dict"
        )
    bench.compare(second, f"a run stopped at step {STOP_AT} and continued", "state that state_dict does not save?")


def micro_batches(bench: Bench) -> None:
    """It also trains if its hooks get the batch in pieces."""
    assert bench.spec.train is not None
    if bench.straight.method.replaces_loop:
        return
    train = bench.spec.train.model_copy(update={"micro_batch": MICRO, "steps": 1})
    spec = bench.spec.model_copy(update={"train": train})
    folder = bench.store("micro").open(spec)
    training = Training(spec, folder, bench.store("first"), bench.settings)
    if training.run(lambda: False, lambda *_: None) != "done":
        raise BrokenPromise(f"with micro_batch {MICRO} of {train.batch} images a loss or gradient is not finite")


def samples(bench: Bench) -> None:
    """Its sampler makes images in range, and takes all randomness from its stream."""
    training = bench.straight
    ema = training.ctx.ema
    if ema is None:
        return  # a run without a generator has nothing to sample
    sampler = training.method.sampler(training.ctx)
    z_NZ = torch.randn(8, ema.z_dim, generator=torch.Generator().manual_seed(0)).to(bench.device)
    with torch.no_grad(), watching_global_state() as touched:
        first, second = (_sampled(sampler, ema, z_NZ) for _ in range(2))
    side = training.spec.data.resolution
    if tuple(first.shape) != (8, 3, side, side):
        raise BrokenPromise(f"8 samples have shape {tuple(first.shape)}, must be (8, 3, {side}, {side})")
    _refuse_range(first, "samples", bounded=ema.bounded)
    if touched or not torch.equal(first, second):
        raise BrokenPromise("two draws from equal streams differ: the sampler must take all randomness from its stream")


def augments(bench: Bench) -> None:
    """Its augmentation keeps shape and range, passes the gradient on, and can be replayed."""
    training = bench.straight
    if training.ctx.ema is None:
        return
    # Random images in [-1, 1], as the networks have them
    stream = torch.Generator().manual_seed(0)
    side = training.spec.data.resolution
    images = (torch.rand(8, 3, side, side, generator=stream) * 2 - 1).to(bench.device).requires_grad_()
    # As in an update, with D's condition for as many training images
    ctx, method = training.ctx, training.method
    batch = Batches(ctx.images_u8_NHWC, 8, seed=0, device=bench.device).at(0)
    d_condition_NK = method.d_condition(ctx, batch, method.condition(ctx, batch))
    augmented, again = seen.augmented(ctx, method, images, d_condition_NK)
    if augmented.shape != images.shape:
        raise BrokenPromise(f"augment turns shape {tuple(images.shape)} into {tuple(augmented.shape)}")
    # Brightness and contrast may leave [-1, 1], but not by much
    _refuse_range(augmented.detach(), "augmented images", slack=3.0)
    # G learns through the augmentation, so some gradient must reach the images
    augmented.square().sum().backward()
    if images.grad is None or not torch.isfinite(images.grad).all() or not images.grad.abs().sum() > 0:
        raise BrokenPromise("augment passes no gradient on: the generator could not learn through it")
    if not torch.equal(augmented, again(images)):
        raise BrokenPromise(
            "augment gives other images when its streams are replayed: it must draw from ctx.stream alone "
            "and change nothing in the part"
        )


def discriminates(bench: Bench) -> None:
    """Its D gives logits for each image that depend on this image alone, unless it declares otherwise."""
    training = bench.straight
    if training.ctx.discriminator is None or training.method.replaces_loop:
        return
    ctx, discriminator = training.ctx, training.ctx.discriminator
    batch = Batches(ctx.images_u8_NHWC, 4, seed=0, device=bench.device).at(0)
    condition_NK = training.method.d_condition(ctx, batch, training.method.condition(ctx, batch))
    half_NK = None if condition_NK is None else condition_NK[:2]
    # The same two images alone and beside two others
    with torch.no_grad(), parametrize.cached():
        logits_N = discriminator(batch.images_NCHW, condition_NK)
        half_N = discriminator(batch.images_NCHW[:2], half_NK)
    if logits_N.ndim not in (1, 2) or len(logits_N) != 4:
        raise BrokenPromise(f"D's logits of 4 images have shape {tuple(logits_N.shape)}, must be (4,) or (4, L)")
    alone = isinstance(discriminator, HasMaps) or looks_at_the_batch(discriminator)
    if not alone and not torch.allclose(logits_N[:2], half_N, rtol=1e-3, atol=1e-4):
        raise BrokenPromise(
            "D's logits of an image depend on the other images of its call: set batch_statistics = True on it, "
            "so that real and generated images come in separate calls"
        )


def pickles(bench: Bench) -> None:
    """It survives pickling, and its settings survive JSON."""
    pickle.loads(pickle.dumps(build_method(bench.spec.method)))
    if RunSpec.model_validate_json(bench.spec.model_dump_json()).uid != bench.spec.uid:
        raise BrokenPromise("its settings do not survive JSON: use numbers, text, lists and booleans")


def _sampled(sampler: Sampler, ema: Generator, z_NZ: Tensor) -> Tensor:
    with noise.drawn_from(seeds.torch_stream(0, "check", "noise")):
        return sampler(ema, z_NZ, seeds.torch_stream(0, "check"))


def _refuse_range(images_NCHW: Tensor, what: str, *, slack: float = 0.0, bounded: bool = True) -> None:
    """Raise BrokenPromise unless images are finite, inside [-1 - slack, 1 + slack] and negative somewhere.

    bounded: False for a network without an output bound, whose images may have any values on both sides of 0.
    """
    if not torch.isfinite(images_NCHW).all():
        raise BrokenPromise(f"{what} are not finite")
    low, high = images_NCHW.min().item(), images_NCHW.max().item()
    if bounded and (low < -1 - slack - 1e-4 or high > 1 + slack + 1e-4):
        raise BrokenPromise(f"{what} span [{low:.3g}, {high:.3g}], must be in [-1, 1]")
    if low >= 0:
        raise BrokenPromise(
            f"{what} span [{low:.3g}, {high:.3g}] and are never negative: the range is [-1, 1], not [0, 1]"
        )
    if high <= 0 and not bounded:
        raise BrokenPromise(f"{what} span [{low:.3g}, {high:.3g}] and are never positive: the range is [-1, 1]")


# The checks that need a finished undisturbed run, in their order
OF_A_RUN = (global_random_state, repeats, resumes, micro_batches, samples, augments, discriminates)
