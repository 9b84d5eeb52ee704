"""How alike pairs of images are: cosine similarity of features, distance of pixels; pairs of training images, and of a
training image and what is made from its condition.

Images are held a block at a time; what is drawn for a block depends on its number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from bench.errors import UserError
from bench.evaluate.conditioned import images_like
from bench.evaluate.subject import Subject
from bench.features.extractor import without_tf32
from bench.files.memory_map import rows
from bench.networks.common.pixels import signed_images
from bench.networks.interface import Penultimate, looks_at_the_batch

BLOCK = 256
Features = Callable[[np.ndarray], np.ndarray]  # uint8 images (N, H, W, 3) -> (N, D)
PIXELS = "pixels"


class Likeness:
    """The likeness of pairs of one run's images in several spaces.

    spaces: "perceptual", the features of `extractor`; "discriminator", those that D's linear head reads; or "pixels",
    whose likeness is a Euclidean distance of images in [-1, 1], and so the smaller the more alike.
    """

    def __init__(self, subject: Subject, spaces: Sequence[str], extractor: str | None) -> None:
        self._subject, self._spaces = subject, tuple(spaces)
        self._features: dict[str, Features] = {}
        if "perceptual" in spaces:
            assert extractor is not None, "its settings have one"
            self._features["perceptual"] = lambda images: subject.features(images, extractor)
        if "discriminator" in spaces:
            self._features["discriminator"] = discriminator_features(subject)

    def of_training_images(self, first_N: np.ndarray, second_N: np.ndarray) -> list[np.ndarray]:
        """The likeness (N,) float64 of training images at these positions, in each space."""
        train = self._subject.train_images
        used, places = np.unique(np.concatenate([first_N, second_N]), return_inverse=True)
        one_N, other_N = places[: len(first_N)], places[len(first_N) :]
        found = []
        for space in self._spaces:
            if space == PIXELS:  # a table of all pixels would be large
                parts = [self._compared(space, rows(train, a), rows(train, b)) for a, b in _blocks(first_N, second_N)]
            else:
                table = np.concatenate([self._features[space](rows(train, block)) for (block,) in _blocks(used)])
                parts = [cosines(table[a], table[b]) for a, b in _blocks(one_N, other_N)]
            found.append(np.concatenate(parts))
        return found

    def of_made_images(self, index_N: np.ndarray) -> list[np.ndarray]:
        """The likeness (N,) float64 of training images and G(z | C(x)) of each, in each space."""
        parts: list[list[np.ndarray]] = [[] for _ in self._spaces]
        for number, (block,) in enumerate(_blocks(index_N)):
            made = images_like(self._subject, block, number)
            for space, of_space in zip(self._spaces, parts, strict=True):
                of_space.append(self._compared(space, rows(self._subject.train_images, block), made))
        return [np.concatenate(of_space) for of_space in parts]

    def _compared(self, space: str, one_NHWC: np.ndarray, other_NHWC: np.ndarray) -> np.ndarray:
        self._subject.pause()
        if space == PIXELS:
            gaps = (one_NHWC.astype(np.float64) - other_NHWC) / 127.5
            far_N: np.ndarray = np.sqrt(np.square(gaps).sum((1, 2, 3)))
            return far_N
        return cosines(self._features[space](one_NHWC), self._features[space](other_NHWC))


def cosines(one_ND: np.ndarray, other_ND: np.ndarray) -> np.ndarray:
    """The cosine (N,) float64 of the angle between rows. Raises UserError for a row of zeros, which has no angle."""
    one, other = one_ND.astype(np.float64), other_ND.astype(np.float64)
    sizes_N = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    if not sizes_N.all():
        raise UserError("cosine similarity: the features of an image are all 0, so that they have no angle to others")
    cosines_N: np.ndarray = np.einsum("nd,nd->n", one, other) / sizes_N
    return cosines_N


def random_pairs(count: int, pairs: int, stream: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two positions among `count` images for each pair, never the same: (pairs,) each. UserError for fewer than two."""
    if count < 2:
        raise UserError("random pairs need at least two training images")
    first_N = torch.randint(count, (pairs,), generator=stream)
    step_N = torch.randint(1, count, (pairs,), generator=stream)
    return first_N.numpy(), ((first_N + step_N) % count).numpy()


def discriminator_features(subject: Subject) -> Features:
    """What D's linear head reads of images, as it does in evaluation.

    Raises UserError for a D without such features, and for one whose features of an image depend on the others.
    """
    network = subject.discriminator.eval()
    if not isinstance(network, Penultimate):
        raise UserError(f"the discriminator of run {subject.run.uid} has no features before its last layer")
    if looks_at_the_batch(network):
        raise UserError(f"the discriminator of run {subject.run.uid} looks at whole batches: an image has no features")

    def features(images_NHWC: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), without_tf32():
            images_NCHW = signed_images(images_NHWC, subject.device)
            parts = [network.features(part).float().cpu() for part in images_NCHW.split(32)]
        return torch.cat(parts).numpy()

    return features


def _blocks(*arrays: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    return [tuple(array[at : at + BLOCK] for array in arrays) for at in range(0, len(arrays[0]), BLOCK)]
