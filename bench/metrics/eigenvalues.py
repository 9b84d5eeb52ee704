"""Eigenvalues of symmetric matrices, by the fastest LAPACK that is at hand."""

from __future__ import annotations

import sys

import numpy as np
from scipy import linalg


def symmetric_eigenvalues(upper: np.ndarray) -> np.ndarray:
    """The eigenvalues (D,) of a symmetric matrix (D, D), ascending, in float64; only its upper triangle is read.

    Where torch is loaded, as wherever features are extracted, its LAPACK computes them in less than half the time of
    scipy's (0.46 s against 1.1 s at D = 2,048 with MKL). Both are backward stable: they differ by some 1e-16 of the
    largest eigenvalue. torch is not loaded for that, which would take longer than it saves.
    """
    matrix = np.asarray(upper, np.float64)
    if (torch := sys.modules.get("torch")) is not None:
        return np.asarray(torch.linalg.eigvalsh(torch.from_numpy(matrix), UPLO="U").numpy())
    # evd: the default driver computes eigenvalues alone four times as slowly
    return np.asarray(linalg.eigvalsh(matrix, lower=False, driver="evd", check_finite=False))
