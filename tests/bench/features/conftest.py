"""Small real pictures and a cache of the test's own."""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bench.features.lookup import entry, extractors


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


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """`own_weights(name, dim=None)`: from now on any file does for this extractor; where to put it."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    with ExitStack() as stack:

        def place(name, dim=None):
            card = entry(name)
            weights = replace(card.weights, size=None, sha256="", exact=False)
            stack.enter_context(extractors().override(name, replace(card, weights=weights, dim=dim or card.dim)))
            monkeypatch.delenv(weights.variable, raising=False)
            return weights.own

        yield place
