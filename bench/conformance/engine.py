"""What the conformance checks build on: a method on a test bench, and a watch over global random state."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from bench.conformance.same import same
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.checkpoints import fingerprint
from bench.store.runs import Store


class BrokenPromise(Exception):
    """What a check finds wrong with a method; any other exception is reported with its type."""


class Bench:
    """One method on the test bench, with a store for each of its runs: undisturbed, repeated, interrupted."""

    def __init__(self, spec: RunSpec, root: Path, device: torch.device) -> None:
        self.spec, self.root, self.device = spec, root, device
        self.settings = Settings(device, checkpoint_seconds=math.inf)
        self.begun = ""  # the fingerprint of its weights before the first step
        self.finished: Training | None = None  # the undisturbed run, at its end
        self.touched: list[str] = []  # the global generators that it has drawn from

    @property
    def straight(self) -> Training:
        """The undisturbed run, at its end."""
        assert self.finished is not None, "the check of the steps comes first"
        return self.finished

    def store(self, name: str) -> Store:
        """The store of this name; each run of the method has its own."""
        return Store(self.root / name)

    def training(self, name: str) -> Training:
        """A fresh Training in the named store; sources always come from the first store."""
        folder = self.store(name).open(self.spec)
        return Training(self.spec, folder, self.store("first"), self.settings)

    def compare(self, other: Training, what: str, guess: str) -> None:
        """Raises BrokenPromise unless another run of the method ended as the undisturbed one did, bit for bit."""
        if not np.array_equal(self.straight.ctx.images_u8_NHWC, other.ctx.images_u8_NHWC):
            raise BrokenPromise(f"{what} trains on other images: select must choose the same again ({guess})")
        if fingerprint(self.straight.weights()) != fingerprint(other.weights()):
            raise BrokenPromise(f"{what} ends with other weights: {guess}")
        logs = [list(training.folder.read_log()) for training in (self.straight, other)]
        if logs[0] != logs[1]:
            raise BrokenPromise(f"{what} logs other losses: {guess}")


@contextmanager
def watching_global_state() -> Iterator[list[str]]:
    """Collects the names of the global generators that the block draws from, and restores their states."""
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
