"""VGG16's fully connected layers with random weights: they come in no package."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import vgg16
from torchvision.transforms.functional import normalize

from bench import features
from bench.errors import UserError
from bench.features.vgg16 import ENDS, VGG16Classifier


@pytest.fixture(scope="module")
def reference():
    """torchvision's own, in evaluation mode; weights of a size that keeps activations of the last layers alive."""
    network = empty().to_empty(device="cpu").eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.normal_(layer.weight, std=(2 / layer.weight[0].numel()) ** 0.5)
                nn.init.normal_(layer.bias, std=0.1)
    return network


def empty(**options):
    """torchvision's own, to be filled: it would draw 138 million weights that nobody looks at."""
    with torch.device("meta"):
        return vgg16(weights=None, **options)


def zeros(**options):
    """Its weights as views of one zero, which are stored as one number: the file is small."""
    return {name: torch.zeros(()).expand(value.shape) for name, value in empty(**options).state_dict().items()}


@pytest.fixture(scope="module")
def weights_folder(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.save(reference.state_dict(), folder / "vgg16.pth")
    return folder


@pytest.mark.parametrize(("size", "layer"), [(224, "vgg16_fc6"), (256, "vgg16_fc7")])
def test_features_are_those_of_torchvisions_own_network(size, layer, reference, weights_folder, monkeypatch):
    """torchvision's whole network runs, and a hook looks behind the layer's ReLU; its transform standardises."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(weights_folder))
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    seen = []
    hook = reference.classifier[{"vgg16_fc6": 1, "vgg16_fc7": 4}[layer]].register_forward_hook(
        lambda module, args, output: seen.append(output.numpy())
    )
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        reference(normalize(x_NCHW, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    hook.remove()
    extractor = features.load(f"{layer}@{size}")
    assert (extractor.name, extractor.dim, extractor.size) == (f"{layer}@{size}", 4096, size)
    found = extractor(images)
    assert (seen[0] > 0).mean() > 0.2  # the comparison is of live units
    # float32 in another memory layout: sums of up to 25,088 products in another order, 15 layers deep
    assert np.abs(found - seen[0]).max() <= 1e-4 * np.abs(seen[0]).max()


def test_in_float64_they_are_equal_to_rounding(reference):
    images = torch.randn(1, 3, 224, 224, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = {name: value.double() for name, value in reference.state_dict().items()}
    whole = empty().double().eval()
    whole.load_state_dict(state, assign=True)
    network = VGG16Classifier("vgg16_fc7").double().eval()
    network.load_state_dict({name: state[name] for name in network.state_dict()}, strict=True, assign=True)
    normalise = network.normalise
    with torch.no_grad():
        standardised = ((images + 1) / 2 - normalise.mean) / normalise.std
        wanted = whole.classifier[:5](whole.avgpool(whole.features(standardised)).flatten(1))
        torch.testing.assert_close(network(images), wanted, rtol=1e-12, atol=1e-12)


def test_without_a_file_it_is_said_where_to_put_it_and_what_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    for name in ENDS:
        reason = features.available(name) or ""
        assert str(tmp_path / "vgg16.pth") in reason and "BENCH_VGG16" in reason and "torchvision" in reason
        with pytest.raises(UserError, match=r"vgg16\.pth are not here"):
            features.load(name)


def test_the_file_may_be_named_and_its_sum_is_the_features_name(monkeypatch, tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(zeros(), path)
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("BENCH_VGG16", str(path))
    extractor = features.load("vgg16_fc6")
    assert extractor.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert features.load("vgg16_fc6").network is not extractor.network  # half a gigabyte is not held for nobody


@pytest.mark.parametrize("size", [64, 128, 223])
def test_sizes_that_leave_no_whole_map_are_refused(size):
    with pytest.raises(UserError, match="whole number from 224 to 512"):
        features.parse_spec(f"vgg16_fc7@{size}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier.3.weight": None}, "the tensor classifier.3.weight is missing"),
        ({"features.0.bias": torch.zeros(3)}, r"features.0.bias has shape \(3,\), must be \(64,\)"),
        ({"features.1.running_mean": torch.zeros(64)}, "features.1.running_mean is not part of a VGG16"),
        ({"features.0.bias": torch.full((64,), torch.nan)}, "features.0.bias holds NaN"),
        ({"features.0.bias": torch.zeros(64, dtype=torch.int32)}, "torch.int32 .* must be dense floats"),
        ({"features.0.bias": torch.zeros(64).to_sparse()}, "'features.0.bias' is sparse; only dense tensors"),
        ({"features.0.bias": 0.5}, "names to tensors"),
    ],
)
def test_what_a_file_lacks_or_has_too_much_is_named(change, message, monkeypatch, tmp_path):
    state = zeros() | change
    path = tmp_path / "mine.pth"
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    monkeypatch.setenv("BENCH_VGG16", str(path))
    with pytest.raises(UserError, match=message) as error:
        features.load("vgg16_fc7")
    assert "mine.pth" in str(error.value)


def test_layers_behind_the_chosen_one_may_be_left_out(monkeypatch, tmp_path):
    state = zeros(num_classes=10)
    monkeypatch.setenv("BENCH_VGG16", str(tmp_path / "vgg16.pth"))
    torch.save(state, tmp_path / "vgg16.pth")  # of ten classes
    assert features.load("vgg16_fc7").dim == 4096
    state = {name: value for name, value in state.items() if "classifier.3" not in name and ".6." not in name}
    torch.save(state, tmp_path / "vgg16.pth")
    assert features.load("vgg16_fc6").dim == 4096
