"""The device under test: `pytest -m gpu`, skipped where there is none; BENCH_TEST_DEVICE=cpu rehearses the tests."""

from __future__ import annotations

import os

import pytest
import torch


def named_device(lacks):
    """cuda:0, or what $BENCH_TEST_DEVICE names: a CPU is then compared with itself, which shows that the tests run."""
    named = torch.device(os.environ.get("BENCH_TEST_DEVICE", "cuda:0"))
    if named.type == "cuda" and not torch.cuda.is_available():
        lacks("no CUDA device: run `pytest -m gpu` where torch sees one")
    return named


@pytest.fixture(scope="module")
def device(lacks):
    """`named_device`."""
    return named_device(lacks)
