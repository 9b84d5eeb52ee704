"""TransferGAN copies all but the condition, FreezeD trains all but the first blocks."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench import networks
from bench.errors import UserError
from bench.methodspec import build_method, parse_method
from bench.spec import DataSpec, NetworkSpec, RunSpec
from bench.train import Context, checkpoint

copy_weights = importlib.import_module("bench.methods.transfergan").copy_weights


def _same(first, second):
    return {name for name in first if name in second and torch.equal(first[name], second[name])}


def test_transfer_copies_everything_but_what_embeds_the_condition(make_run, source):
    weights = checkpoint.read_weights(source["network"])
    fresh = make_run("disp(prior_size=32)")
    run = make_run("transfergan + disp(prior_size=32)", sources=source)
    for role, key in (("generator", "ema"), ("discriminator", "discriminator")):
        state, untouched = getattr(run.ctx, role).state_dict(), getattr(fresh.ctx, role).state_dict()
        new = {name for name in state if "condition_embedding" in name}
        assert new and new == {name for name in state if name not in _same(state, weights[key])}
        assert new <= _same(state, untouched)
        # A source that had learnt nothing would show nothing: most of it differs from this run's own start.
        assert len(_same(state, untouched)) < len(state) / 2
    assert all(p.requires_grad for network in run.ctx.networks() for p in network.parameters())
    assert torch.equal(run.ctx.ema.linear.bias, run.ctx.generator.linear.bias)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda w: w["ema"].update(extra=torch.zeros(1)),
            "tensor extra of the generator .* this run's",
        ),
        (
            lambda w: w["discriminator"].pop("linear.bias"),
            "tensor linear.bias of the disc.* the source lacks",
        ),
        (
            lambda w: w["ema"].update({"conv.bias": torch.zeros(4)}),
            r"conv.bias .* has shape \(4,\)",
        ),
        (lambda w: w.pop("ema"), "the weights file has no 'ema'; it has discriminator"),
    ],
)
def test_odd_sources_are_refused_by_name(edit, message, make_run, source, tmp_path):
    weights = checkpoint.read_weights(source["network"])
    edit(weights)
    checkpoint.write_weights(tmp_path / "odd.pt", weights)
    with pytest.raises(UserError, match=message):
        make_run("transfergan + disp(prior_size=32)", sources={"network": tmp_path / "odd.pt"})


def test_a_missing_source_is_named(make_run):
    with pytest.raises(UserError, match="given no source 'network'"):
        make_run("transfergan + baseline")


@pytest.mark.parametrize(("blocks", "frozen"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_freezed_freezes_the_first_blocks_and_leaves_one(blocks, frozen, make_run, source):
    run = make_run(f"freezed(blocks={blocks}) + disp(prior_size=32)", sources=source)
    _, discriminator = run.ctx.networks()
    expected = {f"blocks.{place}" for place in range(frozen)}
    for name, parameter in discriminator.named_parameters():
        assert parameter.requires_grad is (".".join(name.split(".")[:2]) not in expected), name


def test_frozen_blocks_stay_and_the_rest_moves(make_run, source):
    run = make_run("freezed(blocks=2) + disp(prior_size=32)", sources=source, d_steps=2)
    discriminator = run.ctx.discriminator
    before = {name: value.detach().clone() for name, value in discriminator.named_parameters()}
    run.advance(2)
    for name, value in discriminator.named_parameters():
        assert torch.equal(value, before[name]) is name.startswith(("blocks.0.", "blocks.1.")), name
    frozen = [p for p in discriminator.parameters() if not p.requires_grad]
    adam = run.optimizers.discriminator
    assert frozen and all(p.grad is None and p not in adam.state for p in frozen)
    assert len(adam.param_groups[0]["params"]) == len(list(discriminator.parameters()))
    with pytest.raises(UserError, match="blocks is 0, must be 1 or more"):
        build_method(parse_method("freezed(blocks=0)"))


# (network, options, blocks that FreezeD freezes by default, blocks there are)
FAMILIES = [
    ("sngan-128", {"g_width": 16, "d_width": 16, "z_dim": 4}, 5, 6),
    ("sngan-48", {"g_width": 16, "d_width": 16, "z_dim": 4}, None, None),
    ("sndcgan-32", {"g_width": 8, "d_width": 8, "z_dim": 4}, 5, 7),
    ("biggan-128", {"g_channels": 8, "d_channels": 8, "z_dim": 12, "shared_dim": 4, "attention": None}, 4, 6),
    ("biggan-32", {"g_channels": 8, "d_channels": 8, "z_dim": 12, "shared_dim": 4}, 3, 4),
    ("stylegan2-128", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 4, 5),
    ("stylegan2-32", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 2, 3),
    ("fastgan-64", {"z_dim": 4, "ngf": 2, "ndf": 2, "shared_dim": 4, "decoder_width": 2}, 3, 4),
]


def _built(name, options, condition_dim, seed):
    return networks.build(name, seed=seed, condition_dim=condition_dim, **options)


@pytest.mark.parametrize(("name", "options", "frozen", "blocks"), FAMILIES, ids=[one[0] for one in FAMILIES])
def test_every_network_is_transferred_and_frozen(name, options, frozen, blocks, tmp_path):
    """The source has four classes, the target a condition of another size: all else is taken over."""
    ema, source_d = _built(name, options, 4, seed=1)
    checkpoint.write_weights(
        tmp_path / "source.pt", {"ema": ema.state_dict(), "discriminator": source_d.state_dict()}
    )
    method = build_method(parse_method("freezed"))
    spec = RunSpec(
        method=(),
        network=NetworkSpec(name=name, options=options),
        data=DataSpec(name="noise", resolution=32),
        train=None,
        protocol=None,
        seed=0,
    )
    images = np.zeros((4, 32, 32, 3), np.uint8)
    ctx = Context(spec, images, None, torch.device("cpu"), {"network": tmp_path / "source.pt"})
    ctx.generator, ctx.discriminator = _built(name, options, 7, seed=2)
    own = [network.state_dict() for network in _built(name, options, 7, seed=2)]
    method.prepare(ctx)
    for network, source, fresh in zip(ctx.networks(), (ema, source_d), own, strict=True):
        given = source.state_dict()
        for key, value in network.state_dict().items():
            new = "condition_embedding" in key.split(".")
            assert torch.equal(value, (fresh if new else given)[key]), key
        assert any("condition_embedding" in key for key in given)
    kept = [all(not p.requires_grad for p in block.parameters()) for block in ctx.discriminator.blocks]
    if blocks is None:
        frozen, blocks = min(5, len(kept) - 1), len(kept)
    assert kept == [True] * frozen + [False] * (blocks - frozen)
    trainable = {key.split(".")[0] for key, p in ctx.discriminator.named_parameters() if p.requires_grad}
    assert "blocks" in trainable and "condition_embedding" in trainable


def test_a_source_of_another_width_is_refused(tmp_path):
    for name, options, _, _ in FAMILIES:
        narrow, _ = _built(name, options, None, seed=1)
        wide = {key: value * 2 if key.endswith(("g_width", "g_channels", "channel_max", "ngf")) else value
                for key, value in options.items()}  # fmt: skip
        target, _ = _built(name, wide, None, seed=1)
        with pytest.raises(UserError, match="has shape .*, this run's network wants"):
            copy_weights(narrow.state_dict(), target, "generator")
