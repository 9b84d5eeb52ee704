"""Building by name: laziness, seeds, errors."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import bench
from bench import networks
from bench.errors import UserError
from bench.networks.describe import weightless

TINY = {"g_width": 16, "d_width": 16}


def weights(network):
    return network.state_dict()


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


ROOT = Path(bench.__file__).parent.parent


def test_importing_and_listing_import_no_torch():
    code = "import sys, bench.networks as n; assert n.names() and n.summaries(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_names_and_summaries_agree():
    expected = {
        "sngan": (32, 48, 64, 128),
        "sndcgan": (32, 128),
        "biggan": (32, 128),
        "stylegan1": (32, 128, 256),
        "stylegan2": (32, 64, 128, 256, 1024),
        "fastgan": (64, 128, 256, 512, 1024),
    }
    assert {f"{family}-{size}" for family, sizes in expected.items() for size in sizes} <= set(networks.names())
    assert list(networks.summaries()) == networks.names()
    assert all(networks.summaries().values())


def test_settings_are_the_overrides_with_defaults():
    assert networks.settings("sngan-32") == {
        "z_dim": 128,
        "condition_dim": None,
        "shared_dim": 128,
        "g_width": 256,
        "d_width": 128,
        "d_down": 2,
        "sn_generator": False,
        "upsample": "nearest",
        "d_shortcut": "plain",
    }


def test_every_name_is_a_pair_whose_size_is_in_its_name():
    with weightless():
        for name in networks.names():
            generator, _ = networks.build(name)
            assert f"-{generator.resolution}" in name and f"{generator.resolution} px" in (networks.summaries()[name])


def test_layers_of_a_parts_own_are_drawn_from_a_stream_by_name():
    state = torch.get_rng_state()
    drawn = []
    for seed, purpose in ((0, "miner"), (0, "miner"), (0, "other"), (1, "miner")):
        with networks.initialised(seed, purpose):
            drawn.append(torch.nn.Linear(3, 3).weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[3])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_decides_the_weights_and_leaves_the_global_state():
    state = torch.get_rng_state()
    first = networks.build("sngan-32", seed=3, **TINY)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = networks.build("sngan-32", seed=3, **TINY)
    other = networks.build("sngan-32", seed=4, **TINY)
    for one, two, three in zip(first, again, other, strict=True):
        assert same(weights(one), weights(two))
        assert not same(weights(one), weights(three))


def test_seeded_weights_pair_across_conditions():
    """Only the embedding of the condition may differ between methods whose conditions differ in size."""
    first = networks.build("sngan-32", seed=3, condition_dim=100, sn_generator=True, **TINY)
    second = networks.build("sngan-32", seed=3, condition_dim=512, sn_generator=True, **TINY)
    for one, two in zip(map(weights, first), map(weights, second), strict=True):
        shared = {key for key in one if not key.startswith("condition_embedding")}
        assert same({key: one[key] for key in shared}, {key: two[key] for key in shared})


def test_the_discriminator_does_not_depend_on_the_generators_settings():
    _, first = networks.build("sngan-32", seed=3, g_width=16, d_width=16)
    _, second = networks.build("sngan-32", seed=3, g_width=24, d_width=16, z_dim=7)
    assert same(weights(first), weights(second))


def test_the_condition_changes_no_trunk_of_the_discriminator():
    _, first = networks.build("sngan-32", seed=3, **TINY)
    _, second = networks.build("sngan-32", seed=3, condition_dim=8, **TINY)
    assert all(torch.equal(value, weights(second)[key]) for key, value in weights(first).items())


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UserError, match="unknown network 'sngan-23'; did you mean 'sngan-"):
        networks.build("sngan-23")


def test_an_unknown_override_gets_a_suggestion():
    with pytest.raises(UserError, match="network 'sngan-32' has no setting 'g_widht'; did you mean 'g_width'"):
        networks.build("sngan-32", g_widht=16)


def test_d_may_have_a_setting_that_g_has_not():
    generator, discriminator = networks.build("sngan-32", seed=3, d_overrides={"condition_dim": 4}, **TINY)
    both = networks.build("sngan-32", seed=3, **TINY)
    assert generator.condition_dim is None and discriminator.condition_dim == 4
    for one, other in zip((generator, discriminator), both, strict=True):
        state, wanted = one.state_dict(), other.state_dict()
        assert all(torch.equal(state[name], value) for name, value in wanted.items())
        assert {name.split(".")[0] for name in state.keys() - wanted.keys()} <= {"condition_embedding"}
    with pytest.raises(UserError, match="network 'sngan-32' has no setting 'd_widht'; did you mean 'd_width'"):
        networks.build("sngan-32", seed=3, d_overrides={"d_widht": 4}, **TINY)
