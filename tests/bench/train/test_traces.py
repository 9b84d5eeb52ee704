"""Five steps of every method at a fixed seed end where they did when this was recorded: losses, norms, logits.

A change of results that nobody meant shows here first. Where one is meant (the method's `version` then goes up), or
for a new method, write the traces anew and look at the difference:

    BENCH_RECORD_TRACES=1 pytest tests/bench/train/test_traces.py

Runs are those of the conformance checks: the drawn shapes at 32 pixels (the smallest size of the networks; 64 where
FastGAN is a method's first network), and tiny networks, the first of bench.conformance.NETWORKS that the method takes.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import torch

from bench import registry
from bench.conformance import NETWORKS, conformance_spec
from bench.errors import UserError
from bench.store import Store
from bench.train.run import Settings, Training, execute

FILE = Path(__file__).parent / "traces.json"
STEPS = 5
METHODS = [entry.name for entry in registry.methods()]
# Adam's epsilon stills parameters whose gradient is nothing but rounding (a bias before a batch norm); the rates are
# small because five steps of larger ones raise a rounding of 1e-7 to a hundredth in FastGAN's networks, which start
# at weights of 0.02 under batch norm.
RATES = {"fastgan-64": 3e-6}
RATE = 1e-4
# Other processors and versions of torch add float32 numbers in another order. With oneDNN's convolutions or without
# them the traces differ by up to 1e-5 of their values; FastGAN's by up to 2e-4; BSA's, which fits at its own rate of
# 0.03, by up to 3e-3. The absolute part is for logits near 0.
RTOL, ATOL = 1e-4, 1e-5
LOOSER = {"bsa": 1e-2, "fastgan-64": 2e-3}  # by method or by network


def trace(method: str, root: Path) -> tuple[str, list[dict[str, float]]]:
    """The first network that the method takes, and what its five steps logged."""
    torch.set_num_threads(1)
    settings, refusals = Settings(torch.device("cpu"), checkpoint_seconds=math.inf), []
    for network in NETWORKS:
        spec = conformance_spec(method, network)
        assert spec.train is not None
        rate = RATES.get(network, RATE)
        train = spec.train.model_copy(update={"steps": STEPS, "adam_eps": 1e-2, "g_lr": rate, "d_lr": rate})
        spec = spec.model_copy(update={"train": train})
        store = Store(root / network)
        for source in spec.run_sources.values():
            store.open(source)
            assert execute(source.uid, store, settings, lambda: False, lambda *_: None) == "done"
        try:
            training = Training(spec, store.open(spec), store, settings)
        except UserError as error:
            refusals.append(str(error))
            continue
        assert training.run(lambda: False, lambda *_: None) == "done"
        return network, list(training.folder.read_log())
    raise UserError(f"method '{method}' takes none of the networks: {'; '.join(refusals)}")


def recorded() -> dict[str, dict[str, object]]:
    """Method -> {"network": name, "steps": what each logged}."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


@pytest.mark.parametrize("method", METHODS)
def test_five_steps_are_what_they_were(method, tmp_path):
    network, steps = trace(method, tmp_path)
    if os.environ.get("BENCH_RECORD_TRACES"):
        others = {name: kept for name, kept in recorded().items() if name in METHODS}
        traces = {**others, method: {"network": network, "steps": steps}}
        FILE.write_text(json.dumps(traces, indent=1, sort_keys=True) + "\n")
    kept = recorded()[method]
    assert network == kept["network"]
    assert len(steps) == len(kept["steps"]) == STEPS
    tolerance = max(RTOL, LOOSER.get(method, 0.0), LOOSER.get(network, 0.0))
    for found, wanted in zip(steps, kept["steps"], strict=True):
        assert found == pytest.approx(wanted, rel=tolerance, abs=ATOL)


def test_every_method_has_a_trace_and_no_other():
    assert sorted(recorded()) == sorted(METHODS), "record the traces: see the top of this file"
