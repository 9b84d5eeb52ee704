"""Truncation, classes and paths between latents, against the definitions, on untrained networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from bench import networks, seeds
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.networks.common.truncation import truncated
from bench.run.draws import Draws, arc

PLAIN = ("sngan-32", {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True})
STYLED = ("stylegan2-32", {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2})


def draws(name, options, **more):
    torch.set_num_threads(1)
    generator, _ = networks.build(name, seed=0, **options)
    sampler = more.pop("sampler", lambda generator, z_NZ, stream: generator(z_NZ))
    return Draws("run x", generator.eval(), sampler, 0, torch.device("cpu"), batch=8, **more)


def latents(generator, count, seed=0):
    """The first latents of a seed's evaluation stream."""
    return torch.randn(count, generator.z_dim, generator=seeds.torch_stream(seed, "evaluation", "latents", 0))


def test_latents_of_a_plain_network_come_from_a_truncated_normal():
    seen = []
    made = draws(*PLAIN)
    made.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    cut = np.concatenate(list(made.truncated(0.5).images(8)))
    z = latents(made.generator, 8)
    assert float(seen[-1].abs().max()) <= 0.5 and torch.equal(seen[-1].argsort(1), z.argsort(1))
    with torch.no_grad():
        assert np.array_equal(cut, to_uint8(made.generator(truncated(z, 0.5))))
    many = truncated(torch.randn(20_000, generator=torch.Generator().manual_seed(0)), 0.7)
    assert stats.kstest(many.double().numpy(), stats.truncnorm(-0.7, 0.7).cdf).pvalue > 0.01
    halved = draws(*PLAIN, sampler=lambda generator, z_NZ, stream: generator(z_NZ / 2))
    with pytest.raises(UserError, match="run x has no truncation: its method does not hand the latents"):
        halved.truncated(0.5).all_images(4)
    with pytest.raises(UserError, match="--truncation 0: of z, must be above 0"):
        made.truncated(0.0)


def test_w_of_a_style_based_network_goes_towards_its_average():
    made = draws(*STYLED)
    generator = made.generator
    generator.synthesis.noise = "const"
    stream = torch.Generator().manual_seed(3)
    generator.w_average.copy_(torch.randn(8, generator=stream))
    whole = made.all_images(6)
    z = latents(generator, 6)
    with torch.no_grad():
        w_NW = generator.map(z)
        half = generator.w_average + 0.5 * (w_NW - generator.w_average)
        expected = to_uint8(generator.synthesis(half[:, None].expand(-1, generator.synthesis.layers, -1)))
    assert np.abs(made.truncated(0.5).all_images(6).astype(int) - expected).max() <= 1
    average = made.truncated(0.0).all_images(6)
    assert (average == average[0]).all() and not (average == whole).all()
    assert np.array_equal(made.truncated(1.0).all_images(6), whole)
    with pytest.raises(UserError, match="--truncation 1.5: of w, must be from 0"):
        made.truncated(1.5)


def test_one_class_alone():
    def of_class(generator, z_NZ, label_N, stream):
        return generator(z_NZ, functional.one_hot(label_N, 3).float())

    name, options = PLAIN
    made = draws(name, {**options, "condition_dim": 3}, class_sampler=of_class, classes=((0, "cat"), (2, "dog")))
    z = latents(made.generator, 5)
    with torch.no_grad():
        expected = to_uint8(made.generator(z, torch.tensor([[0.0, 0, 1]]).expand(5, 3)))
    assert np.array_equal(made.of_class("dog").all_images(5), expected)
    assert np.array_equal(made.of_class("2").all_images(5), expected)
    for text, why in (("dogg", "no class 'dogg'; did you mean 'dog'"), ("1", "has no class '1'")):
        with pytest.raises(UserError, match=why):
            made.of_class(text)
    with pytest.raises(UserError, match="run x cannot be asked for a class"):
        draws(*PLAIN).of_class("cat")


def test_a_path_goes_along_the_arc_and_its_ends_are_the_images():
    made = draws(*PLAIN)
    rows = list(made.interpolated(2, 5))
    images = made.all_images(4)
    assert [row.shape for row in rows] == [(5, 32, 32, 3)] * 2
    for row, path in enumerate(rows):
        assert np.abs(path[[0, 4]].astype(int) - images[2 * row : 2 * row + 2]).max() <= 1
        steps = np.abs(np.diff(path.astype(int), axis=0)).mean(axis=(1, 2, 3))
        assert steps.min() > 0 and steps.max() < 4 * steps.min(), "no jump"
    # On the unit sphere the arc has equal angles; its ends are the vectors themselves
    ends = functional.normalize(torch.randn(2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    path = arc(ends, torch.linspace(0, 1, 5, dtype=torch.float64))
    angles = torch.acos((path[1:] * path[:-1]).sum(1))
    assert torch.allclose(angles, angles[0]) and torch.allclose(path.norm(dim=1), torch.ones(5, dtype=torch.float64))
    assert torch.allclose(path[[0, 4]], ends)
    opposite = torch.stack([ends[0], -ends[0]])  # no one great circle: the line
    assert torch.isfinite(arc(opposite, torch.linspace(0, 1, 5, dtype=torch.float64))).all()
    # Another seed is another path; a method that calls G otherwise has none
    assert not np.array_equal(next(made.interpolated(1, 5, 7)), rows[0])
    twice = draws(*PLAIN, sampler=lambda generator, z_NZ, stream: generator(z_NZ) + generator(-z_NZ))
    with pytest.raises(UserError, match="run x has no path between images"):
        next(twice.interpolated(1, 4))


def test_a_path_of_a_style_based_network_is_a_line_in_w_with_one_noise():
    made = draws(*STYLED)
    generator = made.generator
    for layer in generator.modules():
        if hasattr(layer, "noise_strength"):
            layer.noise_strength.data.fill_(0.5)
    (path,) = made.interpolated(1, 3)
    z = latents(generator, 2)
    streams = [seeds.torch_stream(0, "interpolation", "noise", 0) for _ in range(3)]
    with torch.no_grad(), noise.drawn_for_each(streams):
        w_NLW = generator.styles(z)
        middle = generator.synthesis(torch.stack([w_NLW[0], w_NLW.mean(0), w_NLW[1]]))
    assert np.abs(path.astype(int) - to_uint8(middle)).max() <= 1
