"""The axis of a score is wider than what stands on it."""

import numpy as np
import pytest

from bench.report.figures.scaling import LINEAR, LOG


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 0.0), (0.5, 0.5), (-0.5, -0.5), (1.0, np.nextafter(1.0, 2)), (0.1, 0.9), (-2.0, 3.0), (1e6, 1e6 + 1e-9)],
)
def test_a_linear_axis_has_room_on_both_sides(low, high):
    """Also where values differ in their last digit: 15 % of that would be lost in rounding."""
    bottom, top = LINEAR.limits(low, high)
    assert bottom < low <= high < top
    assert low - bottom == pytest.approx(top - high)


def test_a_logarithmic_axis_has_the_same_room_on_both_sides():
    bottom, top = LOG.limits(20.0, 80.0)
    assert 20 / bottom == pytest.approx(top / 80) == pytest.approx(1.3)
