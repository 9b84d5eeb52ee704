"""Altered pictures, against what they are by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evaluate import edits


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), np.uint8)


def test_a_part_is_pasted_or_removed_and_nothing_else_changes(images):
    first, second = images
    box = edits.box_at(9, 0.5, 0.99)
    assert box == (slice(3, 7), slice(5, 9)), "half of nine pixels, at half and at the end of what is free"
    for altered, inside in ((edits.cut_mix(first, second, box), second), (edits.cut_out(first, box), None)):
        for row in range(9):
            for column in range(9):
                within = 3 <= row < 7 and 5 <= column < 9
                expected = (128, 128, 128) if inside is None else tuple(inside[row, column])
                assert tuple(altered[row, column]) == (expected if within else tuple(first[row, column]))
    assert edits.box_at(9, 0.0, 0.0) == (slice(0, 4), slice(0, 4))


def test_a_grey_picture_has_the_luma_of_rec_601(images):
    luma = images[0] @ np.array([0.299, 0.587, 0.114])
    made = edits.grey(images[0])
    assert np.abs(made - luma[..., None]).max() <= 1 and (made == made[..., :1]).all(), "rounded to a grey level"


def test_a_sketch_has_lines_where_the_picture_changes():
    """Beside an edge of height h the smoothed central difference is h / 2; nothing changes elsewhere."""
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 100
    made = edits.sketch(edge)
    assert (made[:, 3:5] == 155).all() and (made[:, [0, 1, 2, 5, 6, 7]] == 255).all()
    assert np.array_equal(edits.sketch(edge.transpose(1, 0, 2)), made.transpose(1, 0, 2))
    assert (edits.sketch(np.full((8, 8, 3), 77, np.uint8)) == 255).all()
