"""The inception score against torch-fidelity and its closed forms."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from bench.errors import UserError
from bench.metrics import inception_score


@pytest.mark.parametrize("splits", [1, 7, 10])
def test_equals_torch_fidelity(splits):
    logits = torch.randn(503, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    expected = isc_features_to_metric(logits, splits=splits, shuffle=False)
    got = inception_score(logits.softmax(1).numpy(), splits=splits)
    assert got.mean == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    assert got.sd == pytest.approx(expected["inception_score_std"], rel=1e-9, abs=1e-12)


def test_closed_forms():
    sure_and_varied = np.tile(np.eye(8), (20, 1))  # zeros must not become NaN
    assert inception_score(sure_and_varied, splits=4) == pytest.approx((8, 0), abs=1e-12)
    assert inception_score(np.full((100, 8), 1 / 8)) == pytest.approx((1, 0), abs=1e-12)
    assert inception_score(np.tile(np.eye(8)[:1], (100, 1))) == pytest.approx((1, 0), abs=1e-12)


@pytest.mark.parametrize(
    ("probabilities", "splits", "message"),
    [
        (np.ones((50, 4)), 5, "softmax"),
        (np.tile([1.5, -0.5], (50, 1)), 5, "at least 0"),
        (np.full((50, 4), 0.25), 26, "splits=26 must be 1 to 25"),
        (np.full((50, 4), 0.25), 0, "splits=0"),
        (np.full((50, 4), np.nan), 5, "NaN"),
    ],
)
def test_what_is_no_distribution(probabilities, splits, message):
    with pytest.raises(UserError, match=message):
        inception_score(probabilities, splits)
