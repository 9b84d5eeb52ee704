"""Features of fixed images (references, training sets, priors) are computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.features.cache_bound import features_folder, make_room, used
from bench.files import atomic
from bench.files.memory_map import parts, update_digest

if TYPE_CHECKING:
    from bench.features.extractor import Extractor


def cached_features(
    extractor: Extractor, images_u8: np.ndarray, images_sha256: str | None = None, purpose: str = "images"
) -> np.ndarray:
    """Features (N, dim) float32 of uint8 images (N, H, W, 3), from the cache where they were computed before.

    images_sha256: the content hash of exactly these images, which is trusted; computed where it is None.
    purpose: what they are for, used in messages only. A damaged file is computed again, and a cache that cannot be
    written does not stop a run. Both are reported on stderr, as is what goes to make room (bench.features.cache_bound).
    """
    path = feature_path(extractor, len(images_u8), images_sha256 or images_digest(images_u8))
    if path.is_file():
        try:
            features = _read(path, (len(images_u8), extractor.dim))
            used(path)
            return features
        except FileNotFoundError:
            pass  # it has just gone, to make room for others
        except (OSError, ValueError, EOFError) as error:
            print(f"cached features {path} ({purpose}) are damaged ({error}): computed again", file=sys.stderr)
    features = extractor(images_u8)
    if not make_room(features.nbytes):
        return features
    try:
        with atomic.replacing(path) as file:  # as np.save writes it, but without a copy
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(features))
            file.write(features.data)
    except OSError as error:
        print(f"features ({purpose}) cannot be kept at {path}: {error.strerror}", file=sys.stderr)
    return features


def feature_path(extractor: Extractor, count: int, images_sha256: str) -> Path:
    """Where the features are kept; every input that could change them is part of the name."""
    key = [extractor.name, extractor.weights_sha256, extractor.resize, count, images_sha256]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return features_folder() / f"{re.sub(r'[^A-Za-z0-9_@.-]', '_', extractor.name)}-{digest}.npy"


def images_digest(images_u8: np.ndarray) -> str:
    """The sha256 of images by which their features are kept: of type, shape and pixels."""
    content = hashlib.sha256(f"{images_u8.dtype} {images_u8.shape} ".encode())
    update_digest(content, images_u8)
    return content.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
    features: np.ndarray = np.load(path, allow_pickle=False)
    if features.shape != shape or features.dtype != np.float32:
        raise ValueError(f"{features.dtype} {features.shape} in place of float32 {shape}")
    if not all(np.isfinite(part).all() for part in parts(features)):
        raise ValueError("not all values are finite")
    return features
