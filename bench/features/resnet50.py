"""ResNet-50 of ImageNet, SimCLR or SwAV, from weights that the user supplies.

He et al. 2016; Chen et al. 2020; Caron et al. 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.entry import ExtractorEntry
from bench.features.extractor import Extractor
from bench.features.normalise import Normalise
from bench.features.userstate import checked, read_state

SIZE, DIM = 224, 2048  # declared: DISP gives neither input size nor layer
# What SwAV trains besides the trunk (Caron et al. 2020, section 4.1): the head and the prototypes.
SWAV_EXTRAS = ("projection_head.", "prototypes.")


class ResNet50(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> the mean of the last map, (N, 2048).

    standardised: by the mean and deviation of ImageNet's colours, as torchvision's and SwAV's networks; SimCLR's see
    values in [0, 1] as they are.
    """

    def __init__(self, *, standardised: bool) -> None:
        super().__init__()
        self.dim = DIM
        self.normalise = Normalise() if standardised else None
        from torchvision.models import resnet50

        with torch.device("meta"):  # no memory, and no draw from the global random state
            self.trunk = resnet50(weights=None)
        self.trunk.fc = nn.Identity()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 2048)."""
        return self.trunk(self.normalise(images_NCHW) if self.normalise else (images_NCHW + 1) / 2)


def build(entry: ExtractorEntry) -> nn.Module:
    """The network of ImageNet. Raises UserError for a file that is not a state dict of torchvision's resnet50."""
    path = entry.weights_file()
    network, _ = _filled(read_state(path), str(path), standardised=True)
    return network


def build_swav(entry: ExtractorEntry) -> nn.Module:
    """The network of SwAV, whose file has torchvision's names behind "module." and the parts that only training needs.

    Raises UserError for a file of another kind.
    """
    path = entry.weights_file()
    state = {name.removeprefix("module."): value for name, value in read_state(path).items()}
    state = {name: value for name, value in state.items() if not name.startswith(SWAV_EXTRAS)}
    network, _ = _filled(state, str(path), standardised=True)
    return network


def supervised_resnet50(state: Mapping[str, Tensor], where: str) -> tuple[ResNet50, dict[str, Tensor] | None]:
    """The network of a user's classifier with torchvision's names, and the state of its last layer, `fc`, if any.

    Raises UserError as `resnet50_extractor`.
    """
    network, _ = _filled(state, where, standardised=True)
    fc = {name.removeprefix("fc."): value for name, value in state.items() if name.startswith("fc.")}
    return network, fc or None


def resnet50_extractor(state: Mapping[str, Tensor], device: str = "cpu") -> Extractor:
    """The extractor of a state dict with torchvision's names (the classifier `fc` may be there or not).

    Raises UserError naming the first tensor that is missing, superfluous or of another shape.
    """
    from bench.files.weights import fingerprint

    network, trunk = _filled(state, "source 'simclr'", standardised=False)
    return Extractor(f"simclr-resnet50@{SIZE}", network, SIZE, DIM, fingerprint(trunk), device)


def _filled(state: Mapping[str, Tensor], where: str, *, standardised: bool) -> tuple[ResNet50, dict[str, Tensor]]:
    """The network with these weights, and those of them that it has."""
    network = ResNet50(standardised=standardised)
    network.trunk.to_empty(device="cpu")
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{where}: a {type(state).__name__}, must be a dict of names to tensors")
    trunk = {name: value for name, value in state.items() if not name.startswith("fc.")}
    trunk = checked(trunk, network.trunk.state_dict(), where, "ResNet-50")
    network.trunk.load_state_dict(trunk)
    return network, trunk
