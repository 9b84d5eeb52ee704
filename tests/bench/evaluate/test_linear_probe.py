"""The linear probe of real images: on an extractor's features and on those of a trained encoder."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bench import features
from bench.data import imageset
from bench.data.draws import training_images
from bench.errors import UserError
from bench.evaluate.registry import parse_measure, refuse_impossible, source_roles
from bench.features.simclr import trained_extractor
from bench.files.weights import read_weights
from bench.spec.measurement import measurement_run
from bench.spec.run import DataSpec
from bench.store.runs import Store
from evaluated import finished, values

DATA = DataSpec(name="shapes", resolution=32, shots=60, balanced=True, draw="fixed")


def probe(sources=None, data=DATA, **settings):
    return measurement_run(parse_measure({"measure": "linear-probe", **settings}), data, 0, sources=sources or {})


def by_hand(extractor, images=None):
    """With scikit-learn's own standardisation and predictions."""
    drawn, real = training_images(DATA, 0), imageset.load("shapes", 32)
    scaler = StandardScaler().fit(train := extractor(drawn.images).astype(np.float64))
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(train), drawn.labels)
    test = scaler.transform(extractor(real.test[:images]).astype(np.float64))
    return [
        100 * model.score(scaler.transform(train), drawn.labels),
        100 * model.score(test, real.test_labels[:images]),
    ]


def test_its_numbers_are_scikit_learns(tiny_spec, store_root):
    """Of an extractor and of a trained encoder; VGG16's features say more of shapes than those of six steps do."""
    store = Store(store_root)
    folder = finished(store, probe(extractor="vgg16@32"))
    encoder = tiny_spec("simclr(width=4)")
    own = values(finished(store, probe({"simclr": encoder}, images=40)))
    found = values(folder)
    # An image on the border between two classes may fall to either side: one of 40.
    network = trained_extractor(read_weights(store.folder(encoder.uid).final_weights), 32)
    assert list(own.values()) == pytest.approx(by_hand(network, 40), abs=2.6)
    assert list(found.values()) == pytest.approx(by_hand(features.load("vgg16@32")), abs=2.6)
    assert list(found) == ["probe_train_accuracy", "probe_test_accuracy"]
    assert found["probe_train_accuracy"] == 100 and found["probe_test_accuracy"] > own["probe_test_accuracy"] + 10
    train, test = folder.metrics()
    assert (train["n_reference"], test["n_reference"]) == (60, len(imageset.load("shapes", 32).test))


def test_which_features_it_reads():
    assert source_roles(probe(extractor="vgg16@32").measure) == () and source_roles(probe().measure) == ("simclr",)


def test_what_cannot_be_is_refused_before_anything_runs():
    with pytest.raises(UserError, match="images is 100000, and data set 'shapes' has"):
        refuse_impossible(probe(extractor="vgg16@32", images=100_000))
    with pytest.raises(UserError, match="greater than 0"):
        probe(inverse_penalty=0)
