"""Where the Inception of FID is looked for, and the path through clean-fid's wrapper, on a stand-in file.

The real weights are not free to ship: the stand-in has the same interface (`layers` on (N, 3, 299, 299)).
"""

import hashlib

import numpy as np
import pytest
import torch
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from torch import nn

from bench import features
from bench.errors import UserError
from bench.features import weights
from bench.features.lookup import entry


class StandIn(nn.Module):
    def __init__(self):
        super().__init__()
        linear = nn.Linear(3 * 9, 2048)
        nn.init.normal_(linear.weight, generator=torch.Generator().manual_seed(0))
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), linear)

    def forward(self, x):
        return self.layers(x)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a stand-in for the weights; clean-fid's own place counts as empty."""
    monkeypatch.setattr(weights, "CLEANFID_FOLDER", tmp_path / "nowhere")
    place = tmp_path / "weights of mine"
    place.mkdir()
    torch.jit.script(StandIn()).save(place / "inception-2015-12-05.pt")
    return place


def test_absent_weights_say_where_to_put_them(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "empty"))
    reason = features.available("inception")
    assert reason is not None and "never downloaded" in reason and "\n" not in reason
    with pytest.raises(UserError, match="BENCH_INCEPTION") as error:
        features.load("inception")
    assert str(tmp_path / "empty" / "inception-2015-12-05.pt") in str(error.value)


def test_every_place_is_found_in_its_order(folder, monkeypatch, tmp_path):
    file = folder / "inception-2015-12-05.pt"
    monkeypatch.setattr(weights, "CLEANFID_FOLDER", folder)
    assert entry("inception").weights.find() == file
    own = tmp_path / "own"
    own.mkdir()
    (own / file.name).write_bytes(b"")
    monkeypatch.setenv("BENCH_WEIGHTS", str(own))
    assert entry("inception").weights.find() == own / file.name
    for named in (folder, file):
        monkeypatch.setenv("BENCH_INCEPTION", str(named))
        assert entry("inception").weights.find() == file
    monkeypatch.setenv("BENCH_INCEPTION", str(tmp_path / "mistyped"))
    with pytest.raises(UserError, match=r"mistyped must be the file inception-2015-12-05\.pt"):
        entry("inception").weights.find()


def test_features_are_those_of_clean_fids_own_pipeline(folder, monkeypatch, digits_u8):
    monkeypatch.setenv("BENCH_INCEPTION", str(folder))
    extractor = features.load("inception")
    file = folder / "inception-2015-12-05.pt"
    assert extractor.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    model, resizer = InceptionV3W(str(folder), download=False), build_resizer("clean")
    pixels = np.stack([resizer(image) for image in digits_u8[:3]]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels)).numpy()
    # Ours goes through [-1, 1] and back, which costs a rounding of 1e-7 of the range.
    np.testing.assert_allclose(extractor(digits_u8[:3]), expected, rtol=1e-4, atol=1e-4)


def test_a_download_that_was_cut_off_is_named(folder, monkeypatch):
    file = folder / "inception-2015-12-05.pt"
    file.write_bytes(file.read_bytes()[:500])
    monkeypatch.setenv("BENCH_INCEPTION", str(file))
    with pytest.raises(UserError, match="damaged"):
        features.load("inception")
