"""The law of p against a transcription in plain Python, and its move by itself."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.errors import UserError

adaptive_p = importlib.import_module("bench.methods.common.adaptive_p")


@pytest.mark.parametrize("highest", [None, 0.3])
@pytest.mark.parametrize("patches", [(), (3,)])
def test_p_is_that_of_a_transcription(patches, highest):
    random = np.random.default_rng(2)
    law = adaptive_p.AdaptiveP("some", target=0.2, interval=3, speed_kimg=0.1, highest=highest)
    p, signs, images, seen = 0.0, [], 0, set()
    for step in range(120):
        drift = np.sin(step / 9)  # D is sure of them at times, and at times unsure
        logits = [random.normal(drift, 1, (4, *patches)) for _ in range(2)]
        logged = law.after_step(SimpleNamespace(step=step, real_logits=[torch.tensor(one) for one in logits]))
        signs += [np.sign(one).ravel() for one in logits]
        images += 8
        r_t = np.concatenate(signs).mean()
        assert float(logged["r_t"]) == pytest.approx(r_t, abs=1e-15)  # a sum of whole numbers, divided once
        if (step + 1) % 3 == 0:
            p = max(0.0, p + np.sign(r_t - 0.2) * images / 100)
            p = p if highest is None else min(highest, p)
            signs, images = [], 0
        assert float(logged["p"]) == pytest.approx(p, abs=1e-12)  # rounding of 40 additions in float64
        seen.add(round(p, 6))
    assert len(seen) > 2 and 0 in seen
    assert max(seen) == highest if highest else max(seen) > 0.3


def test_it_goes_to_a_device_and_back_from_a_checkpoint():
    law, other = (adaptive_p.AdaptiveP("some", target=0.6, interval=1, speed_kimg=1.0) for _ in range(2))
    law.after_step(SimpleNamespace(step=0, real_logits=[torch.ones(7)]))
    place = other.p.data_ptr()
    other.restore(law.saved())
    assert float(other.p) == 0.007 and other.saved() == law.saved()
    assert other.p.data_ptr() == place  # in place: others may read it there
    assert {one.dtype for one in law.buffers()} == {torch.float64}
    assert {one.device.type for one in law.to("meta").buffers()} == {"meta"}


def test_a_step_of_nothing_at_the_target_and_none_below_zero():
    p = torch.tensor(0.25, dtype=torch.float64)
    for r_t, wanted in ((0.5, 0.25), (0.6, 0.375), (0.4, 0.25), (-1.0, 0.125), (0.0, 0.0), (0.0, 0.0)):
        adaptive_p.move(p, torch.tensor(r_t), 0.5, 0.125)
        assert float(p) == wanted


def test_settings_that_cannot_move_are_named():
    for bad in ({"speed_kimg": 0}, {"interval": 0}):
        with pytest.raises(UserError, match="method 'some': speed_kimg must be positive and interval at least 1"):
            adaptive_p.AdaptiveP("some", **{"target": 0.6, "interval": 4, "speed_kimg": 500.0, **bad})
