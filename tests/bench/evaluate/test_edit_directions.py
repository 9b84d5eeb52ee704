"""Directions in z that do what a transformation of pixels does: each step by hand, planted ones, worse generators."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.linear_model import Ridge

from bench.data.picture_grid import read_grid
from bench.errors import UserError
from bench.evaluate.descent import Adam
from bench.evaluate.directions import Direction, Latents, Points, fitted_direction, trajectories, within
from bench.evaluate.edited_images import left_over
from bench.evaluate.registry import refuse_impossible
from bench.evaluate.transformations import blurred_errors, transformed
from bench.files.weights import read_weights
from bench.networks.common.pixels import to_uint8
from bench.run.reopen import reopen
from bench.seeds import torch_stream
from bench.spec.run import DataSpec
from evaluated import evaluation
from linear_generator import LinearGenerator


def pictures(count=2, side=8):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_shift_moves_pixels_and_does_not_know_what_comes_in():
    x = pictures()
    for edit, axis, factor in (("vertical-shift", 2, 0.25), ("horizontal-shift", 3, -0.375)):
        found, known = transformed(x, edit, factor)
        pixels = round(8 * factor)
        expected, lines = torch.roll(x, pixels, axis), torch.arange(8)
        there = (lines >= pixels) & (lines < 8 + pixels)
        assert torch.equal(known[0, 0], there[:, None].expand(8, 8) if axis == 2 else there.expand(8, 8))
        torch.testing.assert_close(found, expected * known, rtol=0, atol=1e-5)


def test_brightness_is_added_and_a_zoom_is_about_the_centre():
    x = pictures()
    found, known = transformed(x, "brightness", 0.5)
    assert torch.equal(found, (x + 0.5).clamp(-1, 1)) and known.all()
    # Half the size: each pixel is read between four, which is their mean; around it nothing is known.
    half, known = transformed(x, "zoom", -0.5)
    assert known[0, 0, 2:6, 2:6].all() and known.sum() == 16
    torch.testing.assert_close(half[:, :, 2:6, 2:6], torch.nn.functional.avg_pool2d(x, 2), atol=1e-5, rtol=0)
    assert not half[:, :, :2].any()
    # Twice the size: the middle of what torch makes of the whole, which repeats its edge where this one reads further.
    twice, known = transformed(x, "zoom", 1.0)
    whole = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(twice, whole[:, :, 4:12, 4:12], atol=1e-5, rtol=0)
    assert known.all()
    for edit in ("brightness", "zoom", "vertical-shift", "horizontal-shift"):
        torch.testing.assert_close(transformed(x, edit, 0.0)[0], x, atol=1e-5, rtol=0)


def test_the_error_is_the_mean_square_of_blurred_differences_where_pixels_are_known():
    one, other = pictures(4, 32).chunk(2)
    wanted, known = transformed(other, "vertical-shift", 0.25)
    difference = ((one - wanted) * known).double().numpy()
    blurred = ndimage.gaussian_filter(difference, (0, 0, 1.5, 1.5), mode="constant", truncate=4 / 1.5)  # 4 pixels
    expected = (blurred**2)[:, :, 8:].mean((1, 2, 3))
    np.testing.assert_allclose(blurred_errors(one, wanted, known, 6.0), expected, rtol=1e-4)  # float32


def planted():
    """A generator whose first latent is brightness, at 0.8 a unit; the others are patterns without any."""
    generator = LinearGenerator(6, 32)
    maps = generator.maps[0].data
    maps -= maps.mean(1, keepdim=True)
    maps *= 0.5
    maps[0] = 0.8
    return generator


def latents(count, seed=1):
    z_NZ = 0.5 * torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return Latents(z_NZ, None, torch.Generator().manual_seed)


def test_the_direction_of_brightness_is_found():
    """The one latent that adds to all pixels, and how much of it a unit of brightness is: 1 / 0.8."""
    points = trajectories(planted(), latents(8), "brightness", [0.2, 0.4], Adam(150, 0.05), 3.0)
    assert points.moves_KZ.shape == (32, 6) and sorted(set(points.factors_K)) == [-0.4, -0.2, 0.2, 0.4]
    found = fitted_direction(points)
    assert found.unit_Z[0] > 0.99 and found.step == pytest.approx(1 / 0.8, rel=0.03)
    moved = found.moved(torch.zeros(1, 6), 0.4)
    assert moved[0, 0].item() == pytest.approx(0.5, rel=0.03)


def test_the_model_of_the_factor_is_a_ridge_regression_of_the_better_points():
    stream = np.random.default_rng(0)
    moves, errors = stream.normal(size=(40, 5)), stream.random(40)
    factors = moves @ [0.3, -0.1, 0, 0, 0.2] + 0.05 * stream.normal(size=40)
    found = fitted_direction(Points(moves, factors, errors))
    best = np.argsort(errors)[:36]
    v = Ridge(alpha=0.1 * 36, fit_intercept=False).fit(moves[best], factors[best]).coef_
    np.testing.assert_allclose(found.unit_Z, v / np.linalg.norm(v), rtol=1e-6)
    along = moves[best] @ found.unit_Z
    assert found.step == pytest.approx((factors[best] @ along) / (factors[best] @ factors[best]))
    nowhere = fitted_direction(Points(0 * moves, factors, errors))
    assert nowhere.step == 0 and not nowhere.unit_Z.any()


def test_a_latent_stays_within_the_sphere():
    z = torch.tensor([[3.0, 4.0, 0, 0], [0.1, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(within(z), torch.tensor([[1.2, 1.6, 0, 0], [0.1, 0, 0, 0], [0, 0, 0, 0]]))


def left(generator, edit="brightness"):
    found = trajectories(generator, latents(8), edit, [0.2, 0.4], Adam(60, 0.05), 3.0)
    subject = SimpleNamespace(generator=generator, device="cpu", pause=lambda: None)
    edited, unmoved = left_over(subject, latents(6, 2), fitted_direction(found), edit, [-0.4, -0.2, 0.2, 0.4], "alex")
    return edited.mean() / unmoved.mean()


def test_a_generator_that_cannot_do_it_leaves_more():
    """Nothing is left where one latent is brightness; most where none is; all of it of a constant image."""
    able, unable, constant = planted(), planted(), planted()
    unable.maps[0].data[0] = unable.maps[0].data[1]
    constant.maps[0].data[:] = 0
    shares = [left(generator) for generator in (able, unable, constant)]
    assert shares[0] < 0.1 and shares[0] < shares[1] <= 1.1 and shares[2] == 1
    assert shares[1] > 0.7
    assert left(able, "zoom") > 0.7, "it has brightness alone"


def test_what_is_not_known_is_not_compared():
    """An edit that is right where pixels are known leaves nothing, whatever stands elsewhere."""
    generator = planted()
    still = Direction(np.zeros(6), 0.0)
    subject = SimpleNamespace(generator=generator, device="cpu", pause=lambda: None)
    flat = Latents(torch.tensor([[0.5, 0, 0, 0, 0, 0]]), None, torch.Generator().manual_seed)
    edited, unmoved = left_over(subject, flat, still, "vertical-shift", [-0.5, 0.5], "alex")
    assert np.abs(edited).max() < 1e-6 and np.array_equal(edited, unmoved)


SETTINGS = {
    "measure": "edit-directions",
    "edit": "brightness",
    "factors": 2,
    "trajectories": 3,
    "updates": 2,
    "tried": 3,
}


def test_the_measure_of_a_run_with_classes(tiny_spec, run_once, store):
    """Numbers, pictures and arrays of a class-conditional run; the pictures by hand; the same to the digit again."""
    run = tiny_spec("class-conditional", steps=1, scored=True, data=DataSpec(name="digits", resolution=32, shots=40))
    run_once(run)
    folder = run_once(evaluation(run, **SETTINGS))
    lines = {line["metric"]: line for line in folder.metrics()}
    assert set(lines) == {"edit_left", "edit_left_ends"}
    assert all(line["error"] > 0 and line["n_generated"] == 3 for line in lines.values())
    grid, arrays = read_grid(folder.pictures), read_weights(folder.arrays)
    assert grid.rows == ("asked", "made") * 2 and grid.columns == ("-0.50", "-0.25", "0", "+0.25", "+0.50")
    assert np.linalg.norm(arrays["edit_direction"]) == pytest.approx(1)

    # The first latent by hand, of the class that the method draws for it.
    opened = reopen(store.folder(run.uid), store, "final")
    streams = [torch_stream(0, "evaluate", "edit-directions", "tried", name) for name in ("latents", "sampler")]
    z_NZ = torch.randn(3, 16, generator=streams[0])
    conditions = []
    hook = opened.generator.register_forward_pre_hook(lambda module, inputs: conditions.append(inputs[1]))
    with torch.no_grad():
        opened.sampler(opened.generator, z_NZ, streams[1])
        hook.remove()
        images = grid.images_NHWC.reshape(2, 2, 5, 32, 32, 3).astype(int)
        for place, factor in enumerate((-0.5, -0.25, 0, 0.25, 0.5)):
            moved = z_NZ + factor * float(arrays["edit_step"][0]) * arrays["edit_direction"].float()
            made = to_uint8(opened.generator(moved, conditions[0]))
            assert np.abs(made[:2].astype(int) - images[:, 1, place]).max() <= 1
            asked = (2 * (images[:, 1, 2] / 255) - 1 + factor).clip(-1, 1)
            assert np.abs((asked + 1) * 127.5 - images[:, 0, place]).max() <= 1.5
    again = run_once(evaluation(run, **{**SETTINGS, "sigma": 3.00001}))
    assert abs(again.metrics()[0]["value"] - lines["edit_left"]["value"]) < 1e-3


def test_what_it_cannot_be_of_is_refused(tiny_spec):
    own = tiny_spec("unconditional", scored=True, batch_statistics=8)
    with pytest.raises(UserError, match=r"images depend on each other \(train.batch_statistics\)"):
        refuse_impossible(evaluation(own, **SETTINGS))
