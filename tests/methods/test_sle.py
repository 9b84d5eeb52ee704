"""SLE as a part: what the rows of FastGAN's ablation build, alone and together with AE-D."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import networks
from bench.contract.composition import build_method
from bench.contract.context import Context
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings

SMALL = {"z_dim": 8, "ngf": 4, "ndf": 4, "decoder_width": 4}
ROWS = {
    "sle(skip=false) + ae-d(weight=0)": (False, False),
    "sle + ae-d(weight=0)": (True, False),
    "sle(skip=false) + ae-d": (False, True),
    "sle + ae-d": (True, True),
}


def _options(method, **given):
    """What the method makes of a network's options."""
    spec = RunSpec(
        method=parse_method(method),
        network=NetworkSpec(name="fastgan-64", options=given),
        data=DataSpec(name="pictures", resolution=64),
        train=TrainSettings(steps=1, batch=2, g_lr=1e-3, d_lr=1e-3),
        protocol=None,
        seed=0,
    )
    ctx = Context(spec, np.zeros((2, 64, 64, 3), np.uint8), None, torch.device("cpu"))
    return build_method(spec.method).networks(ctx)


@pytest.mark.parametrize(("method", "built"), ROWS.items())
def test_rows_of_the_ablation(method, built):
    generator, discriminator = networks.build("fastgan-64", seed=0, **SMALL, **_options(method))
    skip, decoders = built
    assert (len(generator.excitations) > 0) is skip
    assert any(getattr(block, "gate", None) is not None for block in discriminator.blocks) is skip
    assert (len(discriminator.decoders) > 0) is decoders


def test_parts_change_nothing_but_what_they_name():
    """All layers that two rows share start from the same weights: rows pair by seed."""
    (plain_g, plain_d), (full_g, full_d) = (
        networks.build("fastgan-64", seed=0, **SMALL, **_options(method))
        for method in ("sle(skip=false) + ae-d(weight=0)", "sle + ae-d")
    )
    for plain, full in ((plain_g, full_g), (plain_d, full_d)):
        shared = full.state_dict()
        assert all(torch.equal(value, shared[name]) for name, value in plain.state_dict().items())
        added = shared.keys() - plain.state_dict().keys()
        assert added and all("excitations" in name or "gate" in name or "decoders" in name for name in added)


def test_skip_is_a_switch():
    with pytest.raises(UserError, match="method 'sle': skip is 3, must be bool"):
        parse_method("sle(skip=3)")
