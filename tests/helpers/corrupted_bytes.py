"""Damage to a file's bytes: cut off, or changed at random places."""

from __future__ import annotations

import random
from collections.abc import Iterator


def corruptions(data: bytes, count: int, seed: int = 0, head: int = 0) -> Iterator[bytes]:
    """`count` copies with 1, 3 or 30 changed bytes; about half of these in the first or last `head` bytes, if given."""
    draw = random.Random(seed)
    ends = [*range(min(head, len(data))), *range(max(0, len(data) - head), len(data))]
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 3, 30))):
            at = draw.choice(ends) if ends and draw.random() < 0.5 else draw.randrange(len(data))
            damaged[at] = draw.randrange(256)
        yield bytes(damaged)


def truncations(data: bytes, count: int) -> Iterator[bytes]:
    """`count` beginnings of different lengths, none of them whole, the empty one among them."""
    for length in sorted({len(data) * place // count for place in range(count)}):
        yield data[:length]
