"""The other Inceptions of FID with random weights, each against the code that papers ran: clean-fid's own modes, and
the recipe of BigGAN-PyTorch.
"""

import warnings

import cleanfid.inception_pytorch
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from torch import nn
from torchvision.models import Inception3

from bench import features
from bench.errors import UserError
from bench.features import weights
from bench.features.extractor import Extractor
from bench.features.inception import fid_network
from bench.features.resize import RESIZINGS

# Larger and smaller than 299, and not square.
SHAPES = [(3, 64, 64, 3), (2, 340, 320, 3)]


def pictures(shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def alive(network):
    """Random weights by which no activation dies or grows in 48 layers, and batch norms that do something."""
    stream = torch.Generator().manual_seed(0)
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5, generator=stream)
            if module.bias is not None:
                nn.init.normal_(module.bias, generator=stream)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            nn.init.normal_(module.running_mean, std=0.1, generator=stream)
            nn.init.uniform_(module.running_var, 0.8, 1.2, generator=stream)
    return network.eval()


def close(found, wanted):
    assert found.shape == wanted.shape and wanted.std() > 0.05
    # float32 in another memory layout: 48 layers of sums of up to 4,000 products in another order
    assert np.abs(found - wanted).max() <= 2e-4 * np.abs(wanted).max()


