"""VGG16's fully connected layers (Simonyan and Zisserman 2015), from weights that the user supplies.

DISP and DIP condition on the "last layer activations" of VGG16 without naming the layer. No package has the fully
connected ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision import models

from bench.features.entry import ExtractorEntry
from bench.features.normalise import Normalise
from bench.features.userstate import checked, plain_floats, read_state

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
        self.normalise = Normalise()
        self.features = whole.features
        self.avgpool = whole.avgpool
        self.classifier = whole.classifier[: ENDS[layer]]

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 4096)."""
        maps_NCHW = self.avgpool(self.features(self.normalise(images_NCHW)))
        activations: Tensor = self.classifier(maps_NCHW.flatten(1))
        return activations


def build(entry: ExtractorEntry) -> nn.Module:
    """VGG16 up to the layer of the entry's name. Raises UserError for a file that is no VGG16."""
    path = entry.weights_file()
    network = VGG16Classifier(entry.name)
    expected = network.state_dict()
    # The layers behind this one may be in the file, of any number of classes, and may be left out.
    behind = {f"classifier.{number}.{name}" for number in (3, 6) for name in ("weight", "bias")} - expected.keys()
    state = {name: value for name, value in read_state(path).items() if name not in behind}
    network.load_state_dict(plain_floats(checked(state, expected, str(path), "VGG16")), assign=True)
    return network
