"""TransferGAN copies all but the condition, FreezeD trains all but the first blocks."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench import networks
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.spec.run import DataSpec, NetworkSpec, RunSpec
from bench.store import checkpoints
from bench.train import Context

copy_weights = importlib.import_module("bench.methods.transfergan").copy_weights


def _same(first, second):
    return {name for name in first if name in second and torch.equal(first[name], second[name])}


def test_transfer_copies_everything_but_what_embeds_the_condition(make_run, source):
    weights = checkpoints.read_weights(source["network"])
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
    weights = checkpoints.read_weights(source["network"])
    edit(weights)
    checkpoints.write_weights(tmp_path / "odd.pt", weights)
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
    # FreezeD's code trains the last two blocks of StyleGAN and what follows them, at every size.
    ("stylegan1-128", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 3, 5),
    ("stylegan1-256", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 4, 6),
    ("stylegan2-32", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 1, 3),
    ("stylegan2-128", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 3, 5),
    ("stylegan2-256", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 4, 6),
    ("stylegan2-1024", {"z_dim": 4, "w_dim": 4, "shared_dim": 4, "channel_max": 4}, 6, 8),
    ("fastgan-64", {"z_dim": 4, "ngf": 2, "ndf": 2, "shared_dim": 4, "decoder_width": 2}, 3, 4),
]


@pytest.mark.parametrize(
    ("method", "network", "there", "frozen"),
    [
        ("freezed(blocks=3)", "stylegan2-1024", 8, 3),  # fewer than the published six
        ("freezed(blocks=6)", "stylegan2-256", 6, 4),
        ("freezed(exactly=5)", "stylegan2-1024", 8, 5),
        ("freezed(exactly=5)", "biggan-128", 6, 5),
        ("freezed(exactly=1)", "sngan-128", 6, 1),
    ],
)
def test_another_number_than_the_published_one_can_be_frozen(method, network, there, frozen):
    ((_, part),) = build_method(parse_method(method)).parts
    assert part.frozen_blocks(network, there) == frozen


def test_to_freeze_all_is_refused_and_the_default_is_in_every_older_runs_name():
    ((_, part),) = build_method(parse_method("freezed(exactly=4)")).parts
    with pytest.raises(UserError, match="exactly is 4, must be at most 3: sngan-32 has 4 blocks"):
        part.frozen_blocks("sngan-32", 4)
    assert [one.settings for one in parse_method("freezed + transfergan + minegan")] == [
        {"blocks": 5},
        {},
        {"miner": "biggan", "mining_share": 0.1, "classes": True},
    ]


KEEP = [
    "transfergan(condition=keep)",
    "freezed(condition=keep, blocks=1)",
    "minegan(classes=false, condition=keep)",
]


@pytest.mark.parametrize("method", KEEP)
def test_with_the_same_classes_the_class_tables_can_be_kept(method, make_run, source):
    """As LT-GAN goes on from an ImageNet network on ImageNet: it starts at what that network draws and says."""
    weights = checkpoints.read_weights(source["network"])
    labels = np.arange(12) % 3  # the source has three classes too
    theirs = make_run("class-conditional", labels=labels, seed=3)
    theirs.ctx.generator.load_state_dict(weights["ema"])
    theirs.ctx.discriminator.load_state_dict(weights["discriminator"])
    run = make_run(f"{method} + class-conditional", labels=labels, sources=source)
    for network, key in zip(run.ctx.networks(), ("ema", "discriminator"), strict=True):
        own = {name: value for name, value in network.state_dict().items() if not name.startswith("added.")}
        assert _same(own, weights[key]) == own.keys() == weights[key].keys()
        assert "condition_embedding" in {name.split(".")[0] for name in own}
    z, classes = torch.randn(3, 8, generator=torch.Generator().manual_seed(3)), torch.eye(3)
    (g, d), (their_g, their_d) = ([one.eval() for one in r.ctx.networks()] for r in (run, theirs))
    with torch.no_grad():
        images = g.synthesize(z, g.embed(classes))
        assert torch.equal(images, their_g(z, classes))
        assert torch.equal(d(images, classes), their_d(images, classes))


@pytest.mark.parametrize("method", KEEP)
def test_a_condition_that_is_not_the_sources_cannot_be_kept(method, make_run, source, tmp_path):
    # twelve training images, twelve conditions, and the source has three
    with pytest.raises(UserError, match=r"condition_embedding\.\S+ of the generator has shape .*3.*wants .*12"):
        make_run(f"{method} + baseline", sources=source)
    plain = {"network": make_run("unconditional").save(tmp_path / "plain.pt")}
    with pytest.raises(UserError, match="condition=keep: neither the source's generator nor this run's has a cond"):
        make_run(method, sources=plain)
    with pytest.raises(UserError, match="does not match: .* lacks it"):
        make_run(f"{method} + class-conditional", labels=np.arange(12) % 3, sources=plain)


def test_a_kept_embedding_stands_still_while_the_miner_learns(make_run, source):
    method = "minegan(classes=false, condition={}, mining_share=0.5) + class-conditional"
    moved = {}
    for condition in ("new", "keep"):
        run = make_run(method.format(condition), labels=np.arange(12) % 3, sources=source, steps=4)
        before = run.ctx.generator.condition_embedding.weight.detach().clone()
        run.advance(1)
        moved[condition] = not torch.equal(run.ctx.generator.condition_embedding.weight, before)
        run.advance(2)
        assert not torch.equal(run.ctx.generator.condition_embedding.weight, before)
    assert moved == {"new": True, "keep": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("transfergan(condition=kept)", "unknown condition 'kept'; did you mean 'keep'"),
        ("freezed(condition=kept)", "method 'freezed': unknown condition 'kept'"),
        ("freezed(exactly=0)", "exactly is 0, must be 1 or more"),
        ("minegan(condition=keep)", "condition=keep needs classes=false"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


def _built(name, options, condition_dim, seed):
    return networks.build(name, seed=seed, condition_dim=condition_dim, **options)


@pytest.mark.parametrize(("name", "options", "frozen", "blocks"), FAMILIES, ids=[one[0] for one in FAMILIES])
def test_every_network_is_transferred_and_frozen(name, options, frozen, blocks, tmp_path):
    """The source has four classes, the target a condition of another size: all else is taken over."""
    ema, source_d = _built(name, options, 4, seed=1)
    checkpoints.write_weights(tmp_path / "source.pt", {"ema": ema.state_dict(), "discriminator": source_d.state_dict()})
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


def test_a_source_of_another_type_is_refused():
    """torch would round or cut its numbers without a word."""
    name, options, _, _ = FAMILIES[0]
    source, _ = _built(name, options, None, seed=1)
    target, _ = _built(name, options, None, seed=1)
    state = source.state_dict()
    first = next(key for key, value in state.items() if value.is_floating_point())
    with pytest.raises(UserError, match="is torch.float64, this run's network wants torch.float32"):
        copy_weights({**state, first: state[first].double()}, target, "generator")


def test_a_source_of_another_width_is_refused(tmp_path):
    for name, options, _, _ in FAMILIES:
        narrow, _ = _built(name, options, None, seed=1)
        wide = {key: value * 2 if key.endswith(("g_width", "g_channels", "channel_max", "ngf")) else value
                for key, value in options.items()}  # fmt: skip
        target, _ = _built(name, wide, None, seed=1)
        with pytest.raises(UserError, match="has shape .*, this run's network wants"):
            copy_weights(narrow.state_dict(), target, "generator")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("transfergan(condition=keep) + class-conditional", "biggan-32"),
        (
            "minegan(classes=false, condition=keep, mining_share=0.34) + class-conditional + lt(pool=2)",
            "stylegan2-32",
        ),
    ],
)
def test_conformance(text, family):
    findings = check_method(text, family)
    assert len(findings) > 5 and [finding for finding in findings if not finding.passed] == []
