"""Features of real images, for the scores of all snapshots: of the reference, and of a generator's training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bench import features
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.features.cache import cached_features

if TYPE_CHECKING:
    from bench.features.extractor import Extractor

Value = TypeVar("Value")
Training = Callable[[], tuple[np.ndarray, str]]


def tied(features: np.ndarray, digests: Sequence[bytes], known: dict[bytes, np.ndarray] | None = None) -> np.ndarray:
    """Features (N, D) in which equal pictures have equal vectors: the known one, else the first copy's.

    The last digits of a network's output depend on a picture's place in its batch and on the batch size. Without this,
    copies would be neighbours at a distance of rounding error, in an order that means nothing.
    """
    first, same = dict(known or {}), features.copy()
    for place, digest in enumerate(digests):
        same[place] = first.setdefault(digest, same[place])
    return same


class RealSets:
    """Real images, and what is computed of them: each once, when it is first needed.

    reference_u8, reference_sha256: images (N, H, W, 3), and their content hash, which names their cached features.
    training: gives the images (T, H, W, 3) that the generator was trained on, and a name of exactly these images.
    """

    def __init__(
        self, reference_u8: np.ndarray, reference_sha256: str, device: str, training: Training | None = None
    ) -> None:
        self.reference_u8, self.reference_sha256 = reference_u8, reference_sha256
        self.device, self._training = device, training
        self._kept: dict[tuple[str | int, ...], object] = {}

    def once(self, compute: Callable[[], Value], *key: str | int) -> Value:
        """`compute()`, computed once per `key`."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]  # type: ignore[return-value]  # a key has one kind of value

    def extractor(self, spec: str) -> Extractor:
        """The extractor of a spec. Raises UserError where weights are missing."""
        return self.once(lambda: features.load(spec, self.device), spec, "extractor")

    # ---- the reference ---------------------------------------------------------------------------

    def reference(self, spec: str) -> np.ndarray:
        """Features (N, D) of the reference."""
        return self.once(lambda: self._features(spec, self.reference_u8, self.reference_sha256, "the reference of a "
                                                "protocol"), spec, "features")  # fmt: skip

    def digests(self) -> list[bytes]:
        """The digest of each reference image."""
        return self.once(lambda: image_digests(self.reference_u8), "digests")

    def tied_reference(self, spec: str) -> np.ndarray:
        """Features of the reference, equal ones for equal pictures."""
        return self.once(lambda: tied(self.reference(spec), self.digests()), spec, "tied")

    def known(self, spec: str) -> dict[bytes, np.ndarray]:
        """The features of each reference picture, by its digest."""
        return dict(zip(self.digests(), self.tied_reference(spec), strict=True))

    # ---- what the generator was trained on -------------------------------------------------------

    def train(self, spec: str) -> np.ndarray:
        """Features (T, D) of the training images, equal ones for equal pictures. UserError where they are not known."""
        images_u8, sha256 = self._training_images()
        return self.once(
            lambda: tied(self._features(spec, images_u8, sha256, "training images"), self._training_digests()),
            spec,
            "training",
        )

    def reference_beside_train(self, spec: str) -> np.ndarray:
        """Features of the reference, those of training images for pictures that are among these."""

        def compute() -> np.ndarray:
            known = dict(zip(self._training_digests(), self.train(spec), strict=True))
            return tied(self.reference(spec), self.digests(), known)

        return self.once(compute, spec, "beside training")

    def known_of_all(self, spec: str) -> dict[bytes, np.ndarray]:
        """The features of each real picture, by its digest."""
        digests = [*self._training_digests(), *self.digests()]
        return dict(zip(digests, [*self.train(spec), *self.reference_beside_train(spec)], strict=True))

    def _training_images(self) -> tuple[np.ndarray, str]:
        if self._training is None:
            raise UserError("the training images, which a score looks at, are not known here")
        return self.once(self._training, "training images")

    def _training_digests(self) -> list[bytes]:
        return self.once(lambda: image_digests(self._training_images()[0]), "training digests")

    def _features(self, spec: str, images_u8: np.ndarray, sha256: str, purpose: str) -> np.ndarray:
        return cached_features(self.extractor(spec), images_u8, sha256, purpose)
