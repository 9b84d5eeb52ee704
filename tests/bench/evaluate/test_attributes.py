"""The measure of attributes on a tiny run with a trained detector, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.picture_grid import read_grid
from bench.errors import UserError
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.features.classifier import trained_classifier
from bench.files.weights import read_weights
from bench.networks.common.pixels import to_uint8
from bench.run.reopen import reopen
from bench.seeds import torch_stream
from bench.spec.run import DataSpec, WeightsFile
from bench.store.runs import Store
from evaluated import evaluation, finished, values

FACES = DataSpec(name="faces-attributes@200", resolution=32, shots=64)
NAMES = ["grey or white hair", "glasses", "long hair", "happy mouth"]
SETTINGS = {"measure": "attributes", "attributes": NAMES, "images": 150, "each_side": 30}


@pytest.fixture(scope="module")
def detector(tiny_spec):
    return tiny_spec("classifier(target=attributes, width=4)", data=FACES, steps=12, batch=16)


@pytest.fixture(scope="module")
def run(tiny_spec):
    return tiny_spec("unconditional", scored=True, data=FACES)


@pytest.fixture(scope="module")
def store(run, detector, tmp_path_factory):
    """With both of them finished."""
    store = Store(tmp_path_factory.mktemp("attributes"))
    for spec in (run, detector):
        finished(store, spec)
    return store


def test_its_numbers_are_those_of_its_own_images(store, run, detector):
    """Latents, images and scores made again in other batches, the SVM and correlations as their own tests have them."""
    task = evaluation(run, {"detector": detector}, **SETTINGS)
    folder = finished(store, task)
    found = values(folder)
    assert len(found) == 4 + 4 + 10 and folder.sheets()

    opened = reopen(store.folder(run.uid), store, "final")
    codes = torch.cat([
        torch.randn(size, 16, generator=torch_stream(0, "evaluate", "attributes", "latents", start))
        for start, size in ((0, 100), (100, 50))
    ])  # fmt: skip
    with torch.no_grad():
        images = to_uint8(torch.cat([opened.generator(part) for part in codes.split(7)]))
    network = trained_classifier(read_weights(store.folder(detector.uid).final_weights), 32)
    assert network.names == tuple(NAMES)
    scores = network.probabilities(images)
    # Scores to the last digits of float32 networks: correlations of 150 agree to 1e-4.
    expected = np.corrcoef(scores, rowvar=False)
    for one in range(4):
        for other in range(one, 4):
            value = found[f"attribute_correlation_{one + 1}{other + 1}"]
            assert value == pytest.approx(expected[one, other], abs=1e-4)
    arrays = read_weights(folder.arrays)
    assert arrays["svm_normals"].shape == (4, 16) and arrays["svm_offsets"].shape == (4,)
    for place in range(4):
        order = np.argsort(scores[:, place])
        answer = scores[:, place] > (scores[:, place].min() + scores[:, place].max()) / 2
        said = codes.double() @ arrays["svm_normals"][place] + arrays["svm_offsets"][place] > 0
        between = order[30:-30]
        share = 100 * float((said.numpy() == answer)[between].mean())
        # A code or an order that rounding decides moves the share of 90 codes by 1/90 each.
        assert found[f"svm_accuracy_{place + 1}"] == pytest.approx(share, abs=3.4)
        assert found[f"svm_majority_{place + 1}"] >= 50


def test_its_pictures_are_samples_at_distances_from_the_boundaries(store, run, detector):
    """Each by hand; the codes of a row differ by the steps of the distances along the normal."""
    folder = finished(store, evaluation(run, {"detector": detector}, **SETTINGS))
    grid, arrays = read_grid(folder.pictures), read_weights(folder.arrays)
    assert grid.rows == tuple(np.repeat(NAMES, 2))
    assert grid.columns == ("sample", "-3.0", "-1.5", "boundary", "+1.5", "+3.0")
    generator = reopen(store.folder(run.uid), store, "final").generator
    z_NZ = torch.randn(2, 16, generator=torch_stream(0, "evaluate", "attributes", "edited", "latents")).double()
    images = grid.images_NHWC.reshape(4, 2, 6, 32, 32, 3).astype(int)
    for attribute in range(4):
        normal_Z, offset = arrays["svm_normals"][attribute], arrays["svm_offsets"][attribute]
        foot_NZ = z_NZ - (z_NZ @ normal_Z + offset)[:, None] * normal_Z
        for column, codes_NZ in enumerate([z_NZ, *(foot_NZ + far * normal_Z for far in (-3, -1.5, 0, 1.5, 3))]):
            with torch.no_grad():
                made = to_uint8(generator(codes_NZ.float()))
            assert np.abs(made.astype(int) - images[attribute, :, column]).max() <= 1
    assert len({images[0, 0, column].tobytes() for column in range(6)}) == 6


def test_its_order_of_attributes_is_the_tables(store, run, detector):
    found = [
        values(finished(store, evaluation(run, {"detector": detector}, **{**SETTINGS, "attributes": names})))
        for names in (NAMES, NAMES[::-1])
    ]
    assert found[0]["attribute_correlation_12"] == found[1]["attribute_correlation_34"]
    assert found[0]["attribute_correlation_13"] == found[1]["attribute_correlation_24"]
    assert found[0]["svm_majority_1"] == found[1]["svm_majority_4"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 61}, "images is 61, must be 62 or more"),
        ({"attributes": NAMES[:3]}, "attributes"),
        ({"train_share": 0}, "greater than 0"),
        ({"space": "y"}, "'z' or 'w'"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        parse_measure({**SETTINGS, **settings})


def test_runs_of_which_it_cannot_be_taken(tiny_spec, store, run, detector):
    """In one line: an attribute that the detector does not have, a source that is none, w of a network without."""
    labels = tiny_spec("classifier(width=4)", data=DataSpec(name="shapes", resolution=32, shots=16))
    for sources, settings, message in (
        ({"detector": detector}, {"attributes": [*NAMES[:3], "happy mout"]}, "did you mean 'happy mouth'?"),
        ({"detector": labels}, {}, "source 'detector' tells labels, must tell attributes"),
        ({"detector": detector}, {"space": "w"}, "space is w, which a style-based generator without conditions has"),
    ):
        with pytest.raises(AssertionError) as failure:
            finished(store, evaluation(run, sources, **{**SETTINGS, **settings}))
        assert message in str(failure.value)
    own = tiny_spec("unconditional", scored=True, data=FACES, batch_statistics=16)
    with pytest.raises(UserError, match="depend on each other"):
        refuse_impossible(evaluation(own, {"detector": detector}, **SETTINGS))


def test_an_attribute_that_the_detectors_images_lack_is_refused_before_anything_trains(run, detector):
    refuse_impossible(evaluation(run, {"detector": detector}, **SETTINGS))
    misspelt = evaluation(run, {"detector": detector}, **{**SETTINGS, "attributes": [*NAMES[:3], "happy mout"]})
    with pytest.raises(
        UserError, match=r"'faces-attributes@200', .* has no attribute 'happy mout'; did you mean 'happy m"
    ):
        refuse_impossible(misspelt)
    # Weights of the user's say which they tell when they are read
    refuse_impossible(evaluation(run, {"detector": WeightsFile(weights="celeba")}, **SETTINGS))
