"""Conformance of a method: does it keep the engine's promises? Seconds on a CPU, on procedural shapes.

The checks drive the real engine (specs, sources, training, checkpoints), so what passes here trains in a
table. They run on a tiny network of each family; a method that cannot work on one refuses with a UserError.
"""

from __future__ import annotations

import math
import pickle
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from bench import seeds
from bench.conformance.cases import MICRO, NETWORKS, STEPS, STOP_AT, conformance_spec
from bench.conformance.same import different_attributes, same
from bench.contract.base import Sampler
from bench.contract.composition import build_method
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.interface import Generator, HasMaps, looks_at_the_batch
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.checkpoints import fingerprint
from bench.store.runs import Store
from bench.train.batches import Batches


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: `detail` says what was wrong and what would be right."""

    check: str
    passed: bool
    detail: str = ""
    supported: bool = (
        True  # False: not passed, because the method refuses this network (`detail` is its reason)
    )

    @property
    def failed(self) -> bool:
        """Not passed, and no refusal either."""
        return self.supported and not self.passed


def check_everywhere(
    expression: str, networks: Sequence[str] = tuple(NETWORKS)
) -> dict[str, list[CheckResult]]:
    """The findings of `check_method` by network; a method that trains no network is checked once.

    To refuse a network is no failure, but to refuse all of them is: its last finding then is a failed "supports".
    """
    found: dict[str, list[CheckResult]] = {}
    for network in networks:
        found[network] = check_method(expression, network)
        if conformance_spec(expression, network).network is None:
            break
    if not any(finding.supported for findings in found.values() for finding in findings):
        what = "all networks" if set(found) == set(NETWORKS) else " and ".join(found)
        found[network].append(CheckResult("supports", False, f"it refuses {what}: nothing was checked"))
    return found


def check_method(expression: str, network: str = "sngan-32", device: str = "cpu") -> list[CheckResult]:
    """Every check on one method expression. Raises UserError for an expression that cannot be read.

    A check that the failure of an earlier one makes meaningless is left out. A method that refuses the network
    has one finding, not passed and not `supported`.
    """
    spec = conformance_spec(expression, network)
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(spec, Path(folder), torch.device(device))
        findings = [_run("builds", bench.builds)]
        if findings[0].passed:
            findings.append(_run("steps", bench.steps))
        if not findings[-1].supported:
            return findings[-1:]
        if findings[-1].passed:
            checks = (
                bench.global_random_state,
                bench.repeats,
                bench.resumes,
                bench.micro_batches,
                bench.samples,
                bench.augments,
                bench.discriminates,
            )
            findings += [_run(check.__name__.replace("_", " "), check) for check in checks]
        findings.append(_run("pickles", bench.pickles))
    return findings


class _Problem(Exception):
    """A check's own verdict; any other exception is reported with its type."""


def _run(name: str, check: Callable[[], None]) -> CheckResult:
    try:
        check()
    except _Problem as problem:
        return CheckResult(name, False, str(problem))
    except UserError as error:
        return CheckResult(name, False, str(error), supported=False)
    except Exception as error:
        return CheckResult(name, False, f"{type(error).__name__}: {error}")
    return CheckResult(name, True)


