"""TransferGAN copies all but the condition, FreezeD trains all but the first blocks."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UserError
from bench.methodspec import build_method, parse_method
from bench.train import checkpoint


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
    assert [name for name, p in discriminator.named_parameters() if not p.requires_grad]
    with pytest.raises(UserError, match="blocks is 0, must be 1 or more"):
        build_method(parse_method("freezed(blocks=0)"))
