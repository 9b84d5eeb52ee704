"""The ResNet-50 of SimCLR, from weights that the user supplies (Chen et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.extractor import Extractor

SIZE, DIM = 224, 2048  # declared: DISP gives neither input size nor layer


class ResNet50(nn.Module):
    """Images (N, 3, 224, 224) in [-1, 1] -> the mean of the last map, (N, 2048).

    SimCLR's networks see values in [0, 1] without further normalisation.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        with torch.device("meta"):  # no memory, and no draw from the global random state
            self.trunk = resnet50(weights=None)
        self.trunk.fc = nn.Identity()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, 2048)."""
        return self.trunk((images_NCHW + 1) / 2)


def resnet50_extractor(state: Mapping[str, Tensor], device: str = "cpu") -> Extractor:
    """The extractor of a state dict with torchvision's names (the classifier `fc` may be there or not).

    Raises UserError naming the first tensor that is missing, superfluous or of another shape.
    """
    from bench.weightfile import fingerprint

    network = ResNet50().to_empty(device="cpu")
    trunk = {name: value for name, value in state.items() if not name.startswith("fc.")}
    wanted = network.trunk.state_dict()
    for name in sorted(wanted.keys() ^ trunk.keys()):
        where = "missing" if name in wanted else "not part of a ResNet-50"
        raise UserError(f"source 'simclr': the tensor {name} is {where}; use torchvision's names")
    for name, value in trunk.items():
        if value.shape != wanted[name].shape:
            raise UserError(
                f"source 'simclr': the tensor {name} has shape {tuple(value.shape)}, "
                f"must be {tuple(wanted[name].shape)}"
            )
    network.trunk.load_state_dict(trunk)
    return Extractor(f"simclr-resnet50@{SIZE}", network, SIZE, DIM, fingerprint(trunk), device)
