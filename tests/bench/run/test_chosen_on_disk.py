"""A choice of training images that is too large for memory stays on disk, and trains the same run as a copy of it."""

from __future__ import annotations

import pytest
import torch

from bench.files import row_view
from bench.run.build import build_context
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import DataSpec
from bench.store.runs import Store

WHOLE = DataSpec(name="shapes", resolution=32)
SHARE = DataSpec(name="shapes", resolution=32, share=0.4)
THIRD = '''
"""Every third image."""
import numpy as np
from bench.train import Method


class Third(Method):
    """Trains on every third image."""

    def select(self, ctx):
        return np.arange(0, len(ctx.images_u8_NHWC), 3)
'''
KINDS = {
    "third + disp(prior=shuffled, prior_size=32)": WHOLE,  # features of all images, and their digest
    "third + self-cond(clusters=3, interval=2, sample=40)": SHARE,  # looks at scattered images by itself
    "class-conditional": SHARE,
}


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
def test_it_is_the_same_run(method, tiny_spec, load_plugin, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    load_plugin(THIRD)
    spec = tiny_spec(method, steps=4, data=KINDS[method], flip=True)
    results = []
    for bound in (2**30, 0):
        monkeypatch.setattr(row_view, "IN_MEMORY", bound)
        store = Store(tmp_path / str(bound))
        ctx, _ = build_context(spec, store, torch.device("cpu"))
        assert isinstance(ctx.images_u8_NHWC, row_view.RowView) is (bound == 0)
        settings = Settings(torch.device("cpu"), checkpoint_seconds=1e9)
        folder = store.open(spec)
        outcome = execute(folder.uid, store, settings, lambda: False, lambda *_: None)
        assert outcome == "done", folder.error()
        results.append(folder.result()["weights_sha256"])
    assert results[0] == results[1]
