"""A small real run for methods: the engine's order of calls around real networks, without a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import networks
from bench.contract.composition import build_method
from bench.contract.context import Context
from bench.contract.expression import parse_method
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings
from bench.store import checkpoints
from bench.train.adversarial import adversarial
from bench.train.ema import make_ema, update_ema
from bench.train.optimizers import Optimizers
from bench.train.values import floats


def pictures(count: int, seed: int = 0, size: int = 32) -> np.ndarray:
    """Smooth coloured blobs, uint8 (N, H, W, 3), all different."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    centre, colour = random.random((count, 2, 1, 1)), random.integers(0, 256, (count, 2, 1, 1, 3))
    mask = ((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2 < 0.07)[..., None]
    return np.where(mask, colour[:, 0], colour[:, 1]).astype(np.uint8)


class Run:
    """What `bench.run.training` does with a spec, minus records."""

    def __init__(
        self,
        method: str,
        *,
        steps: int = 4,
        batch: int = 4,
        d_steps: int = 1,
        seed: int = 0,
        images: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        sources: dict[str, Path] | None = None,
        network: str | None = "sngan-32",
        **options: Any,
    ) -> None:
        options = {"z_dim": 8, "g_width": 8, "d_width": 8, "sn_generator": True, **options}
        train = TrainSettings(steps=steps, batch=batch, d_steps=d_steps, g_lr=1e-3, d_lr=1e-3)
        spec = RunSpec(
            method=parse_method(method),
            network=NetworkSpec(name=network, options=options) if network else None,
            data=DataSpec(name="pictures", resolution=32),
            train=train,
            protocol=None,
            seed=seed,
        )
        images = pictures(12) if images is None else images
        self.ctx = Context(spec, images, labels, torch.device("cpu"), sources or {})
        self.method = build_method(spec.method)
        if network:
            options |= self.method.networks(self.ctx)
            d_overrides = self.method.d_networks(self.ctx, options)
            self.ctx.generator, made = networks.build(network, seed=seed, d_overrides=d_overrides, **options)
            self.ctx.discriminator = self.method.discriminator(self.ctx, made)
        self.method.prepare(self.ctx)
        if self.ctx.generator is not None:
            self.ctx.ema = make_ema(self.ctx.generator)
        self.optimizers = None if self.method.replaces_loop else Optimizers.build(self.ctx)
        self.logs: list[dict[str, float]] = []

    def advance(self, steps: int) -> Run:
        """Take steps as the engine does."""
        if self.optimizers is None:
            loop = self.method.fit(self.ctx)
        else:
            loop = adversarial(self.ctx, self.method, self.optimizers)
        for _ in range(steps):
            self.ctx.begin_step(self.ctx.step)
            self.logs.append(floats(next(loop)))
            self.ctx.step += 1
            if self.ctx.ema is not None and self.ctx.generator is not None:
                update_ema(self.ctx.ema, self.ctx.generator, 0.9, self.ctx.step, ramp=True)
        return self

    def sample(self, count: int, stream_seed: int = 0) -> torch.Tensor:
        """Images of the averaged generator through the method's sampler."""
        assert self.ctx.ema is not None
        z_NZ = torch.randn(count, 8, generator=torch.Generator().manual_seed(7))
        with torch.no_grad():
            images: torch.Tensor = self.method.sampler(self.ctx)(
                self.ctx.ema, z_NZ, torch.Generator().manual_seed(stream_seed)
            )
        return images

    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks that the run has, by name."""
        ctx = self.ctx
        pairs = {"generator": ctx.generator, "discriminator": ctx.discriminator, "ema": ctx.ema}
        return {name: module for name, module in pairs.items() if module is not None}

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        state: dict[str, Any] = {name: module.state_dict() for name, module in self.modules().items()}
        state |= {"method": self.method.state_dict(), "step": self.ctx.step}
        return state if self.optimizers is None else {**state, "optimizers": self.optimizers.state_dict()}

    def save(self, path: Path) -> Path:
        """Write the checkpoint as the engine would."""
        checkpoints.write_weights(path, self.state())
        return path

    def load(self, path: Path) -> Run:
        """Restore a checkpoint, as the engine does after `prepare`."""
        state = checkpoints.read_weights(path)
        for name, module in self.modules().items():
            module.load_state_dict(state[name])
        if self.optimizers is not None:
            self.optimizers.load_state_dict(state["optimizers"])
        self.method.load_state_dict(state["method"])
        self.ctx.step = state["step"]
        return self


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """The class `Run`: a fixture, because test modules cannot import each other."""
    return Run


@pytest.fixture(scope="session")
def assert_proportional() -> Callable[[str], None]:
    """Assert that a term enters D's update in proportion to its weight, given a method with "{weight}" in it.

    Under plain gradient descent D's first update is linear in the weight: change(10) = 10 change(1).
    """

    def check(method: str) -> None:
        ends = {}
        for weight in (0, 1, 10):
            run = Run(method.format(weight=weight))
            assert run.optimizers is not None
            parameters = list(run.ctx.networks()[1].parameters())
            run.optimizers.discriminator = torch.optim.SGD(parameters, lr=1e-3)
            run.advance(1)
            ends[weight] = torch.cat([value.detach().flatten().double() for value in parameters])
        one, ten = ends[1] - ends[0], ends[10] - ends[0]
        assert one.norm() > 1e-5
        # float32 weights of size 1 hold an update of 1e-4 to about 1e-3 of it.
        assert (ten - 10 * one).norm() < 1e-2 * ten.norm()

    return check


@pytest.fixture(scope="session")
def make_pictures() -> Callable[..., np.ndarray]:
    """The function `pictures`."""
    return pictures


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of a class-conditional source network and of a SimCLR encoder, each trained for two steps."""
    folder = tmp_path_factory.mktemp("sources")
    labels = np.arange(12) % 3
    network = Run("class-conditional", labels=labels, images=pictures(12, seed=5), seed=5).advance(2)
    simclr = Run("simclr(width=4)", images=pictures(12, seed=5), network=None).advance(2)
    return {"network": network.save(folder / "network.pt"), "simclr": simclr.save(folder / "simclr.pt")}
