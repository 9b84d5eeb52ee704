"""Small real pictures and a cache of the test's own."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("BENCH_INCEPTION", raising=False)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits_u8():
    """100 handwritten digits as uint8 RGB images of 32 pixels."""
    grey = np.kron(load_digits().images[:100], np.ones((1, 4, 4))) * (255 / 16)
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=3)
