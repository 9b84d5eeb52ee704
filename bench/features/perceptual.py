"""Differentiable perceptual distances: LPIPS from the official package, and VGG16's inner activations."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path

import lpips
import torch
from torch import Tensor, nn

from bench.errors import UserError, did_you_mean
from bench.features.normalise import Normalise
from bench.features.trunks import trunk_layers

_TRUNKS = {"vgg": "vgg16", "alex": "alexnet"}
SMALLEST = {"vgg": 16, "alex": 31}  # pixels of a side that leave something for every layer


def lpips_distance(net: str = "alex", device: str = "cpu") -> nn.Module:
    """LPIPS v0.1 (Zhang et al. 2018, arXiv 1801.03924): module(a, b), NCHW in [-1, 1], -> (N, 1, 1, 1).

    net: "alex" (fast, the metric's default) or "vgg" (what FastGAN's reconstruction loss uses). Frozen;
    gradients reach the images. Raises UserError for another net and for missing weights.
    """
    if net not in _TRUNKS:
        raise UserError(f"unknown LPIPS net '{net}'; {did_you_mean(net, _TRUNKS)}")
    # On "meta", because the package would initialise a whole classifier from the global generator; it calls
    # torchvision in a deprecated way, about which its user can do nothing.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        module = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    module.scaling_layer = lpips.ScalingLayer()  # its constants are buffers, which have no values on "meta"
    heads = Path(inspect.getfile(lpips)).parent / "weights" / "v0.1" / f"{net}.pth"
    module.load_state_dict(torch.load(heads, map_location="cpu", weights_only=True), strict=False, assign=True)
    trunk = dict(trunk_layers(_TRUNKS[net]).named_parameters())
    for slice_name, part in module.net.named_children():
        # The package cuts the trunk into slices that keep torchvision's layer numbers.
        state = {key: trunk[key] for key in part.state_dict()}
        module.net.get_submodule(slice_name).load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False).to(device)


def refuse_small(who: str, net: str, size: int) -> None:
    """UserError, of the measure `who`, for images of fewer pixels a side than LPIPS on this net can compare."""
    if size < SMALLEST[net]:
        raise UserError(f"{who}: net is {net}, which compares {SMALLEST[net]} px or more; here it would be {size} px")


class VGG16Activations(nn.Module):
    """The outputs of chosen layers of VGG16, for perceptual losses: images NCHW in [-1, 1] -> tensors.

    `layers` are positions in torchvision's `vgg16().features`, e.g. (2, 7, 12, 21, 30) for GLANN; a position
    that is a convolution gives its output before the ReLU. Frozen; gradients reach the images.
    Raises UserError for a position outside 0..30.
    """

    def __init__(self, layers: Sequence[int], device: str = "cpu") -> None:
        super().__init__()
        wrong = [layer for layer in layers if not 0 <= layer <= 30]
        if wrong or not layers:
            raise UserError(f"VGG16 layers {list(layers)}: must be positions from 0 to 30")
        self.wanted = tuple(layers)
        self.normalise = Normalise()
        self.layers = trunk_layers("vgg16")[: max(layers) + 1]
        self.eval().requires_grad_(False).to(device)

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        """One tensor for each of `layers`, in their order."""
        x_NCHW = self.normalise(images_NCHW)
        kept = {}
        for position, layer in enumerate(self.layers):
            x_NCHW = layer(x_NCHW)
            if position in self.wanted:
                kept[position] = x_NCHW
        return [kept[position] for position in self.wanted]
