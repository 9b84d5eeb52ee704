"""Labels of which a share is wrong (DISP, supplementary: priors from classifiers that learned corrupted labels)."""

from __future__ import annotations

import numpy as np


def corrupted(
    labels_N: np.ndarray, index_M: np.ndarray, count: int, classes: int, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The labels (M,) int64 of the images `index_M` with `count` of them wrong, and which ones are (M,) bool.

    labels_N: of the whole train split, in 0 to classes - 1, classes at least 2.

    Each image of the split has one wrong label, uniform over the other classes, and a rank that decides who is wrong
    first. So the wrong labels of a share are among those of a larger share, and an image that is wrong in two draws of
    a seed has the same wrong label in both.
    """
    rank_N = stream.permutation(len(labels_N))
    shift_N = stream.integers(1, classes, len(labels_N))
    is_wrong_M = np.zeros(len(index_M), bool)
    is_wrong_M[np.argsort(rank_N[index_M], kind="stable")[:count]] = True
    labels_M = labels_N[index_M].astype(np.int64)
    labels_M[is_wrong_M] = (labels_M[is_wrong_M] + shift_N[index_M][is_wrong_M]) % classes
    return labels_M, is_wrong_M
