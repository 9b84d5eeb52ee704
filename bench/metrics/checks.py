"""Checks that every metric makes of its features, with errors that name the argument."""

from __future__ import annotations

import numpy as np

from bench.errors import UserError


def check_features(**sets: np.ndarray) -> None:
    """Raise UserError unless each set is a finite (N, D) array with N >= 2, and all have the same D.

    The error names the argument at fault.
    """
    width: int | None = None
    for name, features in sets.items():
        if features.ndim != 2 or features.shape[1] == 0:
            raise UserError(f"{name} features have shape {features.shape}, must be (N, D)")
        if len(features) < 2:
            raise UserError(f"{name} features hold {len(features)} rows, must be at least 2")
        if width is not None and features.shape[1] != width:
            raise UserError(f"{name} features have {features.shape[1]} columns, the others {width}; must be the same")
        width = features.shape[1]
        if not np.isfinite(features).all():
            raise UserError(f"{name} features hold NaN or infinite values, must be finite")


def check_neighbour(k: int, name: str, features: np.ndarray) -> None:
    """Raise UserError unless a k-th neighbour exists in `features` (N, D): 1 <= k < N."""
    if not 1 <= k < len(features):
        raise UserError(f"k={k} is impossible with {len(features)} {name} features, must be 1 to {len(features) - 1}")
