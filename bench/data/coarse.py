"""Coarse classes of a set whose classes belong to larger ones: CIFAR-100's superclasses, a drawn set's styles."""

from __future__ import annotations

import numpy as np

from bench.data.built_set import ImageSet
from bench.errors import UserError

NOTE = "coarse classes"  # in a set's notes: fine class name -> coarse class name


def coarse_labels(images: ImageSet) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Labels (N,) int64 of training and of test images as indices into the names of the coarse classes.

    Raises UserError for a set that has no coarse classes.
    """
    coarse_of = images.notes.get(NOTE)
    if coarse_of is None or images.train_labels is None or images.test_labels is None:
        raise UserError(f"data set '{images.name}' has no coarse classes")
    names = tuple(dict.fromkeys(coarse_of[fine] for fine in images.class_names))
    index = np.array([names.index(coarse_of[fine]) for fine in images.class_names], np.int64)
    return index[images.train_labels], index[images.test_labels], names
