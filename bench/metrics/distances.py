"""Squared Euclidean distances in blocks, compared exactly: equal pairs of vectors always tie.

|x|^2 + |y|^2 - 2 x.y is a fast matrix product, but it suffers from cancellation, and its last digits depend on the
block, the library and the processor. The distance of a vector to its copy comes out as some small number in place
of 0, and chance decides which of two such numbers is the smaller. So the product decides only the comparisons that
its error bound leaves in no doubt. The others are computed again as sum((x - y)^2) in float64. That is exactly 0 for
copies, and always the same number for the same two vectors, in either order.

As it only has to sort out the clear cases, the product is of 32 bits, of vectors about the targets' mean. Where that
leaves many pairs in doubt, as between tight clusters far apart, the block is computed again in 64 bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

BLOCK = 1024  # rows of a distance matrix held at once
TILE = 4096  # targets that are converted and multiplied at once
_PAIRS = 2048  # pairs of vectors computed one by one at once
_DOUBTFUL = 1 / 100  # the share of a block's pairs in doubt from which 64 bits are cheaper than pair by pair


Found = TypeVar("Found")


class Block(NamedTuple):
    """The distances of some points, in the units of `SquaredDistances.scale`, and how wrong they can be at most."""

    start: int
    squared: np.ndarray  # (block, N), float32 or float64; 0 between equal vectors
    slack: float
    copies: np.ndarray  # (block,) how many targets equal each point


class SquaredDistances:
    """From points (M, D) to targets (N, D)."""

    def __init__(self, targets: np.ndarray, points: np.ndarray) -> None:
        self.targets, self.points = targets, points
        kind = np.result_type(targets, points)
        self.centre = targets.mean(axis=0, dtype=np.float64).astype(kind)
        self.target_lengths = self._lengths(targets)
        self.point_lengths = self.target_lengths if points is targets else self._lengths(points)
        # Vectors are divided by a power of two near the longest, so that no square leaves the range of 32 bits.
        longest = max(self.target_lengths.max(), self.point_lengths.max())
        self.scale = float(2.0 ** np.ceil(np.log2(longest))) if longest > 0 else 1.0
        numbers: dict[bytes, int] = {}
        self.target_ids = _numbered(targets, numbers, kind)
        self.point_ids = self.target_ids if points is targets else _numbered(points, numbers, kind)
        self.distinct = len(numbers)
        self.any_copies = bool(np.isin(self.point_ids, self.target_ids).any())

    def smallest(self, k: int) -> np.ndarray:
        """(M,) float64: each point's distance at place k among its sorted distances, counted from 0."""
        return np.concatenate([self._tried(start, lambda block: self._smallest(block, k)) for start in self._starts()])

    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """(M,) int64 and (M,) float64: each point's nearest target (the first of equal ones), and its distance."""
        parts = [self._tried(start, self._nearest) for start in self._starts()]
        return np.concatenate([places for places, _ in parts]), np.concatenate([values for _, values in parts])

    def at_most(self, limits: np.ndarray) -> Iterator[np.ndarray]:
        """Whether the distances are <= the targets' own limits (N,): bool (block, N), block by block."""
        for start in self._starts():
            yield self._tried(start, lambda block: self._inside(block, limits))

    def at_most_both(self, limits: np.ndarray, of_points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same beside whether they are <= the points' own limits (M,), from one product."""

        def decide(block: Block) -> tuple[np.ndarray, np.ndarray] | None:
            of_targets = self._inside(block, limits)
            own = of_points[block.start : block.start + BLOCK, None]
            of_both = None if of_targets is None else self._inside(block, own)
            return None if of_targets is None or of_both is None else (of_targets, of_both)

        for start in self._starts():
            yield self._tried(start, decide)

    # ---- one block -------------------------------------------------------------------------------

    def _starts(self) -> range:
        return range(0, len(self.points), BLOCK)

    def _tried(self, start: int, decide: Callable[[Block], Found | None]) -> Found:
        """What `decide` makes of a block; in 64 bits where 32 leave so many pairs in doubt that it returns None."""
        found = decide(self._block(start, np.float32))
        if found is None:
            found = decide(self._block(start, np.float64))
        assert found is not None, "64 bits decide whatever is in doubt"
        return found

    def _block(self, start: int, kind: type[np.floating[Any]]) -> Block:
        """The distances of BLOCK points by a product of this precision.

        The error of a dot product of D terms in any order is at most D u |x||y|, u the unit roundoff (Higham, Accuracy
        and Stability of Numerical Algorithms, 3.1); with the norms, the sums, the rounding of the centred vectors and
        the exact computation's own error, that is below (D + 8) 2u (|x| + |y|)^2.
        """
        here = slice(start, start + BLOCK)
        rows = self._centred(self.points[here], kind)
        squared = np.empty((len(rows), len(self.targets)), kind)
        for first in range(0, len(self.targets), TILE):
            tile = slice(first, first + TILE)
            self._multiply(rows, here, tile, squared[:, tile])
        copies = np.zeros(len(rows), np.int64)
        if self.any_copies:
            same = self.point_ids[here, None] == self.target_ids
            squared[same] = 0
            copies = np.count_nonzero(same, axis=1)
        farthest = float(self.point_lengths[here].max() + self.target_lengths.max()) / self.scale
        return Block(start, squared, self._slack(farthest, kind), copies)

    def _multiply(self, rows: np.ndarray, here: slice, tile: slice, squared: np.ndarray) -> None:
        """Distances of the points `here`, whose centred vectors are `rows`, to a tile of targets, into `squared`."""
        np.matmul(rows, self._centred(self.targets[tile], rows.dtype.type).T, out=squared)
        squared *= -2
        squared += np.square(self.point_lengths[here] / self.scale).astype(rows.dtype)[:, None]
        squared += np.square(self.target_lengths[tile] / self.scale).astype(rows.dtype)

    def _slack(self, farthest: float, kind: type[np.floating[Any]]) -> float:
        """How wrong squared distances may be of vectors whose lengths sum to at most this, both in units of scale."""
        return (self.targets.shape[1] + 8) * float(np.finfo(kind).eps) * farthest**2

    def _smallest(self, block: Block, k: int) -> np.ndarray | None:
        """The place-k distances of one block: those that the bound leaves in doubt are ranked exactly."""
        # Pairs that may be among the k + 1 smallest of their row, and how many are certainly below place k.
        near = np.partition(block.squared, k, axis=1)[:, k].astype(np.float64)
        in_doubt = block.copies <= k  # else the distance is 0
        upper = np.where(in_doubt, near + 2 * block.slack, -np.inf)
        rows, columns = where(block.squared <= _above(upper, block)[:, None])
        sure = block.squared[rows, columns] < near[rows] - 2 * block.slack
        below = np.bincount(rows[sure], minlength=len(near))
        rows, columns = rows[~sure], columns[~sure]
        if self._too_many(len(rows), block):
            return None
        return self._ranked(block.start, rows, columns, k - below, in_doubt)

    def _ranked(
        self, start: int, rows: np.ndarray, columns: np.ndarray, places: np.ndarray, in_doubt: np.ndarray
    ) -> np.ndarray:
        """The distances at `places` (block,) among the doubtful pairs of each row, by their exact distance; else 0.

        rows, from 0 to the block's length, are in ascending order. in_doubt: (block,) bool, which rows have such pairs.
        """
        values = self._exact(start + rows, columns)
        order = np.lexsort((values, rows))
        distances = np.zeros(len(places))
        first = np.searchsorted(rows, np.flatnonzero(in_doubt))
        distances[in_doubt] = values[order][first + places[in_doubt]]
        return distances

    def _nearest(self, block: Block) -> tuple[np.ndarray, np.ndarray] | None:
        """The nearest targets of one block, and their distances."""
        upper = block.squared.min(axis=1).astype(np.float64) + 2 * block.slack
        rows, columns = where(block.squared <= _above(upper, block)[:, None])
        if self._too_many(len(rows), block):
            return None
        values = self._exact(block.start + rows, columns)
        order = np.lexsort((columns, values, rows))
        best = order[np.searchsorted(rows, np.arange(len(upper)))]
        return columns[best], values[best]

    def _inside(self, block: Block, limits: np.ndarray) -> np.ndarray | None:
        """Whether a block's distances are <= limits (N,) or (block, 1); None where too many are in doubt."""
        scaled = limits / self.scale**2
        inside: np.ndarray = block.squared <= _above(scaled + block.slack, block)
        rows, columns = where(inside)
        each = np.broadcast_to(scaled, inside.shape)
        doubtful = block.squared[rows, columns] >= each[rows, columns] - block.slack
        rows, columns = rows[doubtful], columns[doubtful]
        if self._too_many(len(rows), block):
            return None
        inside[rows, columns] = (
            self._exact(block.start + rows, columns) <= np.broadcast_to(limits, inside.shape)[rows, columns]
        )
        return inside

    # ---- vectors ---------------------------------------------------------------------------------

    def _too_many(self, doubtful: int, block: Block) -> bool:
        """Whether 64 bits are to decide what 32 bits leave in doubt."""
        return block.squared.dtype == np.float32 and doubtful > 64 + _DOUBTFUL * block.squared.size

    def _centred(self, vectors: np.ndarray, kind: type[np.floating[Any]]) -> np.ndarray:
        """Vectors about the centre, over the scale."""
        # The difference of two numbers of 32 bits is right to 32 bits.
        narrow = kind is np.float32 and self.centre.dtype == np.float32
        centred = np.subtract(vectors, self.centre, dtype=np.float32 if narrow else np.float64)
        centred /= self.scale
        return centred.astype(kind, copy=False)

    def _lengths(self, vectors: np.ndarray) -> np.ndarray:
        """The distance (len,) of each vector to the centre, float64."""
        blocks = (vectors[first : first + BLOCK] for first in range(0, len(vectors), BLOCK))
        parts = (np.subtract(block, self.centre, dtype=np.float64) for block in blocks)
        return np.concatenate([np.sqrt(np.einsum("nd,nd->n", part, part)) for part in parts])

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


def _above(limits: np.ndarray, block: Block) -> np.ndarray:
    """Limits in the type of a block, rounded up: comparing with another type would copy the block."""
    kind = block.squared.dtype
    return limits if kind == limits.dtype else np.nextafter(limits.astype(kind), np.array(np.inf, kind))


def where(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns where a mask is true, row by row; much faster than np.nonzero on a sparse mask."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


def _numbered(vectors: np.ndarray, numbers: dict[bytes, int], kind: np.dtype[Any]) -> np.ndarray:
    """A number (len,) for each vector, the same for equal vectors; `numbers` collects them over several calls."""
    digests = (
        hashlib.blake2b(row, digest_size=16).digest()
        for first in range(0, len(vectors), BLOCK)
        for row in np.ascontiguousarray(vectors[first : first + BLOCK], kind) + 0  # minus zero becomes zero
    )
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.int64)