class TensorFlowStandIn(nn.Module):
    """The interface of NVIDIA's file: `layers` of normalised 299 px, and a forward that resizes, without antialiasing,
    with the left edges of pixels on each other, as TensorFlow 1 did.
    """

    def __init__(self):
        super().__init__()
        linear = nn.Linear(3 * 81, 2048)
        nn.init.normal_(linear.weight, std=0.05, generator=torch.Generator().manual_seed(0))
        self.layers = nn.Sequential(nn.AdaptiveMaxPool2d(9), nn.Flatten(), linear)

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        rows = torch.arange(299, device=x.device) * x.shape[2] / 299
        columns = torch.arange(299, device=x.device) * x.shape[3] / 299
        x = x[:, :, rows.long()][:, :, :, columns.long()]
        return self.layers((x - 128) / 128)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(TensorFlowStandIn()).save(tmp_path / "inception-2015-12-05.pt")
    monkeypatch.setenv("BENCH_INCEPTION", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("shape", SHAPES)
def test_tensorflow_is_clean_fids_mode_of_that_name(shape, stand_in):
    """The wrapper hands images as they are to the network, which resizes them itself."""
    images = pictures(shape)
    extractor = features.load("inception_tensorflow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = InceptionV3W(str(stand_in), download=False, resize_inside=True)
    resizer = build_resizer("legacy_tensorflow")
    pixels = np.stack([resizer(image) for image in images]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        close(extractor(images), model(torch.from_numpy(pixels.astype(np.float32))).numpy())


def test_clean_and_tensorflow_read_one_file_and_differ(stand_in):
    clean, tensorflow = features.load("inception"), features.load("inception_tensorflow")
    assert clean.weights_sha256 == tensorflow.weights_sha256
    assert clean.resize == "clean-fid PIL bicubic, antialiased, float32 to 299x299"  # names features in caches
    assert tensorflow.resize == "in the network, TensorFlow 1 bilinear to 299x299"
    images = pictures((2, 512, 512, 3))  # noise: an antialiased filter averages it, picking pixels does not
    assert np.abs(clean(images) - tensorflow(images)).max() > 0.1 * np.abs(clean(images)).max()


def test_clean_fids_place_serves_both(tmp_path, monkeypatch, stand_in):
    monkeypatch.delenv("BENCH_INCEPTION")
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "empty"))
    monkeypatch.setattr(weights, "CLEANFID_FOLDER", stand_in)
    assert features.available("inception") is None and features.available("inception_tensorflow") is None


@pytest.mark.parametrize("shape", SHAPES)
def test_pytorch_is_clean_fids_mode_of_that_name(shape, own_weights, monkeypatch):
    """clean-fid's own class, given the file's state dict in place of a download."""
    state = alive(fid_network()).state_dict()
    torch.save(state, own_weights("inception_pytorch"))
    monkeypatch.setattr(cleanfid.inception_pytorch, "load_state_dict_from_url", lambda url, **settings: state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cleanfid.inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False).eval()
        resizer = build_resizer("legacy_pytorch")
    images = pictures(shape)
    pixels = np.stack([resizer(image) for image in images]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        wanted = model(torch.from_numpy(pixels) / 255)[0].squeeze(-1).squeeze(-1)
    close(features.load("inception_pytorch")(images), wanted.numpy())
    # The Inception score's logits: the last layer of the same file, without its bias.
    own_weights("inception_logits")
    logits = features.load("inception_logits")(images)
    assert logits.shape == (len(images), 1008) and state["fc.bias"].abs().max() > 0.1
    close(logits, (wanted.double() @ state["fc.weight"].double().T).numpy())


@pytest.mark.parametrize("shape", SHAPES)
def test_torchvision_is_read_as_biggan_pytorch_reads_it(shape, own_weights):
    """Normalised by ImageNet's colours, then resized with aligned corners, then the network up to the mean of its last
    map, here block by block (inception_utils.py, WrapInception).
    """
    with torch.device("meta"):
        network = Inception3(init_weights=False)
    network = alive(network)
    state = network.state_dict()
    # Files from before 2018 lack the counters of batch norms.
    torch.save(
        {name: value for name, value in state.items() if "num_batches" not in name},
        own_weights("inception_torchvision"),
    )
    images = pictures(shape)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    x = ((x + 1) / 2 - mean[:, None, None]) / std[:, None, None]
    x = F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=True)
    blocks = [
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
        "pool",
        "Conv2d_3b_1x1",
        "Conv2d_4a_3x3",
        "pool",
    ]
    blocks += [f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")]
    with torch.no_grad():
        for block in blocks:
            x = F.max_pool2d(x, 3, 2) if block == "pool" else getattr(network, block)(x)
    close(features.load("inception_torchvision")(images), x.mean((2, 3)).numpy())


@pytest.mark.parametrize("name", ["inception_pytorch", "inception_torchvision"])
def test_the_files_of_the_two_are_not_taken_for_each_other(name, own_weights):
    """One has 1,008 classes and no classifier in the middle."""
    with torch.device("meta"):
        networks = {
            "inception_pytorch": Inception3(init_weights=False),
            "inception_torchvision": fid_network(),
        }
    shapes = networks[name].state_dict()
    state = {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in shapes.items()}
    torch.save(state, own_weights(name))
    with pytest.raises(UserError, match=r"AuxLogits\.conv0\.bn\.bias is (missing|not part of an Inception v3)"):
        features.load(name)


@pytest.mark.parametrize("name", ["clean", "bilinear", "aligned-bilinear", "inside"])
@pytest.mark.parametrize("side", [64, 299, 340])
def test_the_differentiable_path_resizes_as_the_other(name, side):
    seen = []

    class Record(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return x.mean((2, 3))

    extractor = Extractor("own@299", Record(), 299, 3, "0", resizing=RESIZINGS[name])
    images = pictures((2, side, side, 3))
    extractor(images)
    extractor.forward(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1)
    assert seen[0].shape == seen[1].shape == (2, 3, *((side, side) if name == "inside" else (299, 299)))
    # Bilinear: rounding. Bicubic: PIL rounds its filter's coefficients otherwise than torch, and noise clips.
    assert (seen[0] - seen[1]).abs().max() * 127.5 < (2e-2 if name == "clean" else 1e-3)


def test_using_clean_fids_resizer_silences_no_warning():
    before = list(warnings.filters)
    RESIZINGS["bilinear"].pixels(pictures((1, 8, 8, 3)), 299)
    assert warnings.filters == before
