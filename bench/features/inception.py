"""The Inception of FID, through clean-fid's own wrapper, from a file that the user supplies."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.weights import WEIGHTS

DIM = 2048


class CleanFidInception(nn.Module):
    """(N, 3, 299, 299) in [-1, 1] -> (N, 2048), as clean-fid's mode "clean"."""

    def __init__(self, wrapper: nn.Module) -> None:
        super().__init__()
        self.wrapper = wrapper

    def forward(self, images_NCHW: Tensor) -> Tensor:
        features: Tensor = self.wrapper((images_NCHW + 1) * 127.5)  # the wrapper takes 0..255
        return features


def build(device: str) -> tuple[nn.Module, int, str]:
    """The network on `device`, its feature size and its file's sha256.

    Raises UserError for a file that is not the TorchScript network (clean-fid keeps a download that was cut
    off).
    """
    from cleanfid.inception_torchscript import InceptionV3W

    path = WEIGHTS["inception"].find()
    try:
        wrapper = InceptionV3W(str(path.parent), download=False).to(torch.device(device))
    except Exception as error:  # torch raises several types for a file that is damaged or of another kind
        raise UserError(
            f"{path}: not the TorchScript Inception of clean-fid, or damaged; fetch it again"
        ) from error
    return CleanFidInception(wrapper), DIM, hashlib.sha256(path.read_bytes()).hexdigest()
