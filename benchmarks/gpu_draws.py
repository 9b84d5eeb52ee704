"""Whether a device is given what the CPU is: the same z, data order and augmentations, step by step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.runs import Store
from benchmarks.gpu_right import Record, prepared, with_train

STEPS = 3
# Augmented images are arithmetic on the device, in float32: a warp or a colour rounds at 6e-8 of values up to 1
NEAR = 1e-5


def compare_draws(spec: RunSpec, device: torch.device) -> Record:
    """What G and D are given in the first steps of a run, on the device and on the CPU.

    G's latents have to be equal, bit for bit. D's first images of each step are real ones: their places in the set,
    and how they were augmented, show in their values, which have to be near the CPU's. The weights do not matter:
    neither depends on them.
    """
    with tempfile.TemporaryDirectory() as folder:
        sources = prepared(spec, Path(folder))
        here = given(spec, Path(folder) / "cpu", sources, torch.device("cpu"))
        there = given(spec, Path(folder) / "device", sources, device)
    latents = [torch.equal(one, other) for one, other in zip(here["z"], there["z"], strict=True)]
    images = [float((one - other).abs().max()) for one, other in zip(here["real"], there["real"], strict=True)]
    ok = bool(latents) and bool(images) and all(latents) and max(images) <= NEAR
    return {"ok": ok, "latents": len(latents), "latents_equal": all(latents), "real_images_off": max(images)}


def given(spec: RunSpec, root: Path, sources: Store, device: torch.device) -> dict[str, list[Tensor]]:
    """All latents that G is given, and D's first images of each step, both on the CPU."""
    training = Training(with_train(spec, steps=STEPS), Store(root).open(spec), sources, Settings(device))
    given: dict[str, list[Tensor]] = {"z": [], "real": []}
    first: list[int] = []  # steps whose real images have been seen

    def of_generator(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        given["z"].append(arguments[0].detach().cpu().clone())

    def of_discriminator(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if training.ctx.step not in first:
            first.append(training.ctx.step)
            given["real"].append(arguments[0].detach().cpu().clone())

    generator, discriminator = training.ctx.generator, training.ctx.discriminator
    assert generator is not None and discriminator is not None
    hooks = [
        generator.register_forward_pre_hook(of_generator),
        discriminator.register_forward_pre_hook(of_discriminator),
    ]
    steps = training.steps()
    for _ in range(STEPS):
        training.ctx.begin_step(training.ctx.step)
        training.one_step(steps)
        training.ctx.step += 1
    for hook in hooks:
        hook.remove()
    return given
