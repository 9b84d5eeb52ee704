"""Compares a training step of three paper-scale networks with plain torch code of the same equations: time and memory.

Each step is whole: a batch of images, D's update, G's update, Adam, G's moving average. Ours is the engine's own loop,
with its streams, hooks and logs. Each has a process of its own, with one thread.
No figure depends on the content of the images.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.contract.expression import parse_method
from bench.data import imageset
from bench.features.perceptual import lpips_distance
from bench.machine.heap import keep_freed_memory
from bench.machine.memory import peak_bytes, reset_peak
from bench.rehearsal import images as rehearsal_images
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings
from bench.store.runs import Store
from bench.train.batches import Batches
from bench.train.ema import update_ema
from benchmarks import plain_fastgan
from benchmarks.plain_networks import BigganG, FastganD, FastganG, SnganG, biggan_d, sngan_d

ROUNDS, IMAGES, DECAY = 5, 64, 0.999  # timed steps of each side; training images; decay of G's average


class Case(NamedTuple):
    """A network's step: its batch, our method, the plain networks and the size of their z."""

    batch: int
    method: str
    generator: Callable[[], nn.Module] | None  # None: there is no plain version
    discriminator: Callable[[], nn.Module] | None
    z_dim: int
    loss: Literal["hinge", "non-saturating"] = "hinge"
    train: dict[str, Any] = {}  # further settings of our training


# FastGAN's is that of its released code: LPIPS on what the decoders make, DiffAugment, margins, one pass of G a step.
FASTGAN = "diffaugment(policy='color,translation', consistency=0) + sle + ae-d"
RELEASED = {"share_fakes": True, "hinge_margin": plain_fastgan.MARGIN, "beta1": plain_fastgan.BETAS[0]}
CASES = {
    "fastgan-256": Case(8, FASTGAN, FastganG, FastganD, 256, train=RELEASED),
    "sngan-128": Case(8, "unconditional", SnganG, sngan_d, 128),
    "biggan-32": Case(32, "unconditional", BigganG, biggan_d, 120),
}
RATE, BETAS = 2e-4, (0.0, 0.999)  # Adam's, for G and D


CPU = torch.device("cpu")
Precision = Literal["float32", "tf32", "bfloat16"]


def run_spec(network: str, case: Case, precision: Precision = "float32") -> RunSpec:
    """Our run: one D update for each G update, on images of the network's size."""
    return RunSpec(
        method=parse_method(case.method),
        network=NetworkSpec(name=network),
        data=DataSpec(name="benchmark-images", resolution=int(network.partition("-")[2])),
        train=TrainSettings(
            steps=10**6, batch=case.batch, g_lr=RATE, d_lr=RATE, beta2=BETAS[1], ema_decay=DECAY,
            loss=case.loss, precision=precision, **case.train,
        ),
        protocol=None,
        seed=0,
    )  # fmt: skip


def ours(
    network: str, case: Case, store: Path, device: torch.device = CPU, precision: Precision = "float32"
) -> Iterator[int]:
    """The engine's loop; each item is a step, and its value is the number of parameters of both networks."""
    spec = run_spec(network, case, precision)
    training = Training(spec, Store(store).open(spec), Store(store), Settings(device))
    ctx, steps = training.ctx, training.steps()
    generator, discriminator = ctx.networks()
    assert ctx.ema is not None
    for step in range(10**6):
        ctx.begin_step(step)
        training.one_step(steps)
        update_ema(ctx.ema, generator, DECAY, step, ramp=False)
        yield _count(generator, discriminator)


