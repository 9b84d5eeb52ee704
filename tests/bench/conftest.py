"""Machines with other cards than this one."""

from __future__ import annotations

import sys

import pytest

from bench.machine import gpus
from fake_nvml import fake_nvml


@pytest.fixture
def machine(monkeypatch):
    """Puts cards into this machine, which CUDA's variables hide none of."""

    def put(*cards, **more):
        monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(*cards, **more))
        gpus.devices_left.cache_clear()

    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "BENCH_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    yield put
    gpus.devices_left.cache_clear()
