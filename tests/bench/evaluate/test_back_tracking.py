"""Back-tracking of images kept out of training: its loss, which generator comes nearer, and a real run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.draws import held_out_images, training_images
from bench.data.picture_grid import read_grid
from bench.errors import UserError
from bench.evaluate.descent import Adam, fitted, fitted_images
from bench.evaluate.frames import on_the_way
from bench.evaluate.perceptual import lpips_of, reconstruction_loss
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.features.perceptual import lpips_distance
from bench.networks.common import noise
from bench.networks.common.pixels import signed_images, to_uint8
from bench.run.reopen import reopen
from bench.seeds import torch_stream
from bench.spec.run import NetworkSpec, evaluation_run
from linear_generator import LinearGenerator

FASTGAN = NetworkSpec(name="fastgan-64", options={"ngf": 4, "ndf": 4, "z_dim": 8, "decoder_width": 4})


@pytest.fixture(scope="module")
def lpips():
    torch.set_num_threads(1)
    return lpips_distance("alex")


def images(count=3, side=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def test_the_loss_is_lpips_of_the_pooled_images_and_a_share_of_the_squared_error(lpips):
    one, other = signed_images(images(6)).chunk(2)
    pooled = [pair.reshape(3, 3, 32, 2, 32, 2).mean((3, 5)) for pair in (one, other)]
    expected = lpips(*pooled).flatten() + 0.2 * ((one - other) ** 2).mean((1, 2, 3))
    torch.testing.assert_close(reconstruction_loss(lpips, 2, 0.2)(one, other), expected)
    whole = lpips_of(lpips, one, images(6)[3:], "cpu")
    torch.testing.assert_close(whole, lpips(one, other).flatten().double())


def test_a_generator_without_modes_comes_less_near(lpips):
    """Images that a generator makes are found again by itself, less by one that lacks patterns, least by a constant."""
    whole = LinearGenerator(6, 64)
    latents = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    wanted = ((whole(latents).detach().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    distances = []
    for kept in (6, 3, 0):
        generator = LinearGenerator(6, 64)
        generator.maps[0].data[kept:] = 0
        made = fitted_images(
            generator,
            [torch.zeros(2, 6)],
            wanted,
            reconstruction_loss(lpips, 2, 0.2),
            Adam(40, 0.1, 0.5),
            torch.Generator().manual_seed,
        )
        distances.append(lpips_of(lpips, made, wanted, "cpu").mean().item())
    assert distances == sorted(distances) and distances[0] < 0.5 * distances[2]


def held(run, **settings):
    chosen = {"measure": "back-tracking", "updates": 3, "net": "alex", **settings}
    return evaluation_run(parse_measure(chosen), run, run.protocol)


def with_holdout(run, **data):
    return run.model_copy(update={"network": FASTGAN, "data": run.data.model_copy(update={"resolution": 64, **data})})


@pytest.mark.parametrize(
    ("method", "data", "settings", "line"),
    [
        ("unconditional", {}, {}, "is of images kept .*, and this run has all; give data.holdout, or split: test"),
        ("unconditional", {}, {"images": 9999, "split": "test"}, r"images is 9999, and \d+ are kept out of training"),
        ("unconditional", {"name": "flowers"}, {"split": "test"}, "runs train on the test images of 'flowers'"),
        ("unconditional", {"holdout": 0.01}, {"images": 9999}, r"images is 9999, and \d+ are kept out of training"),
        ("class-conditional", {"holdout": 0.01}, {}, "searches z alone, and this run's method conditions G"),
        ("unconditional", {"holdout": 0.01}, {"pool": 4}, "alex, which compares 31 px or more; here it would be 16 px"),
    ],
)
def test_what_it_is_not_of_is_refused_before_anything_trains(tiny_spec, method, data, settings, line):
    with pytest.raises(UserError, match=f"back-tracking: .*{line}"):
        refuse_impossible(held(with_holdout(tiny_spec(method, scored=True), **data), **settings))


def test_the_measure_of_a_run(tiny_spec, run_once, store):
    """Of images that were not trained on; the first ones' values are the same with others beside them; repeatable."""
    run = with_holdout(tiny_spec("unconditional", scored=True), holdout=0.02)
    out, trained = held_out_images(run.data, 0), training_images(run.data, 0).images
    assert len(out) > 4 and not any(np.array_equal(one, other) for one in out for other in trained)
    run_once(run)
    lines = {count: run_once(held(run, images=count)).metrics()[0] for count in (1, 2)}
    assert {line["metric"] for line in lines.values()} == {"back_tracking_lpips"}
    assert (lines[1]["error"], lines[2]["n_generated"], lines[2]["n_reference"]) == (None, 2, 2)
    # The error of two values is half of their distance.
    first = [lines[2]["value"] + sign * lines[2]["error"] for sign in (-1, 1)]
    assert min(abs(value - lines[1]["value"]) for value in first) < 1e-5 * lines[1]["value"]
    assert "-train-2-" in lines[2]["reference_sha256"]

    # Pictures: one image beside what is found of it; two, with the way between what is found of them.
    alone, pair = (read_grid(store.folder(held(run, images=count).uid).pictures) for count in (1, 2))
    assert alone.columns == ("image", "found") and np.array_equal(alone.images_NHWC[0], out[0])
    assert pair.columns == ("image", "found", "0.25", "0.50", "0.75", "found", "image") and pair.rows == ("",)
    assert np.array_equal(pair.images_NHWC[[0, 6]], out[:2])
    generator = reopen(store.folder(run.uid), store, "final").generator
    streams = lambda purpose: lambda place: torch_stream(0, "evaluate", "back-tracking", purpose, place)  # noqa: E731
    start = torch.stack([torch.randn(8, generator=streams("latent")(place)) for place in (0, 1)])
    loss, adam = reconstruction_loss(lpips_distance("alex"), 2, 0.2), Adam(3, 0.1, 0.5, 0.999)
    (found_NZ,), made_NCHW = fitted(generator, [start], out[:2], loss, adam, streams("noise"))
    assert np.array_equal(pair.images_NHWC[[1, 5]], to_uint8(made_NCHW))
    with torch.no_grad(), noise.drawn_from(streams("noise")(0)):
        middle = to_uint8(generator.eval()(on_the_way(*found_NZ, 0.5)[None]))
    assert np.abs(middle[0].astype(int) - pair.images_NHWC[3]).max() <= 1
    # Of the test split it is another number, of images that a name says, and the setting is a part of the name.
    of_tests = run_once(held(run, images=2, split="test")).metrics()[0]
    assert of_tests["reference_sha256"].endswith("-test-2") and of_tests["value"] != lines[2]["value"]
    assert "split" not in held(run).measure.settings
