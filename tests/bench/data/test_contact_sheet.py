"""Sheets of pictures: each whole, and apart from its neighbours."""

import numpy as np
import pytest

from bench.data.contact_sheet import GAP, contact_sheet


@pytest.mark.parametrize(("count", "columns", "scale"), [(1, 10, 1), (7, 3, 2), (12, 4, 4)])
def test_each_picture_is_whole_and_apart(count, columns, scale):
    images = np.random.default_rng(0).integers(0, 200, (count, 6, 5, 3)).astype(np.uint8)
    sheet = np.asarray(contact_sheet(images, columns, scale))
    covered = np.zeros(sheet.shape[:2], bool)
    for place, image in enumerate(images):
        top = GAP + place // columns * (6 * scale + GAP)
        left = GAP + place % columns * (5 * scale + GAP)
        here = (slice(top, top + 6 * scale), slice(left, left + 5 * scale))
        assert (sheet[here][::scale, ::scale] == image).all() and (
            sheet[here][scale - 1 :: scale, ::scale] == image
        ).all()
        assert not covered[here].any()
        covered[here] = True
    assert (sheet[~covered] == 255).all() and GAP > 0
