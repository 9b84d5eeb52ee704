"""CHAIN: the normalisation and its term against numpy and finite differences, which calls have them, and p's law."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench import seeds
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.networks.fastgan.recipes import fastgan_64
from bench.networks.stylegan2.recipes import stylegan2_32

chain = importlib.import_module("bench.methods.chain")


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _transcription(x, mask):
    """Channel by channel, in numpy."""
    psi = [np.sqrt((x[:, c] ** 2).mean() + 1e-8) for c in range(x.shape[1])]
    out = np.empty_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[n, c] = x[n, c] / psi[c] * min(psi) if mask[n, c] else x[n, c]
    return out


def test_masked_channels_have_the_root_mean_square_of_the_smallest():
    x = _normal(4, 5, 3, 3) * torch.tensor([0.1, 1, 2, 3, 4])[:, None, None]
    mask = (_normal(4, 5, seed=1) > 0).double()
    found = chain.softened(x, mask[:, :, None, None]).numpy()
    np.testing.assert_allclose(found, _transcription(x.numpy(), mask.numpy()), rtol=1e-12)
    whole = chain.softened(x, torch.ones(4, 5, 1, 1))
    sizes = whole.square().mean(dim=(0, 2, 3)).sqrt()
    torch.testing.assert_close(sizes, sizes.min().expand(5), rtol=1e-5, atol=0)
    assert torch.equal(chain.softened(x, torch.zeros(4, 5, 1, 1)), x)
    np.testing.assert_allclose(chain.softened(x, torch.tensor(0.25)), 0.75 * x + 0.25 * whole, rtol=1e-12)


def test_its_gradient_is_the_finite_difference_with_the_minimum_held():
    x, mask, weight = _normal(3, 2, 2, 2), torch.tensor([[1.0, 0], [1, 1], [0, 1]]), _normal(3, 2, 2, 2, seed=1)
    leaf = x.clone().requires_grad_()
    (chain.softened(leaf, mask.double()[:, :, None, None]) * weight).sum().backward()
    smallest = np.sqrt((x.numpy() ** 2).mean(axis=(0, 2, 3)) + 1e-8).min()

    def value(at):
        psi = np.sqrt((at**2).mean(axis=(0, 2, 3), keepdims=True) + 1e-8)
        scaled = np.where(mask.numpy()[:, :, None, None] > 0, at / psi * smallest, at)
        return (scaled * weight.numpy()).sum()

    for place in np.ndindex(3, 2, 2, 2):
        nudge = np.zeros((3, 2, 2, 2))
        nudge[place] = 1e-6
        slope = (value(x.numpy() + nudge) - value(x.numpy() - nudge)) / 2e-6
        # Central differences err by h^2 = 1e-12 times a third derivative, and rounding by 1e-16 / h = 1e-10.
        assert leaf.grad[place].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def _outputs(discriminator):
    """What the convolutions gave before CHAIN changed it: hooks that came first, by convolution, a map a call."""
    seen = {}
    for number, layer in enumerate(chain.convolutions(discriminator, 1)):
        layer.register_forward_hook(
            lambda _, __, out, number=number: seen.setdefault(number, []).append(out), prepend=True
        )
    return seen


def test_the_term_is_that_of_ds_call_for_real_and_its_call_for_generated_images(make_run):
    """Other parts' further calls of D in the same update are not in it: consistency makes one."""
    run = make_run("consistency + chain(weight=3, least=0.5, start_share=0.9)", d_steps=1)
    part = run.method.parts[1][1]
    part.p.fill_(0.25)
    seen, terms, d_loss = _outputs(run.ctx.discriminator), [], part.d_loss

    def watch(ctx, step):
        calls = {number: [out.detach().double().numpy() for out in outs] for number, outs in seen.items()}
        terms.append((calls, d_loss(ctx, step)["zero_mean"].item()))
        return {}

    part.d_loss = watch
    run.advance(1)
    ((calls, term),) = terms
    assert len(calls) == len(chain.convolutions(run.ctx.discriminator, 1)) > 4
    assert all(len(outs) == 3 and len(outs[0]) == 4 for outs in calls.values())
    expected = sum((out.mean(axis=(0, 2, 3)) ** 2).sum() for outs in calls.values() for out in outs[:2])
    assert term == pytest.approx(3 * (0.25 + 0.5) * expected, rel=1e-4)  # float32 maps


