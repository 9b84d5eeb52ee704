"""Perceptual path length: closed forms of a linear generator, the published code's crop and filter, a real run."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.evaluate import descent, paths
from bench.evaluate.paths import face, path_lengths, shrunk, spherical, straight, without_outside
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.features.perceptual import lpips_distance
from bench.networks.interface import Styled, Synthesis
from bench.run.reopen import reopen
from bench.spec.run import NetworkSpec, evaluation_run
from linear_generator import LinearGenerator
from style_networks import STYLES

STYLEGAN = NetworkSpec(name="stylegan1-32", options={**STYLES, "channel_max": 16})


class LinearSynthesis(Synthesis):
    """w of its two layers -> an image, each by a map of its own."""

    layers = 2
    noise = "none"

    def __init__(self):
        super().__init__()
        self.image = LinearGenerator(6, blocks=(6,))

    def forward(self, w_NLW):
        return self.image.synthesize(w_NLW[:, 0], w_NLW[:, 1:])


class LinearStyled(LinearGenerator, Styled):
    """z -> w by a linear map, w -> an image by another."""

    mixing, mixing_per, on_latent = 0.9, "batch", None

    def __init__(self):
        super().__init__(8)
        self.synthesis = LinearSynthesis()
        self.mapping = nn.Linear(8, 6)

    def map(self, z_NZ, condition_NK=None):
        return self.mapping(z_NZ)

    def styles(self, z_NZ, condition_NK=None):
        raise AssertionError("styles may be truncated and mixed")

    reconstruct = synthesize = styles


def squared(one, other):
    return (one - other).double().square().flatten(1).sum(1)


def stream(pair):
    return torch.Generator().manual_seed(100 + pair)


def measured(generator, pairs=6, **settings):
    chosen = {"space": "z", "places": "path", "epsilon": 1e-3, **settings}
    return path_lengths(generator, squared, stream, pairs=pairs, **chosen)


def drawn(pair, z_dim):
    """The ends and t of a pair, as the measure draws them."""
    own = stream(pair)
    return torch.randn(2, z_dim, generator=own).double().numpy(), float(torch.rand((), generator=own))


@pytest.mark.parametrize("places", ["path", "ends"])
def test_straight_paths_of_a_linear_generator_have_the_length_of_their_image(places):
    """|S (w' - w)|^2, wherever on the path and however long the step is."""
    generator = LinearStyled()
    weight, whole = generator.mapping.weight.detach().double().numpy(), generator.synthesis.image.matrix().double()
    matrix = (whole[:6] + whole[6:]).numpy()
    expected = []
    for pair in range(6):
        (one, other), _ = drawn(pair, 8)
        expected.append(((other - one) @ weight.T @ matrix) @ ((other - one) @ weight.T @ matrix))
    # Images in float32, whose difference is a thousandth of them: 1e-7 / 1e-3, twice for the square.
    np.testing.assert_allclose(measured(generator, space="w", places=places), expected, rtol=2e-3)


@pytest.mark.parametrize("places", ["path", "ends"])
def test_spherical_paths_are_those_of_the_other_formula_for_slerp(places):
    """sin((1 - t) w) / sin w a + sin(t w) / sin w b of unit a and b, in numpy, with the exact difference quotient."""
    generator, epsilon, expected = LinearGenerator(8), 1e-3, []
    matrix = generator.matrix().double().numpy()
    for pair in range(6):
        ends, t = drawn(pair, 8)
        a, b = ends / np.linalg.norm(ends, axis=1, keepdims=True)
        angle = math.acos(a @ b)
        at = lambda t, a=a, b=b, w=angle: (math.sin((1 - t) * w) * a + math.sin(t * w) * b) / math.sin(w)  # noqa: E731
        t = t if places == "path" else 0.0
        step = math.sqrt(8) * (at(t + epsilon) - at(t)) @ matrix
        expected.append(step @ step / epsilon**2)
    np.testing.assert_allclose(measured(generator, places=places), expected, rtol=2e-3)


def test_a_length_does_not_depend_on_the_other_pairs(monkeypatch):
    """With noise in the network too, which both images of a pair share: else a length would be of the noise."""
    noisy, clean = LinearGenerator(8, noisy=0.5), LinearGenerator(8)
    together = measured(noisy)
    np.testing.assert_allclose(together, measured(clean), rtol=5e-3)
    for at_once in (1, 4):
        monkeypatch.setattr(descent, "MOST_AT_ONCE", at_once)
        np.testing.assert_allclose(measured(noisy), together, rtol=5e-3)
    np.testing.assert_allclose(measured(noisy, 2), together[:2], rtol=5e-3)


def test_a_constant_generator_has_no_length_and_a_rougher_one_a_longer():
    lengths = []
    for scale in (0.0, 1.0, 2.0):
        generator = LinearGenerator(8)
        generator.maps[0].data *= scale
        lengths.append(measured(generator).mean())
    assert lengths[0] == 0 and lengths[2] == pytest.approx(4 * lengths[1], rel=1e-3)


def test_paths_begin_and_end_at_their_latents():
    one, other = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    for t, end in ((torch.zeros(3), one), (torch.ones(3), other)):
        torch.testing.assert_close(straight(one, other, t), end)
        radius = 5**0.5 / end.norm(dim=1, keepdim=True)
        torch.testing.assert_close(spherical(one, other, t), end * radius)
    assert spherical(one, one, torch.full((3,), 0.5)).isfinite().all()


def test_the_filter_keeps_what_lies_between_two_of_the_values():
    """Percentiles 1 "lower" and 99 "higher": of 0..999 the values 9 and 990 (of 9.99 and 989.01)."""
    values = np.random.default_rng(0).permutation(1000).astype(float)
    assert sorted(without_outside(values)) == list(range(9, 991))
    assert list(without_outside(np.array([3.0, 1.0]))) == [3.0, 1.0]


def test_faces_are_cut_and_large_images_are_averaged():
    images = torch.arange(2 * 3 * 16 * 16.0).reshape(2, 3, 16, 16)
    assert torch.equal(face(images), images[:, :, 6:14, 4:12])
    large = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(shrunk(large), large.reshape(1, 3, 256, 2, 256, 2).mean((3, 5)))
    assert shrunk(images) is images and paths.LARGEST == 256


def task(run, **settings):
    return evaluation_run(parse_measure({"measure": "path-length", "pairs": 6, **settings}), run, run.protocol)


@pytest.mark.parametrize(
    ("method", "settings", "line"),
    [
        ("class-conditional", {"space": "z"}, "path-length: is of a generator without conditions, and this run's"),
        ("unconditional", {"space": "w"}, "path-length: space is w, and network 'sngan-32' has none; use z"),
        ("unconditional", {"space": "z", "net": "alex", "crop": "face"}, "31 px or more; here it would be 16 px"),
    ],
)  # fmt: skip
def test_what_it_is_not_of_is_refused_before_anything_trains(tiny_spec, method, settings, line):
    with pytest.raises(UserError, match=line):
        refuse_impossible(task(tiny_spec(method, scored=True), **settings))


def test_the_measure_of_a_run(tiny_spec, run_once, store):
    """Both spaces of one StyleGAN, against the definition by hand: w to images without its own paths and noise."""
    run = tiny_spec("unconditional", scored=True).model_copy(update={"network": STYLEGAN})
    opened = reopen(run_once(run), store, "final")
    generator = opened.generator
    generator.synthesis.noise = "none"
    lpips = lpips_distance("alex")
    for space in ("z", "w"):
        settings = {"space": space, "net": "alex", "epsilon": 1e-2}
        (line,) = run_once(task(run, **settings)).metrics()
        assert (line["metric"], line["extractor"], line["n_generated"]) == ("path_length", "", 12)
        assert line["value"] > 0 and 0 < line["error"] < line["value"]
    ends = torch.stack([torch.randn(2, generator.z_dim, generator=stream(pair)) for pair in range(6)], 1)
    w = [generator.map(end) for end in ends]
    with torch.no_grad():
        images = [
            generator.synthesis(torch.lerp(*w, t)[:, None].expand(-1, generator.synthesis.layers, -1))
            for t in (0.0, 1e-2)
        ]
        expected = lpips(*images).flatten().double().numpy() / 1e-4
    got = path_lengths(
        generator, lambda a, b: lpips(a, b).flatten(), stream, pairs=6, space="w", places="ends", epsilon=1e-2
    )
    np.testing.assert_allclose(got, expected, rtol=1e-3)