def plain(
    network: str, case: Case, _: Path, device: torch.device = CPU, precision: Precision = "float32"
) -> Iterator[int]:
    """The same step in plain torch, as an iterator like `ours`."""
    assert case.generator is not None and case.discriminator is not None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.use_deterministic_algorithms(False)
    generator, discriminator = case.generator().to(device), case.discriminator().to(device)
    images = torch.from_numpy(_images(network).copy()).to(device)
    autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=precision == "bfloat16")
    if network.startswith("fastgan"):
        distance = plain_fastgan.l1 if "loss=l1" in case.method else lpips_distance("vgg", str(device))
        for _step in plain_fastgan.steps(generator, discriminator, images, case.batch, autocast, distance):
            yield _count(generator, discriminator)
    average = deepcopy(generator)
    g_adam = torch.optim.Adam(generator.parameters(), RATE, BETAS)
    d_adam = torch.optim.Adam(discriminator.parameters(), RATE, BETAS)
    while True:
        # A batch in [-1, 1], NCHW
        chosen = torch.randint(len(images), (case.batch,), device=device)
        real = images[chosen].permute(0, 3, 1, 2).float() / 127.5 - 1
        # D's update
        d_adam.zero_grad()
        with autocast():
            with torch.no_grad():
                fake = generator(torch.randn(case.batch, case.z_dim, device=device))
            d_loss = _d_loss(discriminator, real, fake)
        d_loss.backward()
        d_adam.step()
        # G's update, with D frozen
        g_adam.zero_grad()
        discriminator.requires_grad_(False)
        with autocast():
            logits = discriminator(generator(torch.randn(case.batch, case.z_dim, device=device)))
        (-logits.float().mean()).backward()
        discriminator.requires_grad_(True)
        g_adam.step()
        # G's moving average, whose buffers are copies
        with torch.no_grad():
            for old, new in zip(average.parameters(), generator.parameters(), strict=True):
                old.mul_(DECAY).add_(new, alpha=1 - DECAY)
            for kept, fresh in zip(average.buffers(), generator.buffers(), strict=True):
                kept.copy_(fresh)
        yield _count(generator, discriminator)


def _d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    r, f = discriminator(torch.cat([real, fake])).float().chunk(2)
    return F.relu(1 - r).mean() + F.relu(1 + f).mean()


def offer_images() -> None:
    """Register the data set on which both sides train."""
    rehearsal_images.offer("benchmark-images", DataSpec(name="shapes", resolution=64), IMAGES, None)


def _images(network: str) -> np.ndarray:
    """The training images, loaded without our networks, whose memory would count as the plain ones'."""
    return imageset.load("benchmark-images", int(network.partition("-")[2])).train


def _count(*networks: nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


SIDES = {"ours": ours, "plain": plain}


def measured(network: str, side: str, store: Path) -> dict[str, float]:
    """The median CPU seconds and the peak memory in MB of a side's steps after the first, in this process alone.

    Ours keeps its freed memory, as a worker does.
    """
    if side == "ours":
        keep_freed_memory()
    loop = SIDES[side](network, CASES[network], store)
    parameters = next(loop)
    reset_peak()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        next(loop)
        times.append(time.process_time() - start)
    return {"seconds": statistics.median(times), "peak": (peak_bytes() or 0) / 2**20, "parameters": parameters}


def loading_seconds(network: str) -> float:
    """The seconds that one batch of images takes of our step."""
    batches = Batches(_images(network), CASES[network].batch, seed=0)
    start = time.perf_counter()
    for position in range(50):
        batches.at(position)
    return (time.perf_counter() - start) / 50


def _in_a_process(*words: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "benchmarks.steps", *words], stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Print the times and memory of both sides for each network."""
    with tempfile.TemporaryDirectory() as store:
        for network, case in CASES.items():
            one, other = (_in_a_process(side, network, store) for side in SIDES)
            assert one["parameters"] == other["parameters"], f"not the same network: {one}, {other}"
            loading = _in_a_process("loading", network, store)["seconds"]
            print(f"{network}, batch {case.batch}, {case.method}")
            print(
                f"  a step {one['seconds']:.2f} CPU s, plain {other['seconds']:.2f} "
                f"({one['seconds'] / other['seconds'] - 1:+.0%}); peak {one['peak']:,.0f} MB, plain "
                f"{other['peak']:,.0f} MB; a batch of images {loading * 1e3:.2f} ms, "
                f"{loading / one['seconds']:.2%} of the step",
                flush=True,
            )


def _worker(what: str, network: str, store: Path) -> dict[str, float]:
    torch.set_num_threads(1)
    offer_images()
    return measured(network, what, store) if what in SIDES else {"seconds": loading_seconds(network)}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_worker(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
