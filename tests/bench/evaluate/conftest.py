"""A store and runs for the measures of finished runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import RunSpec
from bench.store.runs import RunFolder, Store


@pytest.fixture
def store(store_root: Path) -> Store:
    """This test's store."""
    torch.set_num_threads(1)
    return Store(store_root)


@pytest.fixture
def run_once(store: Store) -> Callable[[RunSpec], RunFolder]:
    """Bring a run to its end in this test's store; gives its folder."""

    def run_once(spec: RunSpec) -> RunFolder:
        folder = store.open(spec)
        outcome = execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None)
        assert outcome == "done", folder.error()
        return folder

    return run_once
