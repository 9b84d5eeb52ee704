"""Several processes train a run as one does (gloo, on a CPU): the same losses and gradients, at other shares too.

In float64, as the traces are (trace_in_float64.py says why): float32's rounding of a sum is soon thousandths where Adam
divides a gradient that is nothing but rounding by itself. What ranks do wrong is wrong in float64 too.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from bench.conformance.cases import conformance_spec
from bench.contract.discovery import methods
from bench.contract.expression import parse_method
from bench.contract.signature import signature
from ranked import apart, trained

SMALL = {"g_lr": 1e-4, "d_lr": 1e-4, "adam_eps": 1e-2}
SHOTS = {"sndcgan-32": 14}  # an epoch a step, which is what top-k's k falls by
# Of each network one case; 7 images on 3 ranks are 2, 2 and 3. The second step has the losses of what the first has
# updated; three are trained where a part does something every second step, or counts them.
CASES = {
    "sngan-32": ("diffaugment + class-conditional + consistency(fake_weight=10) + diggan", 3, {"steps": 2, "batch": 7}),
    "fastgan-64": (
        "sle + ae-d(loss=l1) + fastgan-ssl(task=contrastive+aspect)",
        2,
        {"steps": 2, "batch": 6, "micro_batch": 3, "share_fakes": True, "hinge_margin": 0.8, "d_steps": 1},
    ),
    "sndcgan-32": (
        "lecam(start=1) + apa(interval=1, speed_kimg=0.02, target=-1.5) + top-k(gamma=0.7) + class-conditional",
        3,
        {"batch": 7},
    ),
    "stylegan2-32": (
        "ada-lite(interval=1, speed_kimg=0.02) + diffusion-gan(interval=1, speed_kimg=0.02) + "
        "r1(every=2, point=raw) + r3gan(gamma=0.5)",
        3,
        {"batch": 12, "d_steps": 1},
    ),
    "biggan-32": ("augself-gan + baseline", 2, {"batch": 4, "g_batch": 8}),
    "biggan-32, a D of its own": ("projected-gan(size=128, width=4)", 2, {"steps": 2, "batch": 2, "d_steps": 1}),
    "stylegan1-32": ("progressive(start=16, images_per_phase=8) + ewc(draws=3)", 2, {"batch": 16}),
}


@cache
def float64():
    """The module that turns a process to float64: each forked process, not this one."""
    path = Path(__file__).with_name("trace_in_float64.py")
    found = importlib.util.spec_from_file_location("trace_in_float64", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_ranks_train_as_one_process_does(name, tmp_path):
    method, ranks, changes = CASES[name]
    spec = conformance_spec(method, name.partition(",")[0])
    assert spec.train is not None
    train = spec.train.model_copy(update={"steps": 3, **SMALL, **changes})
    network = spec.network
    if network is not None and network.name == "stylegan1-32":  # whose group is a whole batch, which cannot be parted
        network = network.model_copy(update={"options": {**network.options, "mbstd_group": 4}})
    data = spec.data.model_copy(update={"shots": SHOTS.get(name, spec.data.shots)})
    spec = spec.model_copy(update={"train": train, "network": network, "data": data})
    (alone,), one = trained(spec, tmp_path / "one", 1, float64().work_in_float64)
    outcomes, several = trained(spec, tmp_path / "several", ranks, float64().work_in_float64)
    assert (alone, outcomes) == ("done", ["done"] * ranks), several.error()
    assert apart(one, several) < 1e-11  # measured: below 1e-14; wrong maths is wrong in the first digits


def test_a_part_that_splits_is_in_a_case_above_or_does_its_work_before_the_first_step():
    """What prepares weights or a table of conditions, and leaves the step alone, needs no case of its own."""
    before = {"unconditional", "disp", "logo-gan", "transfergan", "freezed", "minegan"}
    split = {entry.name for entry in methods() if signature(entry.target).splits is True}
    cased = {part.name for method, *_ in CASES.values() for part in parse_method(method)}
    assert before | cased == split
