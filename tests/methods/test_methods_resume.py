"""Every method: a run that is killed and resumed ends with the very bits of the uninterrupted one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.conformance.engine import watching_global_state
from bench.store.checkpoints import fingerprint

METHODS = [
    "baseline",
    "diffaugment + baseline(norm=rms)",
    "disp(prior_size=32)",
    "disp(prior=random, prior_size=32, scale=4)",
    "disp(prior=shuffled, prior_size=32)",
    "disp(prior=simclr)",
    "ada-lite(speed_kimg=0.02, target=-1.5, interval=2) + baseline",
    "diffaugment + transfergan + disp(prior_size=32)",
    "freezed(blocks=2) + disp(prior_size=32)",
    "class-conditional",
    "diffaugment",
    "apa(speed_kimg=0.02, target=-1.5, interval=3) + lecam(start=1) + top-k(gamma=0.5) + baseline",
    "lecam(decay=0.99, start=0, debias=true)",
    "r3gan(gamma=2, gamma_end=0.2, burn_in_kimg=0.05)",
    "glann(prior_size=32, fit_share=0.5)",
    "glann(prior_size=32, fit_share=0.5, halve_every=1)",
    "simclr(width=4)",
    "diggan + diffaugment + baseline",
    "insgen(queue=6) + diffaugment + baseline",
    "fakeclr(queue=6) + baseline",
    "chain(start_share=0, by=0.3, target=-1.5) + baseline",
]


def _options(method):
    return {"network": None} if method.startswith("simclr") else {"labels": np.arange(12) % 3}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_resumed_run_is_bit_equal_and_global_random_state_is_left_alone(method, make_run, source, tmp_path):
    options = {"steps": 4, "sources": source, **_options(method)}
    with watching_global_state() as touched:
        straight = make_run(method, **options).advance(4)
        end = fingerprint(straight.state())
        if straight.ctx.ema is not None and method != "diffaugment":
            assert straight.sample(3).shape == (3, 3, 32, 32)
    assert touched == []
    halfway = make_run(method, **options).advance(2).save(tmp_path / "halfway.pt")
    torch.manual_seed(123)  # a resumed process starts with another global state: it must not matter
    resumed = make_run(method, **options).load(halfway).advance(2)
    assert fingerprint(resumed.state()) == end
    assert straight.logs[2:] == resumed.logs
    assert all(np.isfinite(list(log.values())).all() for log in straight.logs)


@pytest.mark.parametrize("method", ["baseline", "disp(prior_size=32)", "class-conditional"])
def test_sampler_draws_its_conditions_from_the_stream_alone(method, make_run, source):
    run = make_run(method, sources=source, **_options(method)).advance(1)
    assert torch.equal(run.sample(4, 0), run.sample(4, 0))
    assert not torch.equal(run.sample(4, 0), run.sample(4, 1))


def test_another_seed_gives_another_run(make_run):
    first, second = (make_run("diffaugment + baseline", seed=seed).advance(1) for seed in (0, 1))
    assert first.logs != second.logs
