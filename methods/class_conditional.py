"""Class labels as the condition, for source networks (projection discriminator, Miyato and Koyama 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.contract.base import ClassSampler, Sampler
from bench.errors import UserError
from bench.networks.interface import Generator
from bench.train import Batch, Context, Method


class ClassConditional(Method):
    """The condition is the one-hot label of the image; sampling draws evenly from the labels that occur."""

    in_graphs = True
    splits = True
    papers = (("Miyato and Koyama", 2018, "cGANs with Projection Discriminator", "arXiv:1802.05637"),)

    needs_labels = True

    def __init__(self) -> None:
        self._label_M: Tensor | None = None  # the labels of all training images on the run's device

    def networks(self, ctx: Context) -> dict[str, Any]:
        return {"condition_dim": _classes(_labels(ctx))}

    def condition(self, ctx: Context, batch: Batch) -> Tensor:
        if self._label_M is None:  # once: a copy to a GPU waits for it
            self._label_M = torch.from_numpy(_labels(ctx).copy()).to(ctx.device)  # those of a file may be read-only
            self._count = _classes(_labels(ctx))
        return _one_hot(self._label_M[batch.index_N], self._count)

    def sampler(self, ctx: Context) -> Sampler:
        present, of_classes = torch.from_numpy(np.unique(_labels(ctx))), self.class_sampler(ctx)

        def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            label_N = present[torch.randint(len(present), (len(z_NZ),), generator=stream)]
            return of_classes(generator, z_NZ, label_N, stream)

        return sample

    def class_sampler(self, ctx: Context) -> ClassSampler:
        classes = _classes(_labels(ctx))

        def sample(generator: Generator, z_NZ: Tensor, label_N: Tensor, stream: torch.Generator) -> Tensor:
            images_NCHW: Tensor = generator(z_NZ, _one_hot(label_N, classes).to(z_NZ.device))
            return images_NCHW

        return sample


def _labels(ctx: Context) -> np.ndarray:
    if ctx.labels_N is None:
        dropped = ", as the run is to have none (labels: none)" if ctx.spec.data.labels == "none" else ""
        raise UserError(f"method 'class-conditional': data set '{ctx.spec.data.name}' has no class labels{dropped}")
    return ctx.labels_N.astype(np.int64, copy=False)


def _classes(labels_N: np.ndarray) -> int:
    return int(labels_N.max()) + 1


def _one_hot(label_N: Tensor, classes: int) -> Tensor:
    return functional.one_hot(label_N, classes).float()
