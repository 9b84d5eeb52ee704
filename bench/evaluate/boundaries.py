"""Boundaries of attributes in a latent space: linear SVMs by InterFaceGAN's procedure (Shen et al. 2020, section 2).

Codes of the images that score highest and lowest train a linear SVM; its hyperplane is then tried on all the codes in
between, whose answer is whether the score lies above the middle of its range, as in the published code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.svm import SVC

from bench.errors import UserError

AT_ONCE = 50_000  # codes in float64, of half a million in float32


@dataclass(frozen=True)
class Boundary:
    """The hyperplane normal . code + offset = 0, on whose positive side the attribute is said to be there.

    accuracy: share of the codes in between that lie on the side of their answer. majority: share of the more frequent
    answer among them, which a constant would have. normal_Z: of length 1. offset: so that normal . code + offset is
    the distance of a code.
    """

    accuracy: float
    majority: float
    normal_Z: np.ndarray
    offset: float


def boundary(
    codes_NZ: np.ndarray, scores_N: np.ndarray, each_side: int, train_share: float, stream: np.random.Generator
) -> Boundary:
    """The boundary of one attribute.

    each_side: how many of the highest and of the lowest scores are set apart. train_share: which share of these train
    the SVM, drawn from the stream (LT-GAN 4.3: 14,000 of 20,000). The SVM is scikit-learn's SVC with a linear kernel
    and its default constants (C = 1), as in InterFaceGAN's code.

    Raises UserError where the scores are all equal, and where the drawn codes are all of one side.
    """
    # The extremes of the score, and the codes in between. Equal scores stay in the order of generation.
    order_N = np.argsort(scores_N, kind="stable")
    low, high, between = order_N[:each_side], order_N[-each_side:], order_N[each_side:-each_side]
    if scores_N[order_N[0]] == scores_N[order_N[-1]]:
        raise UserError(f"all {len(scores_N)} images have the same score, {scores_N[0]:g}: there is nothing to tell")

    # The SVM, on a part of the extremes.
    extremes = np.concatenate([low, high])
    drawn = stream.permutation(len(extremes))[: round(train_share * len(extremes))]
    is_high = drawn >= each_side
    if is_high.all() or not is_high.any():
        raise UserError(f"the {len(drawn)} codes that were drawn for the SVM are all of one side; draw more of them")
    svm = SVC(kernel="linear").fit(codes_NZ[extremes[drawn]].astype(np.float64), is_high)
    weights_Z, bias = svm.coef_[0], float(svm.intercept_[0])

    # How it does in between.
    answer = scores_N[between] > (scores_N[order_N[0]] + scores_N[order_N[-1]]) / 2
    parts = np.array_split(between, 1 + len(between) // AT_ONCE)
    said = np.concatenate([codes_NZ[part].astype(np.float64) @ weights_Z for part in parts]) + bias > 0
    share = float(answer.mean())
    length = float(np.linalg.norm(weights_Z))
    return Boundary(float((said == answer).mean()), max(share, 1 - share), weights_Z / length, bias / length)


def correlations(scores_NA: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every two attributes' scores, (A, A) (LT-GAN, section 5).

    Raises UserError for an attribute whose scores are all equal, which has none.
    """
    centred_NA = scores_NA.astype(np.float64) - scores_NA.mean(axis=0, dtype=np.float64)
    deviation_A = np.sqrt((centred_NA**2).mean(axis=0))
    if not deviation_A.all():
        place = int(np.flatnonzero(deviation_A == 0)[0])
        raise UserError(f"attribute {place} has the same score on all images: it has no correlation")
    return (centred_NA.T @ centred_NA) / len(scores_NA) / np.outer(deviation_A, deviation_A)
