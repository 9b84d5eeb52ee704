"""Features of real pictures from real networks, small enough for every test to use."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bench import features


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pictures():
    """1,400 handwritten digits as uint8 RGB images of 32 pixels, in a fixed random order."""
    grey = np.kron(load_digits().images, np.ones((1, 4, 4)))[np.random.default_rng(0).permutation(1797)[:1400]]
    return np.repeat((grey * (255 / 16)).round().astype(np.uint8)[..., None], 3, axis=3)


@pytest.fixture(scope="session")
def worse(pictures):
    """The last 600 of the pictures with noise: a generator of middling quality."""
    noise = np.random.default_rng(1).normal(0, 24, pictures[800:].shape)
    return (pictures[800:] + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def narrow(pictures, worse):
    """(real (800, 256), fake (600, 256)): more samples than dimensions."""
    extractor = features.load("alexnet@63")
    return extractor(pictures[:800]), extractor(worse)


@pytest.fixture(scope="session")
def wide(pictures, worse):
    """(real (300, 1280), fake (200, 1280)): fewer samples than dimensions, as in few-shot tables."""
    extractor = features.load("effnet_lite0@32")
    return extractor(pictures[:300]), extractor(worse[:200])
