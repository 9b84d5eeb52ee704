"""What images are drawn from, a run or a checkpoint: the images as scored, or truncated, of one class, interpolated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import seeds
from bench.contract.base import ClassSampler, Sampler
from bench.errors import UserError, did_you_mean
from bench.evaluate.frames import on_the_way
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.networks.common.truncation import truncated
from bench.networks.interface import Generator, Styled
from bench.train.sampling import batch_statistics, drawn

BATCH = 100  # images at once, where no protocol says it


@dataclass(frozen=True)
class Draws:
    """A generator and how it is sampled.

    name: for messages, with its method. classes: the names of those that it can be asked for, with their numbers;
    empty for none. whole: how many images are made first and together, those that were scored. own: images whose batch
    norms' statistics are taken together (`train.batch_statistics`).
    """

    name: str
    generator: Generator
    sampler: Sampler
    seed: int
    device: torch.device
    batch: int = BATCH
    whole: int = 0
    own: int | None = None
    class_sampler: ClassSampler | None = None
    classes: tuple[tuple[int, str], ...] = ()

    def images(self, count: int, seed: int | None = None) -> Iterator[np.ndarray]:
        """The first `count` uint8 images, a batch (N, H, W, 3) at a time: first of all those that were scored.

        seed: of latents, conditions and noise [default: the run's, as in scoring]. They are generated in the batches
        of the protocol, from which images beyond `count` are cut, since an image's last digits and its condition
        depend on its batch.
        """
        chosen, left = self.seed if seed is None else seed, count
        beyond = -(-max(0, count - self.whole) // self.batch) * self.batch
        for first, size in ((0, self.whole), (self.whole, beyond)):
            parts = drawn(
                self.generator, self.sampler, size, self.batch, chosen, self.device, first=first, own=self.own
            )
            for made_NHWC in parts:
                yield made_NHWC[:left]
                left -= min(left, len(made_NHWC))
                if left == 0:
                    return

    def all_images(self, count: int, seed: int | None = None) -> np.ndarray:
        """`images` as one array (count, H, W, 3)."""
        return np.concatenate(list(self.images(count, seed)))

    def truncated(self, psi: float) -> Draws:
        """The same with truncation: of w towards its average, w' = average + psi (w - average), where G is style-based
        (Karras et al. 2019, appendix B); else of z, whose numbers are those of a normal truncated to [-psi, psi]
        (Brock et al. 2019).

        Raises UserError for a psi that is none, and, when images are drawn, for a method that does not hand the latents
        to G as they are. A style-based G keeps psi from here on.
        """
        if isinstance(self.generator, Styled):
            if not 0 <= psi <= 1:
                raise UserError(f"--truncation {psi:g}: of w, must be from 0 (the average) to 1 (none)")
            self.generator.truncation = psi
            return self
        if not 0 < psi < math.inf:
            raise UserError(f"--truncation {psi:g}: of z, must be above 0; 2 cuts off 5 % of its numbers")

        def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            cut_NZ = truncated(z_NZ, psi)
            images_NCHW, calls = _watched(generator, self.sampler, cut_NZ, stream)
            if not calls or not all(torch.equal(call[0], cut_NZ) for call in calls):
                raise UserError(
                    f"{self.name} has no truncation: its method does not hand the latents to its generator as they are"
                )
            return images_NCHW

        return replace(self, sampler=sample)

    def of_class(self, text: str) -> Draws:
        """Images of one class alone, named or by its number. UserError where there is none of that name, or none."""
        sampler = self.class_sampler
        if sampler is None or not self.classes:
            raise UserError(f"{self.name} cannot be asked for a class")
        labels = {name: number for number, name in self.classes} | {str(number): number for number, _ in self.classes}
        if text not in labels:
            names = [name for _, name in self.classes]
            raise UserError(f"{self.name} has no class '{text}'; {did_you_mean(text, names)} (or its number)")
        label = labels[text]

        def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            return sampler(generator, z_NZ, torch.full((len(z_NZ),), label, dtype=torch.long), stream)

        return replace(self, sampler=sample)

    def interpolated(self, rows: int, steps: int, seed: int | None = None) -> Iterator[np.ndarray]:
        """Rows of `steps` images (steps, H, W, 3) each, from one of the first 2 * rows latents to the next.

        Of a style-based G w goes along a line (Karras et al. 2019); else z along the arc between its ends (Shoemake
        1985), and the condition along a line. All images of a row share their noise. Raises UserError
        for a method that does not make images from latents and conditions alone.
        """
        chosen = self.seed if seed is None else seed
        ends = self._ends(2 * rows, chosen)
        share_T = torch.linspace(0, 1, steps, dtype=torch.float64)
        for row in range(rows):
            pair = [None if end is None else end[2 * row : 2 * row + 2] for end in ends]
            streams = [seeds.torch_stream(chosen, "interpolation", "noise", row) for _ in range(steps)]  # one noise
            own = batch_statistics(self.generator) if self.own else nullcontext()
            with torch.no_grad(), noise.drawn_for_each(streams), own:
                yield to_uint8(self._path(pair, share_T))

    def _ends(self, count: int, seed: int) -> list[Tensor | None]:
        """The first latents (count, Z) and conditions (count, K), as the sampler gives them to G."""
        calls: list[tuple[Any, ...]] = []
        made = 0
        hook = self.generator.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
        try:
            for batches, images_NHWC in enumerate(self.images(count, seed), start=1):
                made += len(images_NHWC)
                if len(calls) != batches or not all(len(call) in (1, 2) for call in calls):
                    raise UserError(f"{self.name} has no path between images: its method does not make them from "
                                    "latents and conditions alone")  # fmt: skip
        finally:
            hook.remove()
        given = [call[1] if len(call) == 2 else None for call in calls]
        conditions = [condition for condition in given if condition is not None]
        return [torch.cat([call[0] for call in calls])[:made], torch.cat(conditions)[:made] if conditions else None]

    def _path(self, pair: Sequence[Tensor | None], share_T: Tensor) -> Tensor:
        z_2Z, condition_2K = pair
        assert z_2Z is not None
        if isinstance(self.generator, Styled):
            w_2LW = self.generator.styles(z_2Z, condition_2K)
            return self.generator.synthesis(_along(w_2LW, share_T))
        z_TZ = arc(z_2Z, share_T)
        images_NCHW: Tensor = self.generator(z_TZ, None if condition_2K is None else _along(condition_2K, share_T))
        return images_NCHW


def arc(ends_2Z: Tensor, share_T: Tensor) -> Tensor:
    """Spherical interpolation between two latents: (T, Z), the ends at shares 0 and 1 (see `on_the_way`)."""
    first_Z, last_Z = ends_2Z
    return torch.stack([on_the_way(first_Z, last_Z, float(share)) for share in share_T])


def _along(ends: Tensor, share_T: Tensor) -> Tensor:
    """Linear interpolation between two tensors (2, ...): (T, ...)."""
    share = share_T.to(ends).reshape(-1, *[1] * (ends.ndim - 1))
    return torch.lerp(ends[:1].expand(len(share), *ends.shape[1:]), ends[1:], share)


def _watched(
    generator: Generator, sampler: Sampler, z_NZ: Tensor, stream: torch.Generator
) -> tuple[Tensor, list[tuple[Any, ...]]]:
    """What a sampler makes, and the inputs of every call of the generator."""
    calls: list[tuple[Any, ...]] = []
    hook = generator.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    try:
        return sampler(generator, z_NZ, stream), calls
    finally:
        hook.remove()
