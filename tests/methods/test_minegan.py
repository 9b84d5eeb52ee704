"""MineGAN: what the miner is, that every call of G goes through it, and what moves in which stage."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench import networks
from bench.conformance.checks import check_everywhere
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.networks.common import noise
from bench.spec.run import DataSpec, NetworkSpec, RunSpec
from bench.store import checkpoints
from bench.train import Context
from bench.train.ema import make_ema

minegan = importlib.import_module("bench.methods.minegan")


@pytest.fixture(scope="module")
def plain_source(make_run, make_pictures, tmp_path_factory):
    """A source without classes."""
    run = make_run("r1", images=make_pictures(12, seed=5), seed=5).advance(2)
    return {"network": run.save(tmp_path_factory.mktemp("plain") / "network.pt")}


def _z(count=5):
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(3))


def _values(network):
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def _moved(before, network):
    return {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}


def test_a_new_linear_miner_is_a_rotation_without_activations():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        miner = minegan.Miner(minegan.MINERS["biggan"], 8, 20).eval()
    weights = [layer.weight.double() for layer in miner.latent]
    assert [tuple(w.shape) for w in weights] == [(8, 8)] * 4
    assert [tuple(layer.weight.shape) for layer in miner.embedding] == [(8, 8)] * 3 + [(20, 8)]
    product = weights[3] @ weights[2] @ weights[1] @ weights[0]
    # float32 weights, whose spectral norm is estimated: errors of some 1e-6
    torch.testing.assert_close(product @ product.T, torch.eye(8, dtype=torch.float64), rtol=0, atol=1e-5)
    z = _z()
    mined, embedding = miner(z)
    torch.testing.assert_close(mined.double(), z.double() @ product.T, rtol=0, atol=1e-5)
    assert embedding.shape == (5, 20)
    assert minegan.Miner(minegan.MINERS["biggan"], 8, None)(z)[1] is None


def test_the_stylegan_miner_is_two_layers_with_a_relu():
    miner = minegan.Miner(minegan.MINERS["stylegan"], 8, None)
    first, _, last = miner.latent
    z = _z()
    hidden = np.maximum(z.numpy() @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    expected = hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    np.testing.assert_allclose(miner(z)[0].detach().numpy(), expected, atol=1e-6)


def test_with_classes_g_is_called_with_a_mined_latent_and_embedding_and_d_without_a_class(make_run, source):
    run = make_run("minegan", sources=source)
    generator, discriminator = (network.eval() for network in run.ctx.networks())
    weights = checkpoints.read_weights(source["network"])
    miner = generator.added["miner"]
    mined, embedding = miner(_z())
    assert embedding.shape == (5, generator.shared_dim)
    assert torch.equal(generator(_z()), generator.synthesize(mined, embedding))
    # The same numbers as the source's own networks give for that embedding, and for no class.
    source_run = make_run("class-conditional", labels=np.arange(12) % 3, sources={})
    source_run.ctx.generator.load_state_dict(weights["ema"])
    source_run.ctx.discriminator.load_state_dict(weights["discriminator"])
    theirs, judge = (network.eval() for network in source_run.ctx.networks())
    images = generator(_z())
    torch.testing.assert_close(images, theirs.synthesize(mined, embedding), rtol=0, atol=1e-6)
    torch.testing.assert_close(discriminator(images), judge.unconditional_logits(images), rtol=0, atol=1e-6)


def test_without_classes_m_gives_the_latent_alone(make_run, plain_source):
    run = make_run("minegan", sources=plain_source)
    generator = run.ctx.generator.eval()
    weights = checkpoints.read_weights(plain_source["network"])["ema"]
    assert all(torch.equal(value, generator.state_dict()[name]) for name, value in weights.items())
    mined, embedding = generator.added["miner"](_z())
    assert embedding is None and torch.equal(generator(_z()), generator.synthesize(mined))
    assert not torch.allclose(generator(_z()), generator.synthesize(_z()), atol=1e-3)


def test_beside_a_part_with_conditions_m_gives_the_latent_alone(make_run, source):
    run = make_run("minegan(classes=false, mining_share=0.5) + baseline", sources=source)
    generator = run.ctx.generator
    before = _values(generator)
    run.advance(1)
    new = {name for name in before if name.startswith(("added.", "condition_embedding."))}
    assert len(new) > 4 and _moved(before, generator) == new
    generator.eval()
    condition = torch.eye(12)[:5]
    mined, _ = generator.added["miner"](_z())
    assert torch.equal(generator(_z(), condition), generator.synthesize(mined, generator.embed(condition)))


def test_g_stands_still_while_m_and_d_mine_and_then_all_moves(make_run, source):
    run = make_run("minegan(mining_share=0.5)", sources=source, steps=4, d_steps=2)
    generator, discriminator = run.ctx.networks()
    before, d_before = _values(generator), _values(discriminator)
    run.advance(2)
    miner = {name for name in before if name.startswith("added.miner.")}
    assert len(miner) == 16 and _moved(before, generator) == miner
    assert _moved(d_before, discriminator) == set(d_before)
    run.advance(1)
    assert _moved(before, generator) == set(before)
    assert all(parameter.requires_grad for parameter in generator.parameters())


def test_the_averaged_generator_has_a_miner_of_its_own(make_run, source):
    run = make_run("minegan", sources=source, steps=4).advance(3)
    ema = run.ctx.ema
    average, current = ema.added["miner"], run.ctx.generator.added["miner"]
    assert not torch.equal(average.latent[0].bias, current.latent[0].bias)
    z = torch.randn(6, 8, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        assert torch.equal(run.sample(6), ema.synthesize(*average(z)))


STYLES = {
    "stylegan1-32": {"w_dim": 8, "channel_base": 128, "channel_max": 8, "mapping_layers": 2},
    "stylegan2-32": {"w_dim": 8, "channel_base": 128, "channel_max": 8, "mapping_layers": 2},
}


@pytest.mark.parametrize("network", STYLES)
def test_both_latents_of_a_mixed_image_are_mined(network, tmp_path):
    """FreezeD's Miner maps every latent of the list. Recomputed layer by layer from the noise stream's numbers."""
    options = {"z_dim": 8, "mixing": 1.0, "noise": "none", **STYLES[network]}
    generator, ema = _mining(network, options, tmp_path)
    miner, z = generator.added["miner"], _z(4)
    hook, generator.on_latent = generator.on_latent, None  # the bare mapping network
    stream = torch.Generator().manual_seed(5)
    second = torch.randn(4, 8, generator=stream)
    _, place = torch.rand(2, 1, generator=stream)
    layers = generator.synthesis.layers
    first_layer_of_second = 1 + int(place * (layers - 1))
    w = [generator.map(miner(latent)[0]) for latent in (z, second)]
    styles = [w[0] if layer < first_layer_of_second else w[1] for layer in range(layers)]
    generator.on_latent = hook
    with noise.drawn_from(torch.Generator().manual_seed(5)):
        found = generator.styles(z)
    torch.testing.assert_close(found, torch.stack(styles, dim=1), rtol=1e-6, atol=1e-6)  # float32
    assert not torch.allclose(found[:, -1], generator.map(z), atol=1e-3)
    # The averaged generator has an M of its own, and maps z once, not twice.
    mined = ema.added["miner"](z)[0]
    ema.on_latent, images = None, ema(z)
    torch.testing.assert_close(images, ema(mined), rtol=1e-6, atol=1e-6)


def _mining(network, options, folder):
    """A generator that MineGAN has prepared, and its average, from a source of the same network."""
    pair = networks.build(network, seed=1, **options)
    weights = {key: one.state_dict() for key, one in zip(("ema", "discriminator"), pair, strict=True)}
    checkpoints.write_weights(folder / "style.pt", weights)
    spec = RunSpec(
        method=(),
        network=NetworkSpec(name=network, options=options),
        data=DataSpec(name="noise", resolution=32),
        train=None,
        protocol=None,
        seed=0,
    )
    images = np.zeros((4, 32, 32, 3), np.uint8)
    ctx = Context(spec, images, None, torch.device("cpu"), {"network": folder / "style.pt"})
    ctx.generator, ctx.discriminator = networks.build(network, seed=2, **options)
    build_method(parse_method("minegan(miner=stylegan)")).prepare(ctx)
    return ctx.generator, make_ema(ctx.generator)


@pytest.mark.slow
def test_stages_follow_the_step_of_a_resumed_run(make_run, source, tmp_path):
    straight = make_run("minegan(mining_share=0.5)", sources=source, steps=4).advance(4)
    for stop in (1, 3):
        first = make_run("minegan(mining_share=0.5)", sources=source, steps=4).advance(stop)
        path = first.save(tmp_path / f"{stop}.pt")
        second = make_run("minegan(mining_share=0.5)", sources=source, steps=4).load(path).advance(4 - stop)
        one, other = (run.ctx.generator.state_dict() for run in (straight, second))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_second_condition_and_two_outputs_are_refused(make_run, source):
    with pytest.raises(UserError, match="condition_dim"):
        make_run("minegan + baseline", sources=source)
    with pytest.raises(UserError, match="given no source 'network'"):
        make_run("minegan")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minegan(miner=bigan)", "unknown miner 'bigan'; did you mean 'biggan'"),
        ("minegan(mining_share=1)", "mining_share is 1, must be 0 or more and below 1"),
        ("minegan(mining_share=-0.1)", "mining_share is -0.1, must be 0 or more and below 1"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "families"),
    [
        ("minegan(mining_share=0.34)", ["sngan-32", "fastgan-64"]),
        ("minegan(miner=stylegan, classes=false) + baseline + diffaugment", ["biggan-32"]),
    ],
)
def test_conformance(text, families):
    for network, findings in check_everywhere(text, families).items():
        wrong = [finding for finding in findings if not finding.passed]
        if network == "fastgan-64":
            assert not wrong[0].supported and "a generator with two outputs" in wrong[0].detail
        else:
            assert len(findings) > 5 and wrong == []
