"""What a discriminator's features keep of an image: a decoder trained on its frozen map (FastGAN, appendix B).

The map is the one that D's decision is made from, "the second-last layer's activation". Declared, as the appendix says
no more: the decoder is that of section 3.2, at most 128 px; each channel is moved and divided to mean 0 and deviation 1
over the images, which a decoder could do itself but for its start; and a map is of its image alone, by D in evaluation
mode: no other image has a part in its batch norms or in StyleGAN's minibatch deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import networks, seeds
from bench.evaluate.descent import frozen
from bench.features.extractor import without_tf32
from bench.files.memory_map import rows
from bench.networks.common.pixels import signed_images
from bench.networks.fastgan.layers import Decoder
from bench.networks.interface import Penultimate

LARGEST = 128  # pixels of what decoders make
STATISTICS = 1000  # images, at most, that a channel's mean and deviation are of
KEPT_BYTES = 2**30  # of maps that are computed once; those of a larger set are computed when they are needed
CONSTANT = 1e-6  # a deviation, relative to all channels', of a channel that says nothing


@dataclass(frozen=True)
class Training:
    """Steps of Adam, images of each, its rate, and the decoder's width, as in section 3.2."""

    steps: int
    batch: int
    lr: float
    width: int


class Maps:
    """The standardised maps (N, C, h, w) of a frozen D, of uint8 images (M, H, W, 3) by their positions."""

    def __init__(
        self,
        discriminator: nn.Module,
        images_NHWC: np.ndarray,
        device: str | torch.device,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        assert isinstance(discriminator, Penultimate)
        self.discriminator, self.images_NHWC, self.device, self.pause = discriminator, images_NHWC, device, pause
        first_NCHW = self._raw(range(min(len(images_NHWC), STATISTICS)))
        everything = first_NCHW.double().std()
        deviation_C = first_NCHW.double().std(dim=(0, 2, 3))
        silent = deviation_C <= CONSTANT * everything  # (C,)
        self._mean = first_NCHW.double().mean(dim=(0, 2, 3))[:, None, None]  # (C, 1, 1)
        self._deviation = torch.where(silent, torch.inf, deviation_C)[:, None, None]  # (C, 1, 1)
        fits = len(images_NHWC) * first_NCHW[0].nbytes <= KEPT_BYTES
        self._kept: dict[int, Tensor] | None = {} if fits else None
        if self._kept is not None:
            self._kept.update(enumerate(self._standardised(first_NCHW)))

    @property
    def channels(self) -> int:
        """C of the maps."""
        return len(self._mean)

    def __call__(self, positions: np.ndarray) -> Tensor:
        """The maps of these images, on the device."""
        if self._kept is None:
            return self._standardised(self._raw(positions))
        for position in positions:
            if int(position) not in self._kept:
                self._kept[int(position)] = self._standardised(self._raw([position]))[0]
        return torch.stack([self._kept[int(position)] for position in positions])

    def _standardised(self, map_NCHW: Tensor) -> Tensor:
        return ((map_NCHW.double() - self._mean) / self._deviation).float()

    @torch.no_grad()
    def _raw(self, positions: np.ndarray | range | list[int]) -> Tensor:
        maps = []
        with frozen(self.discriminator):
            for position in positions:
                self.pause()
                image_NCHW = signed_images(rows(self.images_NHWC, np.array([position])), self.device)
                maps.append(self.discriminator.feature_maps(image_NCHW).float())
        return torch.cat(maps)


def decoded_side(resolution: int) -> int:
    """Pixels of what is decoded: the largest power of two that is neither above the image's nor above LARGEST."""
    return 2 ** (min(resolution, LARGEST).bit_length() - 1)


def targets(images_NHWC: np.ndarray, positions: np.ndarray, device: str | torch.device) -> Tensor:
    """The images (N, 3, r, r) that are to be decoded, averaged down where they are larger."""
    images_NCHW = signed_images(rows(images_NHWC, positions), device)
    side = decoded_side(images_NHWC.shape[1])
    return images_NCHW if images_NCHW.shape[2] == side else F.interpolate(images_NCHW, size=side, mode="area")


@without_tf32()
def trained_decoder(
    maps: Maps,
    lpips: nn.Module,
    training: Training,
    seed: int,
    pause: Callable[[], None] = lambda: None,
) -> nn.Module:
    """A decoder, in evaluation mode, after so many steps on the maps' images by the mean LPIPS of a batch.

    seed: of its weights and of the order of the images, which are all seen once before one is seen again.
    """
    side = decoded_side(maps.images_NHWC.shape[1])
    with networks.initialised(seed, "decoder"):
        decoder = Decoder(maps.channels, width=training.width, resolution=side)
    decoder = decoder.to(maps.device).train()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=training.lr, betas=(0.5, 0.999))
    for positions in batch_positions(len(maps.images_NHWC), training, seed):
        pause()
        wanted_NCHW = targets(maps.images_NHWC, positions, maps.device)
        with torch.enable_grad():
            loss = lpips(decoder(maps(positions)), wanted_NCHW).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return decoder.eval()


def batch_positions(count: int, training: Training, seed: int) -> Iterator[np.ndarray]:
    """The positions of each step's images, in a new order in every pass."""
    ahead, passes = np.empty(0, np.int64), 0
    for _ in range(training.steps):
        while len(ahead) < training.batch:
            order = seeds.numpy_stream(seed, "decoder", "order", passes).permutation(count)
            ahead, passes = np.concatenate([ahead, order]), passes + 1
        yield ahead[: training.batch]
        ahead = ahead[training.batch :]


@without_tf32()
@torch.no_grad()
def decoded(
    maps: Maps, decoder: nn.Module, lpips: nn.Module, count: int, pause: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """The first `count` images as the decoder makes them (N, 3, r, r), on the CPU, and their LPIPS (N,) in float64."""
    images, distances = [], []
    for first in range(0, count, 8):
        pause()
        positions = np.arange(first, min(first + 8, count))
        made_NCHW = decoder(maps(positions))
        wanted_NCHW = targets(maps.images_NHWC, positions, maps.device)
        distances.append(lpips(made_NCHW, wanted_NCHW).flatten().double().cpu())
        images.append(made_NCHW.cpu())
    return torch.cat(images), torch.cat(distances)
