"""Images of a finished run under a condition that is asked for: of a class, or of a training image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.contract.context import Batch
from bench.errors import UserError
from bench.evaluate.subject import Subject
from bench.files.memory_map import rows
from bench.networks.common import noise
from bench.networks.common.pixels import signed_images, to_uint8
from bench.spec.run import RunSpec, readable

AT_ONCE = 32  # images in a pass of G


def images_like(subject: Subject, index_N: np.ndarray, *purpose: str | int) -> np.ndarray:
    """G(z | C(x)) of the training images x at these positions, (N, H, W, 3) uint8.

    purpose: names the latents and the noise. Raises UserError for a run whose method conditions on nothing.
    """
    ctx = subject.opened.ctx
    images_NCHW = signed_images(rows(subject.train_images, index_N), subject.device)
    batch = Batch(images_NCHW, torch.from_numpy(index_N).to(subject.device))
    if (condition_NK := subject.method.condition(ctx, batch)) is None:
        raise UserError(
            f"method '{readable(subject.run.method)}' conditions on nothing: there is nothing to hold fixed"
        )
    condition = condition_NK
    return _made(subject, len(index_N), purpose, lambda z_NZ, part, _: subject.generator(z_NZ, condition[part]))


def images_of_class(subject: Subject, label: int, count: int, *purpose: str | int) -> np.ndarray:
    """`count` images of a class, (count, H, W, 3) uint8. UserError where the method has no classes to ask for."""
    sampler = subject.method.class_sampler(subject.opened.ctx)
    if sampler is None:
        raise UserError(f"method '{readable(subject.run.method)}' cannot be asked for a class")
    label_N = torch.full((count,), label)
    return _made(
        subject, count, purpose, lambda z_NZ, part, stream: sampler(subject.generator, z_NZ, label_N[part], stream)
    )


def refuse_batch_statistics(run: RunSpec, measure: str) -> None:
    """UserError for a run whose images depend on the others of their batch, which here are of one condition."""
    if run.train is not None and run.train.batch_statistics is not None:
        raise UserError(
            f"measure '{measure}': run {run.uid} is sampled in batches of {run.train.batch_statistics} by their own "
            "statistics, and its images under one condition would be others"
        )


def _made(
    subject: Subject,
    count: int,
    purpose: tuple[str | int, ...],
    make: Callable[[Tensor, slice, torch.Generator], Tensor],
) -> np.ndarray:
    """Images of `count` latents, AT_ONCE in a pass."""
    latents, conditions, noises = (subject.stream(what, *purpose) for what in ("latents", "conditions", "noise"))
    z_NZ = torch.randn(count, subject.generator.z_dim, generator=latents).to(subject.device)
    made = []
    with torch.no_grad(), noise.drawn_from(noises):
        for start in range(0, count, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            made.append(to_uint8(make(z_NZ[part], part, conditions)))
            subject.pause()
    return np.concatenate(made)
