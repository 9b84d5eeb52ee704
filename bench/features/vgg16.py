"""VGG16's fully connected layers (Simonyan and Zisserman 2015), from weights that the user supplies.

DISP and DIP condition on the "last layer activations" of VGG16 without naming the layer; no package carries the
fully connected ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision import models

from bench.features.trunks import ImageNetNormalise
from bench.features.userstate import checked, read_state
from bench.features.weights import WEIGHTS

DIM = 4096
ENDS = {"vgg16_fc6": 2, "vgg16_fc7": 5}  # torchvision's `classifier` up to and with that layer's ReLU


class VGG16Classifier(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> (N, 4096): fc6 or fc7 after its ReLU, without dropout.

    At 224 px the last map is 7 x 7, which the layers were trained on; a larger one is pooled to that, as in
    torchvision. layer: a key of `ENDS`. Parameters are on the meta device until they are loaded.
    """

    def __init__(self, layer: str) -> None:
        super().__init__()
        with torch.device("meta"):  # no random initialisation of 138 million numbers
            whole = models.vgg16(weights=None)
        self.normalise = ImageNetNormalise()
        self.features = whole.features
        self.avgpool = whole.avgpool
        self.classifier = whole.classifier[: ENDS[layer]]

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 4096)."""
        maps_NCHW = self.avgpool(self.features(self.normalise(images_NCHW)))
        activations: Tensor = self.classifier(maps_NCHW.flatten(1))
        return activations


def build_fc6(device: str) -> tuple[nn.Module, int, str]:
    """VGG16's fc6 on `device`, its feature size and its file's sha256. UserError for a file that is no VGG16."""
    return _build("vgg16_fc6", device)


def build_fc7(device: str) -> tuple[nn.Module, int, str]:
    """VGG16's fc7 on `device`, its feature size and its file's sha256. UserError for a file that is no VGG16."""
    return _build("vgg16_fc7", device)


def _build(layer: str, device: str) -> tuple[nn.Module, int, str]:
    path = WEIGHTS[layer].find()
    state, sha256 = read_state(path)
    network = VGG16Classifier(layer)
    wanted = network.state_dict()
    # The layers behind this one may be in the file, of any number of classes, and may be left out.
    behind = {
        f"classifier.{number}.{name}" for number in (3, 6) for name in ("weight", "bias")
    } - wanted.keys()
    kept = {name: value for name, value in state.items() if name not in behind}
    network.load_state_dict(
        {
            name: value.float().contiguous()
            for name, value in checked(kept, wanted, str(path), "VGG16").items()
        },
        assign=True,
    )
    return network.to(torch.device(device)), DIM, sha256