class _Bench:
    """One method on the test bench: a store for an undisturbed run, one for an interrupted run."""

    def __init__(self, spec: RunSpec, root: Path, device: torch.device) -> None:
        self.spec, self.root, self.device = spec, root, device
        self.settings = Settings(device, checkpoint_seconds=math.inf)
        self.straight: Training | None = None
        self.touched: list[str] = []

    def builds(self) -> None:
        try:
            build_method(self.spec.method)
        except UserError as error:  # of its settings: no network is to blame
            raise _Problem(str(error)) from error
        store = self._store("first")
        for source in self.spec.run_sources.values():
            store.open(source)
            if execute(source.uid, store, self.settings, lambda: False, lambda *_: None) != "done":
                raise _Problem(f"its source run failed: {store.folder(source.uid).error()}")
        self._training("first")

    def steps(self) -> None:
        before = fingerprint(self._training("first").weights())
        with _watching_global_state() as self.touched:
            self.straight = self._training("first")
            outcome = self.straight.run(lambda: False, lambda *_: None)
        if outcome != "done":
            raise _Problem(f"a loss or gradient is not finite after {self.straight.ctx.step} steps")
        if fingerprint(self.straight.weights()) == before:
            raise _Problem(f"nothing has changed after {STEPS} steps")

    def global_random_state(self) -> None:
        if self.touched:
            raise _Problem(
                f"draws from the global random state of {', '.join(self.touched)}: take every random number "
                "from ctx.stream(purpose), or the run cannot resume exactly"
            )

    def repeats(self) -> None:
        again = self._training("again")
        again.run(lambda: False, lambda *_: None)
        self._compare(again, "a second run of the same spec", "a random stream that is not from ctx.stream?")

    def resumes(self) -> None:
        first = self._training("stopped")
        if first.run(lambda: first.ctx.step >= STOP_AT, lambda *_: None) != "stopped":
            raise _Problem("the run did not stop at a step boundary")
        second = self._training("stopped")
        if second.ctx.step != STOP_AT:
            raise _Problem(f"the resumed run is at step {second.ctx.step}, was stopped at {STOP_AT}")
        second.run(lambda: False, lambda *_: None)
        assert self.straight is not None
        if lost := different_attributes(self.straight, second):
            raise _Problem(
                f"{', '.join(lost)} differ between a run that was stopped at step {STOP_AT} and one that "
                "was not: return them from state_dict and put them back in load_state_dict"
            )
        self._compare(
            second, f"a run stopped at step {STOP_AT} and continued", "state that state_dict does not save?"
        )

    def micro_batches(self) -> None:
        """Hooks are then given a part of the batch at a time."""
        assert self.spec.train is not None and self.straight is not None
        if self.straight.method.replaces_loop:
            return
        train = self.spec.train.model_copy(update={"micro_batch": MICRO, "steps": 1})
        spec = self.spec.model_copy(update={"train": train})
        folder = self._store("micro").open(spec)
        training = Training(spec, folder, self._store("first"), self.settings)
        if training.run(lambda: False, lambda *_: None) != "done":
            raise _Problem(
                f"with micro_batch {MICRO} of {train.batch} images a loss or gradient is not finite"
            )

    def samples(self) -> None:
        training = self.straight
        assert training is not None
        ema = training.ctx.ema
        if ema is None:
            return  # a run without a generator has nothing to sample
        sampler = training.method.sampler(training.ctx)
        z_NZ = torch.randn(8, ema.z_dim, generator=torch.Generator().manual_seed(0)).to(self.device)
        with torch.no_grad(), _watching_global_state() as touched:
            first, second = (self._sampled(sampler, ema, z_NZ) for _ in range(2))
        side = training.spec.data.resolution
        if tuple(first.shape) != (8, 3, side, side):
            raise _Problem(f"8 samples have shape {tuple(first.shape)}, must be (8, 3, {side}, {side})")
        _check_range(first, "samples", bounded=ema.bounded)
        if touched or not torch.equal(first, second):
            raise _Problem(
                "two draws from equal streams differ: the sampler must take all randomness from its stream"
            )

    def augments(self) -> None:
        training = self.straight
        assert training is not None
        if training.ctx.ema is None:
            return
        stream = torch.Generator().manual_seed(0)
        side = training.spec.data.resolution
        images = (torch.rand(8, 3, side, side, generator=stream) * 2 - 1).to(self.device).requires_grad_()
        replayed = training.ctx.replaying()
        augmented = training.method.augment(training.ctx, images)
        if augmented.shape != images.shape:
            raise _Problem(f"augment turns shape {tuple(images.shape)} into {tuple(augmented.shape)}")
        _check_range(augmented.detach(), "augmented images", slack=3.0)
        augmented.square().sum().backward()
        if images.grad is None or not torch.isfinite(images.grad).all() or not images.grad.abs().sum() > 0:
            raise _Problem("augment passes no gradient on: the generator could not learn through it")
        with replayed():
            if not torch.equal(augmented, training.method.augment(training.ctx, images)):
                raise _Problem(
                    "augment gives other images when its streams are replayed: it must draw from ctx.stream alone "
                    "and change nothing in the part"
                )

    def discriminates(self) -> None:
        training = self.straight
        assert training is not None
        if training.ctx.discriminator is None or training.method.replaces_loop:
            return
        ctx, discriminator = training.ctx, training.ctx.discriminator
        batch = Batches(ctx.images_u8_NHWC, 4, seed=0, device=self.device).at(0)
        condition_NK = training.method.d_condition(ctx, batch, training.method.condition(ctx, batch))
        half_NK = None if condition_NK is None else condition_NK[:2]
        with torch.no_grad(), parametrize.cached():
            logits_N = discriminator(batch.images_NCHW, condition_NK)
            half_N = discriminator(batch.images_NCHW[:2], half_NK)
        if logits_N.ndim not in (1, 2) or len(logits_N) != 4:
            raise _Problem(
                f"D's logits of 4 images have shape {tuple(logits_N.shape)}, must be (4,) or (4, L)"
            )
        alone = isinstance(discriminator, HasMaps) or looks_at_the_batch(discriminator)
        if not alone and not torch.allclose(logits_N[:2], half_N, rtol=1e-3, atol=1e-4):
            raise _Problem(
                "D's logits of an image depend on the other images of its call: set batch_statistics = True on it, "
                "so that real and generated images come in separate calls"
            )

    def pickles(self) -> None:
        pickle.loads(pickle.dumps(build_method(self.spec.method)))
        if RunSpec.model_validate_json(self.spec.model_dump_json()).uid != self.spec.uid:
            raise _Problem("its settings do not survive JSON: use numbers, text, lists and booleans")

    # ---- helpers ---------------------------------------------------------------------------------

    def _sampled(self, sampler: Sampler, ema: Generator, z_NZ: Tensor) -> Tensor:
        with noise.drawn_from(seeds.torch_stream(0, "check", "noise")):
            return sampler(ema, z_NZ, seeds.torch_stream(0, "check"))

    def _store(self, name: str) -> Store:
        return Store(self.root / name)

    def _training(self, name: str) -> Training:
        """A fresh Training in the named store; sources always come from the first store."""
        folder = self._store(name).open(self.spec)
        return Training(self.spec, folder, self._store("first"), self.settings)

    def _compare(self, other: Training, what: str, guess: str) -> None:
        assert self.straight is not None
        if not np.array_equal(self.straight.ctx.images_u8_NHWC, other.ctx.images_u8_NHWC):
            raise _Problem(f"{what} trains on other images: select must choose the same again ({guess})")
        if fingerprint(self.straight.weights()) != fingerprint(other.weights()):
            raise _Problem(f"{what} ends with other weights: {guess}")
        logs = [list(training.folder.read_log()) for training in (self.straight, other)]
        if logs[0] != logs[1]:
            raise _Problem(f"{what} logs other losses: {guess}")


