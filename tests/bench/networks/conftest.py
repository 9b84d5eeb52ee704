"""Network tests may draw from torch's generator: each test from the start, and no other test after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def own_random_state() -> Iterator[None]:
    """Torch's generator at a seed of the test's own; put back where it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield
