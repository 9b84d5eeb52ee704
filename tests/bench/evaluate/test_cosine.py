"""Cosine similarities and correlations against scipy, in an extractor's features, in D's, and of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.stats import pearsonr

from bench import features, seeds
from bench.data.draws import training_images
from bench.errors import UserError
from bench.evaluate import likeness
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.run.reopen import reopen
from bench.spec.run import evaluation_run
from bench.store.runs import Store

VGG = {"space": "perceptual", "extractor": "alexnet@63"}


def pairs_of(run, count):
    """The training images of the pairs that the measure draws."""
    images = training_images(run.data, run.seed).images
    stream = seeds.torch_stream(run.seed, "evaluate", "cosine", "pairs")
    first, second = likeness.random_pairs(len(images), count, stream)
    assert (first != second).all()
    return images[first], images[second]


def similarity(one, other):
    return np.array([1 - cosine(a.astype(float), b.astype(float)) for a, b in zip(one, other, strict=True)])


def test_in_an_extractors_features_it_is_scipys(take, odd_run):
    one, other = pairs_of(odd_run, 20)
    network = features.load("alexnet@63")
    expected = similarity(network(one), network(other))
    found = take("cosine", pairs=20, **VGG)["cosine_similarity"]
    # Features depend on their batch in the last digits of float32.
    assert found.value == pytest.approx(expected.mean(), abs=1e-5)
    assert found.error == pytest.approx(expected.std(ddof=1), abs=1e-5)
    assert (found.n_generated, found.n_reference) == (0, 60)


def test_correlations_are_pearsons_over_the_same_pairs(take, odd_run, store_root):
    against_vgg = take("cosine", pairs=30, against="perceptual", extractor="alexnet@63")["cosine_correlation"]
    against_pixels = take("cosine", pairs=30, against="pixels")["cosine_correlation"]
    # D's features by hand, an image at a time
    network = reopen(Store(store_root).folder(odd_run.uid), Store(store_root), "final").ctx.discriminator.eval()
    one, other = pairs_of(odd_run, 30)
    with torch.no_grad():
        in_d = [
            np.stack([network.features(signed(image[None]))[0].numpy() for image in images]) for images in (one, other)
        ]
    alike, extractor = similarity(*in_d), features.load("alexnet@63")
    in_vgg = similarity(extractor(one), extractor(other))
    pixels = np.linalg.norm((one.astype(float) - other).reshape(30, -1) / 127.5, axis=1)
    assert against_vgg.value == pytest.approx(pearsonr(alike, in_vgg).statistic, abs=1e-4)
    assert against_pixels.value == pytest.approx(pearsonr(alike, pixels).statistic, abs=1e-4)
    assert take("cosine", pairs=30)["cosine_similarity"].value == pytest.approx(alike.mean(), abs=1e-5)


def signed(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1


def test_what_is_made_from_an_image_is_like_it_where_it_repeats_it(take, monkeypatch):
    """A generator that gives back x has similarity 1, one that makes another image less."""
    made = {
        "copy": lambda subject, index, number: subject.train_images[index],
        "other": lambda subject, index, number: np.roll(subject.train_images, 1, 0)[index],
    }
    value = {}
    for name, images_like in made.items():
        monkeypatch.setattr(likeness, "images_like", images_like)
        value[name] = take("cosine", pairs=20, of_pairs="generated", **VGG)["cosine_similarity"].value
    random = take("cosine", pairs=20, **VGG)["cosine_similarity"].value
    assert value["copy"] == pytest.approx(1, abs=1e-6)
    assert value["other"] < 0.999 and abs(value["other"] - random) < 0.1, "another image is like one at random"


def test_generated_pairs_are_recorded(lines):
    line = lines("cosine", pairs=20, of_pairs="generated", space="discriminator")["cosine_similarity"]
    assert (line["extractor"], line["n_generated"], line["n_reference"]) == ("", 20, 60)
    assert -1 <= line["value"] <= 1 and line["error"] > 0


def test_blocks_change_nothing(take, monkeypatch):
    settings = {"pairs": 20, "against": "pixels"}
    whole = take("cosine", **settings)["cosine_correlation"].value
    monkeypatch.setattr(likeness, "BLOCK", 7)
    assert take("cosine", **settings)["cosine_correlation"].value == pytest.approx(whole, abs=1e-5)


def test_what_has_no_angle_is_refused():
    with pytest.raises(UserError, match="the features of an image are all 0"):
        likeness.cosines(np.zeros((1, 3)), np.ones((1, 3)))
    with pytest.raises(UserError, match="random pairs need at least two training images"):
        likeness.random_pairs(1, 5, torch.Generator())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"against": "discriminator"}, "measure 'cosine': against: Input should be 'perceptual' or 'pixels'"),
        ({"space": "perceptual"}, "perceptual features need an extractor"),
        ({"extractor": "vgg16@64"}, "extractor is vgg16@64, but no perceptual features are looked at; leave it out"),
        ({**VGG, "against": "perceptual"}, "against is perceptual, as space is; must be another"),
        ({"against": "pixels", "pairs": 2}, "pairs is 2, must be 3 or more for a correlation"),
        ({"of_pairs": "generated"}, "conditions on nothing; of_pairs must be random"),
        ({"sampling": "pure"}, "sampling changes nothing: conditions are those of training images"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_trains(tiny_spec, settings, message):
    run = tiny_spec("unconditional", scored=True)
    with pytest.raises(UserError, match=message):
        refuse_impossible(evaluation_run(parse_measure({"measure": "cosine", **settings}), run, run.protocol))
