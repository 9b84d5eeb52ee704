"""ADA-lite: the law of p on scripted logits, and the pipeline's matrices against their distributions."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.contract.numbers import Numbers
from bench.errors import UserError

ada = importlib.import_module("bench.methods.ada_lite")
affine = importlib.import_module("bench.methods.common.affine")
colour = importlib.import_module("bench.methods.common.colour")
MANY = 20_000


def _step(part, step, *logits):
    return part.after_step(SimpleNamespace(step=step, real_logits=[torch.tensor(one) for one in logits]))


def test_p_follows_the_sign_statistic_exactly():
    part = ada.AdaLite(target=0.6, interval=4, speed_kimg=0.1)
    sure, torn = [3.0, 0.1, 7.0, 2.0], [1.0, -1.0, 1.0, 1.0]  # mean signs 1 and 1/2
    for step in range(3):
        assert _step(part, step, sure) == {"p": 0.0, "r_t": 1.0}
    assert _step(part, 3, torn) == {"p": 16 / 100, "r_t": 14 / 16}  # 4 steps of 4 images at 100 images a unit
    for step in range(4, 8):
        log = _step(part, step, torn)
    assert log == {"p": 0.0, "r_t": 0.5}
    for step in range(8, 12):
        log = _step(part, step, torn)
    assert log["p"] == 0.0  # clamped below
    for step in range(12, 52):
        log = _step(part, step, sure)
    assert log["p"] == pytest.approx(10 * 0.16)  # not clamped above


def test_p_counts_the_images_of_every_discriminator_update_and_rests_on_the_target():
    part = ada.AdaLite(target=0.5, interval=1, speed_kimg=1)
    assert _step(part, 0, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]) == {"p": 0.006, "r_t": 1.0}
    assert _step(part, 1, [1.0, 1.0, 1.0, -9.0]) == {"p": 0.006, "r_t": 0.5}  # r_t equals the target
    assert _step(part, 2, [-1.0, 0.0]) == {"p": pytest.approx(0.004), "r_t": -0.5}


def test_the_statistic_survives_a_checkpoint_within_an_interval():
    part, other = (ada.AdaLite(interval=3, speed_kimg=0.01) for _ in range(2))
    _step(part, 0, [1.0, -1.0])
    other.load_state_dict(part.state_dict())
    assert [_step(one, 2, [1.0, 1.0, 1.0]) for one in (part, other)] == [{"p": 0.0, "r_t": 0.6}] * 2


def test_without_p_nothing_changes():
    images = torch.rand(2, 3, 8, 8)
    assert ada.AdaLite().augment(None, images) is images


def test_p_rises_in_a_run_and_changes_what_d_sees(make_run):
    method = "ada-lite(speed_kimg=0.05, target=-1.5, interval=1) + baseline"
    run = make_run(method, d_steps=2).advance(3)
    assert [log["ada-lite/p"] for log in run.logs] == pytest.approx([8 / 50, 16 / 50, 24 / 50])
    images = torch.rand(6, 3, 32, 32)
    assert not torch.allclose(run.method.augment(run.ctx, images), images)


def _near(ours, expected):
    """Equal but for float32 matrices: 1e-6 of a pixel or of a colour, on differences of up to 1."""
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def _stream(seed=0):
    return Numbers.of(torch.Generator().manual_seed(seed))


def _sign_and_zoom(matrices):
    determinant = torch.linalg.det(matrices[:, :2, :2].double())
    return determinant.sign(), determinant.abs().log2() / 2


def _angle(matrices):
    """Degrees of the rotation in the polar decomposition, without the mirror (which comes first)."""
    linear = matrices[:, :2, :2].double()
    linear = linear @ torch.diag_embed(torch.stack([torch.linalg.det(linear).sign(), torch.ones(len(linear))], 1))
    u, _, v = torch.linalg.svd(linear)
    turn = u @ v
    return torch.rad2deg(torch.atan2(turn[:, 1, 0], turn[:, 0, 0]))


def test_geometry_at_full_strength_has_the_published_distributions():
    """Tolerances are about five standard errors of 20,000 draws."""
    matrices = ada.geometry(MANY, 64, 64, 1.0, _stream())
    sign, zoom = _sign_and_zoom(matrices)
    assert (sign < 0).double().mean().item() == pytest.approx(0.5, abs=0.018)
    assert zoom.mean().item() == pytest.approx(0, abs=0.007) and zoom.std().item() == pytest.approx(0.2, rel=0.025)
    sizes = torch.linalg.svdvals(matrices[:, :2, :2].double())
    stretch = (sizes[:, 0] / sizes[:, 1]).log2() / 2  # |N(0, 0.2)|
    assert stretch.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.025)
    quadrant = torch.histc(_angle(matrices), 4, -180, 180) / MANY
    assert torch.allclose(quadrant, torch.full((4,), 0.25, dtype=quadrant.dtype), atol=0.016)
    # Whole pixels, turned and scaled by what follows, plus the fractional shift: E|t|^2 adds up. A factor
    # 2^N(0, 0.2) has mean square exp(2 (0.2 ln 2)^2); it enters once for the scale, once for the stretch.
    growth = math.exp(2 * (0.2 * math.log(2)) ** 2)
    expected = 2 * (8**2 / 3) * growth**2 + 2 * 8**2
    assert matrices[:, :2, 2].square().sum(1).mean().item() == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_every_operation_has_a_gate_of_its_own(p):
    matrices = ada.geometry(MANY, 64, 64, p, _stream(1))
    sign, zoom = _sign_and_zoom(matrices)
    sizes = torch.linalg.svdvals(matrices[:, :2, :2].double())
    zoomed, mirrored = zoom.abs() > 1e-5, sign < 0
    stretched = sizes[:, 0] / sizes[:, 1] > 1 + 1e-5
    off_axis = (_angle(matrices) + 360 + 1) % 90 - 1 > 1e-2
    for happened, share in ((mirrored, p / 2), (zoomed, p), (stretched, p), (off_axis, p)):
        assert happened.double().mean().item() == pytest.approx(share, abs=0.018)
    both = (zoomed & stretched & mirrored).double().mean().item()
    assert both == pytest.approx(p**3 / 2, abs=0.013)
    still = (matrices[:, :2, 2] == 0).all(1).double().mean().item()  # neither shift, or a whole shift of 0, 0
    assert still == pytest.approx((1 - p) ** 2 + (1 - p) * p / 256, abs=0.018)


def test_colours_at_full_strength_have_the_published_distributions():
    matrices = ada.colours(MANY, 1.0, _stream(2)).double()
    axis = torch.full((3,), 3**-0.5, dtype=torch.float64)
    along = torch.einsum("i,nij,j->n", axis, matrices[:, :3, :3], axis)  # contrast and luma flip
    assert (along < 0).double().mean().item() == pytest.approx(0.5, abs=0.018)
    contrast = along.abs().log2()
    assert contrast.mean().item() == pytest.approx(0, abs=0.018)
    assert contrast.std().item() == pytest.approx(0.5, rel=0.025)
    shift = matrices[:, :3, 3] @ axis / (3**0.5 * along)  # brightness comes first, the others act on it
    assert shift.std().item() == pytest.approx(0.2, rel=0.025)
    first = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64) / 2**0.5
    second = torch.linalg.cross(axis, first)
    x, y = (torch.einsum("i,nij,j->n", one, matrices[:, :3, :3], first) for one in (first, second))
    saturation = torch.hypot(x, y).log2() - contrast
    assert saturation.std().item() == pytest.approx(1, rel=0.025)
    quadrant = torch.histc(torch.atan2(y, x), 4, -math.pi, math.pi) / MANY
    assert torch.allclose(quadrant, torch.full((4,), 0.25, dtype=quadrant.dtype), atol=0.016)
    closed = ada.colours(MANY, 0.25, _stream(3))
    same = (closed == torch.eye(4)).flatten(1).all(1).double().mean().item()
    # Unmoved: four gates shut, and the luma flip shut or open without a flip.
    assert same == pytest.approx(0.75**4 * (0.75 + 0.125), abs=0.018)


def test_colour_matrices_do_what_they_are_named_after():
    x = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    one = torch.ones(1)
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    mean = x.mean(1, keepdim=True)
    _near(colour.recolour(x, colour.brightness(one * 0.3)), x + 0.3)
    _near(colour.recolour(x, colour.contrast(one * 1.5)), x * 1.5)
    _near(colour.recolour(x, colour.luma_flip(one)), x - 2 * mean)
    _near(colour.recolour(x, colour.luma_flip(one * 0)), x)
    _near(colour.recolour(x, colour.saturation(one * 0.4)), mean + (x - mean) * 0.4)
    turned = colour.recolour(x, colour.hue(one * 2 * math.pi / 3))  # a third of a turn: red to green to blue
    _near(turned, torch.stack([blue, red, green], 1))


def test_warps_move_pixels_and_mirror_at_the_border():
    x = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    one = torch.ones(1)
    _near(affine.warp(x, affine.identity(torch.ones(1))), x)
    _near(affine.warp(x, affine.scaling(-one, one)), x.flip(3))
    quarter = affine.warp(x, affine.rotation(one * math.pi / 2))  # from x (right) towards y (down): clockwise
    _near(quarter, torch.rot90(x, -1, (2, 3)))
    moved = affine.warp(x, affine.translation(one * 2, -one))
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    np.testing.assert_allclose(moved.numpy(), padded[:, :, 3:9, 0:6], atol=1e-5)
    half = affine.warp(x, affine.translation(one * 0.5, one * 0))
    _near(half[..., 1:], (x[..., 1:] + x[..., :-1]) / 2)
    enlarged = affine.warp(x, affine.scaling(one * 5, one * 5))  # centre pixels 1/5 apart
    assert enlarged.std() < x.std()


def test_composition_applies_the_left_matrix_last():
    x = torch.rand(1, 3, 6, 6)
    shift, mirror = (
        affine.translation(torch.ones(1), torch.zeros(1)),
        affine.scaling(-torch.ones(1), torch.ones(1)),
    )
    stepwise = affine.warp(affine.warp(x, mirror), shift)
    _near(affine.warp(x, shift @ mirror)[..., 1:], stepwise[..., 1:])


def test_the_pipeline_is_differentiable():
    x = torch.rand(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    geometry, colours = ada.geometry(2, 5, 5, 1.0, _stream(4)), ada.colours(2, 1.0, _stream(5))
    torch.autograd.gradcheck(lambda y: colour.recolour(affine.warp(y, geometry), colours), x)
    torch.autograd.gradgradcheck(lambda y: affine.warp(y, geometry), x)  # as R1 at the raw images asks


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="speed_kimg must be positive"):
        build_method(parse_method("ada-lite(speed_kimg=0)"))
