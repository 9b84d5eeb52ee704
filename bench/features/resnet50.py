"""ResNet-50, from weights that the user supplies: of ImageNet (He et al. 2016), and of SimCLR (Chen et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.extractor import Extractor
from bench.features.userstate import checked, read_state
from bench.features.weights import WEIGHTS

SIZE, DIM = 224, 2048  # declared: DISP gives neither input size nor layer


# Of the values in [0, 1] that torchvision's networks were trained on.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ResNet50(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> the mean of the last map, (N, 2048).

    standardised: by the mean and deviation of ImageNet's colours, as torchvision's networks; SimCLR's see values in
    [0, 1] as they are.
    """

    def __init__(self, *, standardised: bool) -> None:
        super().__init__()
        self.standardised = standardised
        from torchvision.models import resnet50

        with torch.device("meta"):  # no memory, and no draw from the global random state
            self.trunk = resnet50(weights=None)
        self.trunk.fc = nn.Identity()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 2048)."""
        x_NCHW = (images_NCHW + 1) / 2
        if self.standardised:
            mean_C, deviation_C = x_NCHW.new_tensor(MEAN), x_NCHW.new_tensor(DEVIATION)
            x_NCHW = (x_NCHW - mean_C[:, None, None]) / deviation_C[:, None, None]
        return self.trunk(x_NCHW)


def build(device: str) -> tuple[nn.Module, int, str]:
    """The network of ImageNet on `device`, its feature size and its file's sha256.

    Raises UserError for a file that is not a state dict of torchvision's resnet50.
    """
    path = WEIGHTS["resnet50"].find()
    state, sha256 = read_state(path)
    network, _ = _filled(state, str(path), standardised=True)
    return network.to(torch.device(device)), DIM, sha256


def resnet50_extractor(state: Mapping[str, Tensor], device: str = "cpu") -> Extractor:
    """The extractor of a state dict with torchvision's names (the classifier `fc` may be there or not).

    Raises UserError naming the first tensor that is missing, superfluous or of another shape.
    """
    from bench.files.weights import fingerprint

    network, trunk = _filled(state, "source 'simclr'", standardised=False)
    return Extractor(f"simclr-resnet50@{SIZE}", network, SIZE, DIM, fingerprint(trunk), device)


def _filled(
    state: Mapping[str, Tensor], where: str, *, standardised: bool
) -> tuple[ResNet50, dict[str, Tensor]]:
    """The network with these weights, and those of them that it has."""
    network = ResNet50(standardised=standardised).to_empty(device="cpu")
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{where}: a {type(state).__name__}, must be a dict of names to tensors")
    trunk = {name: value for name, value in state.items() if not name.startswith("fc.")}
    trunk = checked(trunk, network.trunk.state_dict(), where, "ResNet-50")
    network.trunk.load_state_dict(trunk)
    return network, trunk
