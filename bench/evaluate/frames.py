"""Single pictures of a run's generator, from latents and conditions of one's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from bench import seeds
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.interface import Generator, MixesStyles

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


@dataclass(frozen=True)
class Inputs:
    """What a method gives its generator: latents, and conditions or (`embedded`) their embeddings; None for none."""

    latents_NZ: Tensor
    conditions_NK: Tensor | None
    embedded: bool = False

    def at(self, place: int) -> Inputs:
        """Those of one image."""
        chosen = slice(place, place + 1)
        condition_NK = None if self.conditions_NK is None else self.conditions_NK[chosen]
        return Inputs(self.latents_NZ[chosen], condition_NK, self.embedded)

    def with_latent(self, latent_Z: Tensor) -> Inputs:
        """The same conditions with another latent."""
        return Inputs(latent_Z[None].expand_as(self.latents_NZ), self.conditions_NK, self.embedded)

    def with_condition(self, condition_K: Tensor) -> Inputs:
        """The same latents with another condition, which is no embedding unless these are."""
        return Inputs(self.latents_NZ, condition_K[None].expand(len(self.latents_NZ), -1), self.embedded)


class _Reader:
    """Stands in for a generator, notes what it is called with, and makes grey images."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.inputs: Inputs | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)

    def __call__(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        return self._noted(Inputs(z_NZ, condition_NK))

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        return self._noted(Inputs(z_NZ, embedding_NE, embedded=embedding_NE is not None))

    def _noted(self, inputs: Inputs) -> Tensor:
        self.inputs = inputs
        side = self.generator.resolution
        return inputs.latents_NZ.new_zeros(len(inputs.latents_NZ), 3, side, side)


class Frames:
    """Makes pictures of a subject one by one, so that none depends on how many there are.

    With `train.batch_statistics` the norms take their statistics of the batch at hand: a picture is then made in a
    batch with the first latents of the run's scores, always the same ones (declared: nobody says how such a network is
    asked for a single picture).
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        train = subject.run.train
        self._beside: Inputs | None = None
        if train is not None and (together := train.batch_statistics) is not None:
            streams = [seeds.torch_stream(subject.run.seed, "evaluation", name, 0) for name in ("latents", "sampler")]
            self._beside = self._read(together - 1, *streams)

    def drawn(self, count: int, *purpose: str | int) -> Inputs:
        """Latents from N(0, I), and what the method makes of them and sets beside them.

        They depend on the seed of the run and on the purpose alone (and the number of a latent's dimensions).
        """
        return self._read(count, *(self.subject.stream(*purpose, name) for name in ("latents", "sampler")))

    def picture(self, inputs: Inputs, *purpose: str | int) -> np.ndarray:
        """The picture (H, W, 3) uint8 of one latent; its noise depends on the seed and the purpose alone."""
        self.subject.pause()
        device = self.subject.opened.ctx.device
        latents_NZ, conditions_NK = _joined(inputs, self._beside)
        latents_NZ = latents_NZ.to(device)
        conditions_NK = None if conditions_NK is None else conditions_NK.to(device)
        generator = self.subject.generator

        def make() -> Tensor:
            if inputs.embedded:
                return generator.synthesize(latents_NZ, conditions_NK)
            made: Tensor = generator(latents_NZ) if conditions_NK is None else generator(latents_NZ, conditions_NK)
            return made

        return self.subject.opened.made(make, self.subject.stream(*purpose, "noise"))[0]

    def mixed(self, content: Inputs, style: Inputs, sizes: tuple[int, ...], *purpose: str | int) -> np.ndarray:
        """The picture of `content`, its layers at these sizes reading the maps of `style`; its noise is `picture`'s."""
        self.subject.pause()
        device = self.subject.opened.ctx.device
        generator = cast(MixesStyles, self.subject.generator)
        (content_NZ, condition_NK), (style_NZ, other_NK) = (
            [None if part is None else part.to(device) for part in _joined(inputs, self._beside)]
            for inputs in (content, style)
        )

        def make() -> Tensor:
            assert content_NZ is not None and style_NZ is not None
            with noise.drawn_from(self.subject.stream(*purpose, "noise-of-style")):
                maps = generator.style_maps(style_NZ, other_NK)
            return generator.with_styles(content_NZ, {size: maps[size] for size in sizes}, condition_NK)

        return self.subject.opened.made(make, self.subject.stream(*purpose, "noise"))[0]

    @torch.no_grad()
    def _read(self, count: int, latents: torch.Generator, sampler: torch.Generator) -> Inputs:
        """What the sampler gives the generator."""
        reader = _Reader(self.subject.generator)
        z_NZ = torch.randn(count, self.subject.generator.z_dim, generator=latents)
        self.subject.sampler(cast(Generator, reader), z_NZ.to(self.subject.opened.ctx.device), sampler)
        if reader.inputs is None or len(reader.inputs.latents_NZ) != count:
            raise UserError(
                f"run {self.subject.run.uid}: its method makes images otherwise than from latents and conditions, of "
                "which such pictures are made"
            )
        return reader.inputs


def _joined(inputs: Inputs, beside: Inputs | None) -> tuple[Tensor, Tensor | None]:
    """Latents and conditions of one picture, and of those that are made beside it."""
    if beside is None:
        return inputs.latents_NZ, inputs.conditions_NK
    latents_NZ = torch.cat([inputs.latents_NZ, beside.latents_NZ.to(inputs.latents_NZ.device)])
    if inputs.conditions_NK is None or beside.conditions_NK is None:
        return latents_NZ, None
    return latents_NZ, torch.cat([inputs.conditions_NK, beside.conditions_NK.to(inputs.conditions_NK.device)])


def on_the_way(start_Z: Tensor, end_Z: Tensor, share: float) -> Tensor:
    """A latent between two: its direction on the great circle (Shoemake 1985), its length between theirs.

    Latents from N(0, I) lie near a sphere; on the straight line between two of them are points that are too short for
    any. Of parallel and opposite latents, which have no one great circle, the straight line. float64 inside.
    """
    first_Z, last_Z = start_Z.double(), end_Z.double()
    lengths = first_Z.norm(), last_Z.norm()
    angle = torch.arccos((first_Z @ last_Z / (lengths[0] * lengths[1])).clamp(-1, 1))
    if not torch.isfinite(angle) or torch.sin(angle) < 1e-6:
        return torch.lerp(first_Z, last_Z, share).to(start_Z)
    direction_Z = torch.sin((1 - share) * angle) * first_Z / lengths[0] + torch.sin(share * angle) * last_Z / lengths[1]
    length = (1 - share) * lengths[0] + share * lengths[1]
    return (length * direction_Z / torch.sin(angle)).to(start_Z)
