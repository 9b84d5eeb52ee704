"""IvOM: where a fit begins, that a better generator inverts better, and the measure of a real run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import features, networks
from bench.data import imageset
from bench.errors import UserError
from bench.evaluate.descent import Adam
from bench.evaluate.inverting import inverted, start_of
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.metrics.frechet import fit_gaussian, frechet_distance
from bench.run.reopen import reopen
from bench.spec.run import NetworkSpec, evaluation_run
from linear_generator import LinearGenerator

IVOM = {"measure": "inversion", "images": 6, "steps": 4, "extractor": "effnet_lite0@32"}
BIGGAN = NetworkSpec(name="biggan-32", options={"g_channels": 4, "d_channels": 4, "d_feature": 32, "shared_dim": 16})


def task(run, **settings):
    return evaluation_run(parse_measure({**IVOM, "snapshot": "final", **settings}), run, run.protocol)


def test_a_worse_generator_inverts_worse():
    """Its images are mixtures of fewer patterns: 12, 6 (dropped modes), 1, none (a constant)."""
    images = np.random.default_rng(1).integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    errors = []
    for kept in (12, 6, 1, 0):
        generator = LinearGenerator(12)
        generator.maps[0].data[kept:] = 0
        start, adam = [torch.zeros(6, 12)], Adam(80, 0.1)
        errors.append(inverted(generator, start, images, adam, torch.Generator().manual_seed)[1].mean())
    assert errors == sorted(errors) and errors[0] < 0.9 * errors[-1]


def test_a_fit_begins_at_the_prior_of_its_query_in_every_block(tiny_spec, run_once, store):
    """The condition of a training image, asked for as a query, is the row that it was trained with."""
    run = tiny_spec("disp(prior=effnet_lite0, prior_size=32)", scored=True)
    opened = reopen(run_once(run), store, "final")
    ctx, generator, images = opened.ctx, opened.generator, opened.ctx.images_u8_NHWC
    z_NZ, blocks = start_of(ctx, opened.method, generator, images[:5], "prior")
    trained = generator.embed(opened.method.parts[0][1].vectors(ctx)).detach()
    assert z_NZ.shape == (5, 16) and not z_NZ.any() and blocks.shape == (5, 3, trained.shape[1])
    # The features are computed in batches of another size here.
    for block in blocks.unbind(1):
        torch.testing.assert_close(block, trained[:5], rtol=1e-4, atol=1e-4)
    _, mean = start_of(ctx, opened.method, generator, images[:5], "mean")
    torch.testing.assert_close(mean, trained.mean(0).expand(5, 3, -1), rtol=1e-4, atol=1e-5)


def test_without_conditions_z_alone_is_fitted():
    """Of BigGAN it has a chunk for each block, which modulates it: every block can change by itself."""
    generator, _ = networks.build("biggan-32", seed=0, **BIGGAN.options)
    ctx = SimpleNamespace(device="cpu", images_u8_NHWC=None)
    (z_NZ,) = start_of(ctx, None, generator, np.zeros((3, 32, 32, 3), np.uint8), "mean")
    assert z_NZ.shape == (3, generator.z_dim) and not z_NZ.any() and generator.hierarchical


@pytest.mark.parametrize("prior", ["random", "shuffled", None])
def test_a_method_without_conditions_of_other_images_is_refused(tiny_spec, prior):
    method = "unconditional" if prior is None else f"disp(prior={prior})"
    with pytest.raises(UserError, match=r"start is prior, but its method has no condition of an image that it was not"):
        refuse_impossible(task(tiny_spec(method, scored=True)))
    refuse_impossible(task(tiny_spec(method, scored=True), start="mean"))


def test_more_images_than_there_are_are_refused(tiny_spec):
    for count in (1, 100_000):
        with pytest.raises(UserError, match=rf"images is {count}, must be from 2 to the test images; .* has \d+ test"):
            refuse_impossible(task(tiny_spec("disp", scored=True), images=count))


def test_the_measure_of_a_run(tiny_spec, run_once, store):
    """Both numbers again from the pieces; a fit improves on its own start; and it is repeated to the digit."""
    run = tiny_spec("disp(prior=effnet_lite0, prior_size=32)", scored=True).model_copy(update={"network": BIGGAN})
    trained, folder = run_once(run), run_once(task(run))
    ivom, distance = folder.metrics()
    assert (ivom["metric"], ivom["extractor"], ivom["n_generated"]) == ("ivom", "", 6)
    assert (distance["metric"], distance["extractor"]) == ("inversion_fd", "effnet_lite0@32")
    queries, opened = imageset.load("shapes", 32).test[:6], reopen(trained, store, "final")
    begin = start_of(opened.ctx, opened.method, opened.generator, queries, "prior")
    results = [
        inverted(opened.generator, begin, queries, Adam(steps, 0.1), torch.Generator().manual_seed) for steps in (0, 4)
    ]
    (_, before), (images, errors) = results
    assert errors.mean() < before.mean()
    assert ivom["value"] == pytest.approx(float(errors.double().mean()), rel=1e-6)
    assert ivom["error"] == pytest.approx(float(errors.double().std()) / 6**0.5, rel=1e-6)
    network, pixels = features.load("effnet_lite0@32"), ((images + 1) * 127.5).round().clamp(0, 255).byte()
    made = network(pixels.permute(0, 2, 3, 1).numpy())
    expected = frechet_distance(fit_gaussian(network(queries), "queries"), made)
    assert distance["value"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("measure", ["inversion", "path-length", "back-tracking", "decoder"])
def test_a_measure_that_draws_no_images_takes_no_sampling(measure):
    with pytest.raises(UserError, match=rf"measure '{measure}': .*sampling changes nothing"):
        parse_measure({"measure": measure, "sampling": "pure"})
