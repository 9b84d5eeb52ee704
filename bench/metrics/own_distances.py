"""Nearest neighbours within one set: every pair of blocks is multiplied once, as d(x, y) = d(y, x).

A row then has its distances piece by piece. What it keeps of them are those that may be among its k + 1 smallest: its
first piece bounds these, and the bound falls as more pieces come.
"""

from __future__ import annotations

import numpy as np

from bench.metrics import distances
from bench.metrics.distances import SquaredDistances, where

SHARE = 8  # a first piece bounds the k-th neighbour well if it has this many times k distances a row
KEPT = 4  # distances that are kept a row, in units of k + 1, until the bound is computed anew; 128 at least


class OwnDistances(SquaredDistances):
    """From features (N, D) to themselves."""

    def __init__(self, features: np.ndarray) -> None:
        super().__init__(features, features)

    def smallest(self, k: int) -> np.ndarray:
        """(N,) float64: each feature's distance at place k among its sorted distances; at place 0 is itself."""
        few = len(self.points) <= distances.BLOCK or k * SHARE > distances.BLOCK
        found = None if few else self.by_halves(k)
        return super().smallest(k) if found is None else found

    def by_halves(self, k: int) -> np.ndarray | None:
        """`smallest`; None where 32 bits leave too many pairs in doubt."""
        slack = self._slack(2 * float(self.point_lengths.max()) / self.scale, np.float32)
        copies = np.bincount(self.point_ids)[self.point_ids]  # itself among them
        edges = np.linspace(0, len(self.points), -(-len(self.points) // distances.BLOCK) + 1).astype(int)
        blocks = [slice(*ends) for ends in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        kept = [_Nearest(k, slack, copies[block] > k) for block in blocks]
        # Blocks with themselves come first: they give every row its bound.
        for block, nearest in zip(blocks, kept, strict=True):
            squared = self._pieces(block, block)
            nearest.bound(squared)
            nearest.add(squared <= nearest.limits[:, None], squared, block.start)
        for number, (block, nearest) in enumerate(zip(blocks, kept, strict=True)):
            rows = self._centred(self.points[block], np.float32)
            for other, others in zip(blocks[number + 1 :], kept[number + 1 :], strict=True):
                squared = self._pieces(block, other, rows)
                nearest.add(squared <= nearest.limits[:, None], squared, other.start)
                others.add((squared <= others.limits).T, squared.T, block.start)
                if nearest.crowded or others.crowded:
                    return None
        parts = [self._settled(block, nearest) for block, nearest in zip(blocks, kept, strict=True)]
        return None if any(part is None for part in parts) else np.concatenate(parts)  # type: ignore[arg-type]

    def _pieces(self, block: slice, other: slice, rows: np.ndarray | None = None) -> np.ndarray:
        """The distances between two blocks, float32. rows: the centred vectors of the first, if they are there."""
        rows = self._centred(self.points[block], np.float32) if rows is None else rows
        squared = np.empty((len(rows), other.stop - other.start), np.float32)
        self._multiply(rows, block, other, squared)
        return squared

    def _settled(self, block: slice, nearest: _Nearest) -> np.ndarray | None:
        """The distances at place k of a block's rows; None where too many pairs are in doubt."""
        nearest.tighten()
        if nearest.crowded:
            return None
        near = nearest.near.astype(np.float64)
        sure = nearest.values < near[nearest.rows] - 2 * nearest.slack
        below = np.bincount(nearest.rows[sure], minlength=len(near))
        rows, columns = nearest.rows[~sure], nearest.columns[~sure]
        return self._ranked(block.start, rows, columns, nearest.k - below, np.isfinite(nearest.limits))


class _Nearest:
    """The pairs of a block's rows that may be among the k + 1 smallest of their row.

    settled: (block,) bool, the rows whose distance is known to be 0; nothing is kept for them.
    """

    def __init__(self, k: int, slack: float, settled: np.ndarray) -> None:
        self.k, self.slack, self._most = k, slack, max(KEPT * (k + 1), 128) * len(settled)
        self.limits = np.where(settled, -np.inf, np.inf).astype(np.float32)
        self.near = np.full(len(settled), np.inf, np.float32)
        self.rows = self.columns = np.empty(0, np.int32)
        self.values = np.empty(0, np.float32)
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._count = 0
        self.crowded = False  # too many pairs are too near to the bound to tell them apart

    def bound(self, squared: np.ndarray) -> None:
        """Bound the rows by some of their distances (block, at least k + 1)."""
        self._lower(np.partition(squared, self.k, axis=1)[:, self.k])

    def add(self, inside: np.ndarray, squared: np.ndarray, first: int) -> None:
        """Keep the distances (block, n) where `inside` is true; the columns count from `first`."""
        if inside.flags.c_contiguous:
            rows, columns = where(inside)
        else:
            columns, rows = where(inside.T)
        self._parts.append((rows.astype(np.int32), (columns + first).astype(np.int32), squared[rows, columns]))
        self._count += len(rows)
        if self._count > self._most:
            self.tighten()

    def tighten(self) -> None:
        """Sort what is kept by row and distance, lower the bounds by it, and drop what is beyond them."""
        parts = [(self.rows, self.columns, self.values), *self._parts]
        rows, columns, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        # One key of 64 bits sorts by both: numbers of 32 bits that are not negative sort as their bits do.
        values = np.maximum(values, 0) + np.float32(0)  # the sum has no minus zero
        order = np.argsort(rows.astype(np.uint64) << np.uint64(32) | values.view(np.uint32))
        rows, columns, values = rows[order], columns[order], values[order]
        first, count = np.searchsorted(rows, np.arange(len(self.limits))), np.bincount(rows, minlength=len(self.limits))
        enough = count > self.k
        near = np.full(len(self.limits), np.inf, np.float32)
        near[enough] = values[first[enough] + self.k]
        self._lower(near)
        inside = values <= self.limits[rows]
        self.rows, self.columns, self.values = rows[inside], columns[inside], values[inside]
        self._parts, self._count = [], len(self.values)
        self.crowded = 2 * self._count > self._most

    def _lower(self, near: np.ndarray) -> None:
        self.near = np.minimum(self.near, near)
        upper = (self.near.astype(np.float64) + 2 * self.slack).astype(np.float32)
        self.limits = np.minimum(self.limits, np.nextafter(upper, np.float32(np.inf)))