def test_g_has_the_normalisation_without_the_term(make_run):
    run = make_run("chain(least=1, start_share=0.9)", d_steps=1)
    part, seen = run.method.parts[0][1], _outputs(run.ctx.discriminator)
    part.p.fill_(1.0)
    normalised = []
    layer = chain.convolutions(run.ctx.discriminator, 1)[0]
    layer.register_forward_hook(lambda _, __, out: normalised.append(out))
    logged = run.advance(1).logs[0]
    assert [name for name in logged if "zero_mean" in name] == ["chain/zero_mean"]  # of D's update
    before, after = seen[0], normalised
    assert len(before) == len(after) == 3  # D-real, D-fake, G-fake
    for raw, out in zip(before, after, strict=True):
        expected = _transcription(raw.detach().numpy(), np.ones(raw.shape[:2]))
        np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-4, atol=1e-6)
    # G's loss is the adversarial one alone: the mean of minus D's logits
    assert "g_loss" in logged and not any(name.startswith("chain/") and "g_" in name for name in logged)


def test_the_mask_is_drawn_for_each_image_and_channel_with_probability_p(make_run):
    run = make_run("chain(start_share=0.9)")
    part = run.method.parts[0][1]
    part.p.fill_(0.3)
    layer = chain.convolutions(run.ctx.discriminator, 1)[0]
    run.ctx.begin_step(0)
    maps = []
    layer.register_forward_hook(lambda _, __, out: maps.append(out), prepend=True)
    layer.register_forward_hook(lambda _, __, out: maps.append(out))
    with torch.no_grad():
        layer(torch.randn(500, 8, 4, 4, generator=torch.Generator().manual_seed(0)))
    raw, out = maps
    kept = (raw == out).all(dim=(2, 3))
    smallest = raw.square().mean(dim=(0, 2, 3)).argmin()
    others = torch.arange(raw.shape[1]) != smallest  # of the smallest channel both are the same
    drawn = torch.rand(500, raw.shape[1], generator=seeds.torch_stream(0, "chain", 0, 0, 1))
    assert torch.equal(~kept[:, others], (drawn < 0.3)[:, others])


def test_where_d_is_only_looked_at_the_mask_is_its_mean_and_nothing_is_drawn(make_run):
    run = make_run("chain")
    run.method.parts[0][1].p.fill_(0.5)
    discriminator = run.ctx.discriminator.eval()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    run.ctx.begin_step(0)
    with torch.no_grad():
        first, second = discriminator(images), discriminator(images)
    assert torch.equal(first, second)


def test_p_follows_a_running_mean_of_the_signs_from_the_start_on(make_run):
    run = make_run("chain(by=0.2, target=-0.12, start_share=0.5)", steps=8)
    part = run.method.parts[0][1]
    signs, wanted = [], []
    original = part.after_step

    def watch(ctx):
        signs.append(torch.cat(ctx.real_logits).sign().mean().item())
        return original(ctx)

    part.after_step = watch
    run.advance(8)
    p = r = 0.0
    for step, sign in enumerate(signs):
        if step >= 4:
            r = 0.9 * r + 0.1 * sign
            p = min(1.0, max(0.0, p + 0.2 * np.sign(r + 0.12)))
        wanted.append((p, r))
    for log, (p, r) in zip(run.logs, wanted, strict=True):
        assert log["chain/p"] == pytest.approx(p) and log["chain/r_t"] == pytest.approx(r, rel=1e-6)
    assert len({p for p, _ in wanted}) > 1


def test_convolutions_of_stylegan_and_shortcuts_count_and_batch_norms_are_refused(make_run):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        style = stylegan2_32(channel_base=128, w_dim=16, z_dim=16)[1]()
        fast = fastgan_64(ngf=8, ndf=8)[1]()
    assert len(chain.convolutions(style, 1)) == 3 * (len(style.blocks) - 1)  # conv0, conv1, skip
    names = dict(make_run("unconditional").ctx.discriminator.named_modules())
    found = chain.convolutions(make_run("unconditional").ctx.discriminator, 1)
    assert len(found) == sum("blocks" in n and n.split(".")[1:2] != ["0"] and n.count(".") == 2 for n in names)
    with pytest.raises(UserError, match="this discriminator has batch norms"):
        chain.convolutions(fast, 1)
    with pytest.raises(UserError, match="first_block is 9, and this discriminator has"):
        make_run("chain(first_block=9)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weight=-1", "weight is -1, must be 0 or more"),
        ("start_share=1", "start_share is 1, must be 0 or more and below 1"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(f"chain({text})"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("diffaugment + chain(by=0.3, least=0.1, start_share=0) + baseline", "sngan-32"),
        ("chain(by=0.3)", "stylegan2-32"),
    ],
)
def test_conforms(method, network):
    assert [finding for finding in check_method(method, network) if not finding.passed] == []