def _check_range(images_NCHW: Tensor, what: str, *, slack: float = 0.0, bounded: bool = True) -> None:
    """Images must be finite, inside [-1, 1] (give or take `slack`) and use its negative half.

    Those of a network without a bound may lie anywhere around 0, on both sides of it.
    """
    if not torch.isfinite(images_NCHW).all():
        raise _Problem(f"{what} are not finite")
    low, high = images_NCHW.min().item(), images_NCHW.max().item()
    if bounded and (low < -1 - slack - 1e-4 or high > 1 + slack + 1e-4):
        raise _Problem(f"{what} span [{low:.3g}, {high:.3g}], must be in [-1, 1]")
    if low >= 0:
        raise _Problem(
            f"{what} span [{low:.3g}, {high:.3g}] and are never negative: the range is [-1, 1], not [0, 1]"
        )
    if high <= 0 and not bounded:
        raise _Problem(f"{what} span [{low:.3g}, {high:.3g}] and are never positive: the range is [-1, 1]")


@contextmanager
def _watching_global_state() -> Iterator[list[str]]:
    """Collects the names of the global generators that the block has drawn from, and puts them back."""
    touched: list[str] = []
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield touched
    finally:
        if not torch.equal(states[0], torch.random.get_rng_state()):
            touched.append("torch")
        if on_gpus and not same(on_gpus, torch.cuda.get_rng_state_all()):
            touched.append("torch.cuda")
        if repr(states[1]) != repr(np.random.get_state()):
            touched.append("numpy")
        if states[2] != random.getstate():
            touched.append("random")
        torch.random.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
