"""SimCLR: its loss against a double loop, its views, and that training lowers the loss."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch

from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.features.simclr import trained_extractor
from bench.store import checkpoints

simclr = importlib.import_module("bench.methods.simclr")


def test_nt_xent_equals_the_double_loop_of_the_paper():
    stream = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 7, generator=stream, dtype=torch.float64)
    z = np.concatenate([first.numpy(), second.numpy()])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for i in range(10):
        partner = (i + 5) % 10
        others = sum(math.exp(z[i] @ z[k] / 0.3) for k in range(10) if k != i)
        total -= math.log(math.exp(z[i] @ z[partner] / 0.3) / others)
    assert simclr.nt_xent(first, second, 0.3).item() == pytest.approx(total / 10, rel=1e-12)


def test_equal_pairs_that_differ_from_all_others_cost_least():
    far = torch.eye(6) * 3
    assert simclr.nt_xent(far, far, 0.1) < 0.01 < simclr.nt_xent(far, far.roll(1, 0), 0.1)


def test_views_are_images_of_their_own(make_pictures):
    images = torch.from_numpy(make_pictures(1)).permute(0, 3, 1, 2).float() / 127.5 - 1
    views = simclr.view(images.expand(64, -1, -1, -1), Numbers.of(torch.Generator().manual_seed(0)))
    assert views.shape == (64, 3, 32, 32) and views.min() >= -1 and views.max() <= 1
    assert len({tuple(view.flatten()[::97].tolist()) for view in views}) > 60
    grey = (views.amax(1) - views.amin(1)).flatten(1).amax(1) < 1e-4
    assert 3 <= int(grey.sum()) <= 25  # binomial(64, 0.2): mean 12.8, sd 3.2


def test_crops_cover_the_published_share_and_stay_inside():
    matrices = simclr.crop(4000, 32, 32, Numbers.of(torch.Generator().manual_seed(1)))
    x, y = 1 / matrices[:, 0, 0].abs(), 1 / matrices[:, 1, 1]
    assert ((x * y >= 0.2 - 1e-4) & (x <= 1 + 1e-6) & (y <= 1 + 1e-6)).all()
    ratio = (x / y)[(x < 1) & (y < 1)]
    assert 0.74 < ratio.min() < 0.8 and 1.25 < ratio.max() < 1.34
    for share, axis in ((x, 0), (y, 1)):
        centre = matrices[:, axis, 2] / matrices[:, axis, axis]
        assert (centre.abs() <= (1 - share) * 16 + 1e-3).all()


def test_training_lowers_the_loss_on_fixed_views(make_run, make_pictures):
    run = make_run("simclr(width=8, lr=0.003)", network=None, images=make_pictures(24), batch=12, steps=60)
    part = run.method.parts[0][1]
    images_NCHW = torch.from_numpy(run.ctx.images_u8_NHWC).permute(0, 3, 1, 2) / 127.5 - 1
    views = [simclr.view(images_NCHW, Numbers.of(torch.Generator().manual_seed(seed))) for seed in range(8)]

    def loss():
        with torch.no_grad():
            codes = [part.head(part.encoder(view)) for view in views]
        pairs = zip(codes[::2], codes[1::2], strict=True)
        return np.mean([float(simclr.nt_xent(*pair, 0.5)) for pair in pairs])

    before = loss()
    assert loss() == before  # batch statistics: no trace of the call itself
    run.advance(60)
    assert loss() < before - 0.2


def test_the_extractor_is_the_trained_encoder(make_run, tmp_path):
    run = make_run("simclr(width=4)", network=None)
    encoder = run.method.parts[0][1].encoder
    start = encoder.stem.weight.detach().clone()
    weights = checkpoints.read_weights(run.advance(2).save(tmp_path / "final.pt"))
    assert not torch.equal(encoder.stem.weight, start)
    features = trained_extractor(weights, 32)(run.ctx.images_u8_NHWC)
    with torch.no_grad():
        x_NCHW = torch.from_numpy(run.ctx.images_u8_NHWC).permute(0, 3, 1, 2) / 127.5 - 1
        expected = encoder.eval()(x_NCHW).numpy()
    assert features.shape == (12, 16) and features.std(0).max() > 0
    # The extractor works on another memory layout: sums in another order.
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_is_refused(make_run):
    with pytest.raises(UserError, match="batch must be 2 or more"):
        make_run("simclr(width=4)", network=None, batch=1).advance(1)


def test_damaged_encoders_are_refused(source):
    weights = checkpoints.read_weights(source["simclr"])
    next(iter(weights["method"].values()))["encoder"].pop("norm.bias")
    with pytest.raises(UserError, match=r"source 'simclr'.*norm.bias"):
        trained_extractor(weights, 32)
