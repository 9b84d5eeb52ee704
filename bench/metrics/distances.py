"""Squared Euclidean distances in blocks, compared exactly: equal pairs of vectors always tie.

|x|^2 + |y|^2 - 2 x.y is a fast matrix product, but it suffers from cancellation, and its last digits depend on the
block, the library and the processor. The distance of a vector to its copy comes out as some small number in place
of 0, and chance decides which of two such numbers is the smaller. So the product decides only the comparisons that
its error bound leaves in no doubt. The others are computed again as sum((x - y)^2) in float64. That is exactly 0 for
copies, and always the same number for the same two vectors, in either order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK = 512  # rows of a distance matrix held at once
_PAIRS = 4096  # pairs of vectors computed one by one at once


class SquaredDistances:
    """From points (M, D) to targets (N, D)."""

    def __init__(self, targets: np.ndarray, points: np.ndarray) -> None:
        self.targets = np.asarray(targets, np.float64)
        self.norms = np.einsum("nd,nd->n", self.targets, self.targets)
        self.points = points
        numbers: dict[bytes, int] = {}
        kind = np.result_type(targets, points)
        self.target_ids, self.point_ids = (_numbered(part, numbers, kind) for part in (targets, points))
        self.distinct = len(numbers)

    def smallest(self, k: int) -> np.ndarray:
        """(M,) float64: each point's distance at place k among its sorted distances, counted from 0."""
        return np.concatenate([self._smallest_of(*block, k) for block in self._blocks()])

    def at_most(self, limits: np.ndarray) -> Iterator[np.ndarray]:
        """Whether the distances are <= the targets' own limits (N,): bool (block, N), block by block."""
        for start, squared, slack in self._blocks():
            inside = squared <= limits + slack
            rows, columns = _where(inside)
            doubtful = squared[rows, columns] >= (limits - slack)[columns]
            rows, columns = rows[doubtful], columns[doubtful]
            inside[rows, columns] = self._exact(start + rows, columns) <= limits[columns]
            yield inside

    def _blocks(self) -> Iterator[tuple[int, np.ndarray, float]]:
        """(start, distances (block, N), their largest error); those of equal vectors are 0.

        The error of a dot product of D terms in any order is at most D u |x||y|, u = 2^-53 (Higham, Accuracy
        and Stability of Numerical Algorithms, 3.1); with both norms, the sums and the exact computation's own
        error that is below (D + 8) 2u (|x| + |y|)^2.
        """
        unit = (self.targets.shape[1] + 8) * np.finfo(np.float64).eps
        farthest = np.sqrt(self.norms.max())
        for start in range(0, len(self.points), BLOCK):
            rows = np.asarray(self.points[start : start + BLOCK], np.float64)
            own = np.einsum("nd,nd->n", rows, rows)
            squared = (-2 * rows) @ self.targets.T
            squared += own[:, None]
            squared += self.norms
            squared[self.point_ids[start : start + BLOCK, None] == self.target_ids] = 0
            yield start, squared, unit * float(np.sqrt(own.max()) + farthest) ** 2

    def _smallest_of(self, start: int, squared: np.ndarray, slack: float, k: int) -> np.ndarray:
        """The place-k distances of one block: those that the bound leaves in doubt are ranked exactly."""
        # Pairs that may be among the k + 1 smallest of their row, and how many of them are certainly below place k.
        near = np.partition(squared, k, axis=1)[:, k]
        in_doubt = near != 0  # where it is 0 there are more than k copies, and the distance is 0
        rows, columns = _where(squared <= np.where(in_doubt, near + 2 * slack, -1.0)[:, None])
        sure = squared[rows, columns] < near[rows] - 2 * slack
        below = np.bincount(rows[sure], minlength=len(squared))
        # The doubtful pairs are ranked by their exact distance.
        rows, columns = rows[~sure], columns[~sure]
        values = self._exact(start + rows, columns)
        order = np.lexsort((values, rows))
        distances = np.zeros(len(squared))
        first = np.searchsorted(rows, np.flatnonzero(in_doubt))
        distances[in_doubt] = values[order][first + k - below[in_doubt]]
        return distances

    def _exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """sum((x - y)^2) of each pair, computed once for all pairs of equal vectors."""
        keys = self.point_ids[rows] * self.distinct + self.target_ids[columns]
        _, once, back = np.unique(keys, return_index=True, return_inverse=True)
        values = np.empty(len(once))
        for start in range(0, len(once), _PAIRS):
            chosen = once[start : start + _PAIRS]
            gaps = np.asarray(self.points[rows[chosen]], np.float64) - self.targets[columns[chosen]]
            values[start : start + _PAIRS] = np.square(gaps).sum(axis=1)
        return values[back]


def _where(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns where a mask is true, row by row; much faster than np.nonzero on a sparse mask."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


def _numbered(vectors: np.ndarray, numbers: dict[bytes, int], kind: np.dtype[Any]) -> np.ndarray:
    """A number (len,) for each vector, the same for equal vectors; `numbers` collects them over several calls."""
    zeros_alike = np.ascontiguousarray(vectors, kind) + 0  # minus zero becomes zero
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in zeros_alike)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.int64)
