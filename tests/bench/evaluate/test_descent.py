"""Fits of images: their optimum is a least-squares solution, and no image's fit depends on the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.evaluate import descent
from bench.evaluate.descent import Adam, descend, fitted_images, frozen, portions
from bench.evaluate.inverting import squared_errors
from bench.networks.common.pixels import signed_images
from linear_generator import LinearGenerator


def wanted(count=5, side=4):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def stream(place):
    return torch.Generator().manual_seed(place)


def fit(generator, images, updates=800, start=None, lr=0.05):
    start = [torch.zeros(len(images), generator.z_dim)] if start is None else start
    return fitted_images(generator, start, images, squared_errors, Adam(updates, lr), stream)


@pytest.mark.parametrize("blocks", [(), (3, 3)])
def test_the_fit_of_a_linear_generator_is_the_least_squares_solution(blocks):
    """z and an embedding of each block: 4 to 10 numbers for 48 entries, so that something is left over."""
    generator, images = LinearGenerator(4, blocks=blocks), wanted()
    start = [torch.zeros(5, 4), *([torch.zeros(5, len(blocks), 3)] if blocks else [])]
    made = fit(generator, images, start=start)
    matrix = generator.matrix().double().numpy().T
    flat = signed_images(images).flatten(1).double().numpy().T
    best = matrix @ np.linalg.lstsq(matrix, flat, rcond=None)[0]
    left = ((best - flat) ** 2).mean(0)
    assert left.min() > 0.05
    # Adam in float32 with a constant rate: the optimum to four digits of what is left over.
    np.testing.assert_allclose(squared_errors(made, signed_images(images)), left, rtol=1e-4)


def test_an_images_fit_does_not_depend_on_the_others(monkeypatch):
    """Nor on how many are fitted at once, also where G draws noise, in another order of draws for another batch."""
    generator, images = LinearGenerator(4, noisy=0.3), wanted()
    together = fit(generator, images, 30)
    for at_once in (1, 2):
        monkeypatch.setattr(descent, "MOST_AT_ONCE", at_once)
        torch.testing.assert_close(fit(generator, images, 30), together, rtol=0, atol=1e-5)
    torch.testing.assert_close(fit(generator, images[:3], 30), together[:3], rtol=0, atol=1e-5)
    assert not torch.allclose(fit(LinearGenerator(4), images, 30), together, atol=1e-2), "the noise is there"


def test_every_image_has_an_adam_of_its_own():
    """One image's loss a million times larger changes nothing of the other's steps."""
    start = [torch.tensor([[1.0], [1.0]])]
    alone = descend([start[0][:1]], lambda v: v[0].square().sum(1), Adam(20, 0.1), lambda: None)
    sizes = torch.tensor([1.0, 1e6])
    both = descend(start, lambda v: sizes * v[0].square().sum(1), Adam(20, 0.1), lambda: None)
    torch.testing.assert_close(both[0][:1], alone[0], rtol=0, atol=0)


def test_it_pauses_before_every_update_and_leaves_the_network_as_it_was():
    class Stop(BaseException):
        pass

    calls = []

    def pause():
        calls.append(1)
        if len(calls) == 3:
            raise Stop

    generator = LinearGenerator(4).train()
    generator.maps[0].requires_grad_(False)
    generator.learned = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(Stop):
        fitted_images(generator, [torch.zeros(2, 4)], wanted(2), squared_errors, Adam(9, 0.1), stream, pause)
    assert generator.training and generator.learned.requires_grad and not generator.maps[0].requires_grad
    with frozen(generator):
        assert not generator.training and not generator.learned.requires_grad


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(UserError, match=r"not finite after 0 updates; lower lr \(0.1\)"):
        descend([torch.zeros(2, 1)], lambda v: v[0].sum(1) / 0, Adam(3, 0.1), lambda: None)


def test_portions_cover_every_image_once():
    for count, resolution in ((1, 32), (130, 32), (20, 1024), (3, 4096)):
        parts = [range(count)[part] for part in portions(count, resolution)]
        assert [place for part in parts for place in part] == list(range(count))
        assert max(map(len, parts)) * resolution**2 <= 2**23 or max(map(len, parts)) == 1
