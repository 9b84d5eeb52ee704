"""Pictures for all slots of a set, no two alike: drawn by several processes, the same with any number of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.builder import Order
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.machine.workers import Workers

from .render import render
from .slots import Slot, Split

BLOCK = 1024  # drawings in memory at once, at most
PATIENCE = 50  # drawings tried for a slot before a set is refused as too poor
Drawing = str | np.ndarray  # an SVG, or pixels that need no rendering
Draw = Callable[[Slot, int], Drawing]  # what stands in a slot at the n-th attempt, counted from 0


@dataclass(frozen=True, eq=False)
class Filled:
    """By split: images (N, R, R, 3) uint8, labels (N,) int64, and the attempt at which each image was taken, (N,)."""

    images: Mapping[Split, np.ndarray]
    labels: dict[Split, np.ndarray]
    attempts: dict[Split, np.ndarray]


def fill(order: Order, slots: Sequence[Slot], draw: Draw) -> Filled:
    """A picture for every slot. Where a drawing equals an earlier slot's pixel for pixel, the next attempt counts.

    What is taken depends on earlier slots alone. UserError where all attempts give pictures that are there already.
    """
    counts: dict[Split, int] = {"train": order.entry.train, "test": order.entry.test}
    images = {split: order.allocate(split, count) for split, count in counts.items()}
    labels, attempts = ({split: np.zeros(count, np.int64) for split, count in counts.items()} for _ in range(2))
    seen: set[bytes] = set()
    for slot, image in zip(slots, _rendered(order, slots, draw), strict=True):
        attempt = 0
        while (digest := image_digests(image[None])[0]) in seen:
            attempt += 1
            if attempt == PATIENCE:
                raise UserError(
                    f"data set '{order.name}': {PATIENCE} drawings for {slot.split} image {slot.number} are all like "
                    f"earlier ones at {order.resolution} px; choose a larger resolution"
                )
            image = _pixels(order.resolution, draw(slot, attempt))
        seen.add(digest)
        images[slot.split][slot.number] = image
        labels[slot.split][slot.number] = slot.label
        attempts[slot.split][slot.number] = attempt
    return Filled(images, labels, attempts)


def _rendered(order: Order, slots: Sequence[Slot], draw: Draw) -> Iterator[np.ndarray]:
    """The first attempt for each slot, rendered by several processes in blocks of about the same length."""
    length = math.ceil(len(slots) / math.ceil(len(slots) / BLOCK))
    with Workers(order.jobs) as workers:
        for start in range(0, len(slots), length):
            drawings = [draw(slot, 0) for slot in slots[start : start + length]]
            what = f"{order.name}, images {start + 1:,} to {start + len(drawings):,}"
            yield from workers.map(functools.partial(_pixels, order.resolution), drawings, what)


def _pixels(resolution: int, drawing: Drawing) -> np.ndarray:
    """(R, R, 3) uint8."""
    return render(drawing, resolution) if isinstance(drawing, str) else drawing
