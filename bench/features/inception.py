"""The Inceptions of FID, from files that the user supplies: clean-fid's three modes, and torchvision's network."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.entry import ExtractorEntry
from bench.features.normalise import Normalise
from bench.features.userstate import checked, plain_floats, read_state

FID_CLASSES = 1008  # of the graph of 2015-12-05


class TorchScriptInception(nn.Module):
    """(N, 3, H, W) in [-1, 1] -> (N, 2048), through clean-fid's wrapper of the TorchScript network.

    Of 299 px, as clean-fid's mode "clean"; of any size where the wrapper leaves the resizing to the network itself,
    as in its mode "legacy_tensorflow".
    """

    def __init__(self, wrapper: nn.Module) -> None:
        super().__init__()
        self.wrapper = wrapper

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, 2048)."""
        features: Tensor = self.wrapper((images_NCHW + 1) * 127.5)  # the wrapper takes 0..255
        return features


class InceptionV3(nn.Module):
    """(N, 3, 299, 299) in [-1, 1] -> (N, 2048): a network of torchvision's class Inception3 before its classifier.

    normalise: what it wants in place of [-1, 1], if anything. classifier: what reads the 2,048 numbers, if anything.
    """

    def __init__(
        self, network: nn.Module, normalise: nn.Module | None = None, classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.normalise = normalise
        network.fc = nn.Identity() if classifier is None else classifier
        network.AuxLogits = None  # type: ignore[assignment]  # a classifier in the middle, which evaluation skips
        self.network = network

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, 299, 299) in [-1, 1] -> (N, 2048)."""
        features: Tensor = self.network(self.normalise(images_NCHW) if self.normalise else images_NCHW)
        return features


def build_torchscript(entry: ExtractorEntry) -> nn.Module:
    """clean-fid's modes "clean" and "legacy_tensorflow": one file, the resizing in front of or inside the network.

    Raises UserError for a file that is not the TorchScript network (clean-fid keeps a download that was cut off).
    """
    from cleanfid.inception_torchscript import InceptionV3W

    path = entry.weights_file()
    try:
        with warnings.catch_warnings():  # the file is of a kind that torch calls old: nothing its user can change
            warnings.simplefilter("ignore", FutureWarning)
            wrapper = InceptionV3W(str(path.parent), download=False, resize_inside=entry.resize == "inside")
    except Exception as error:  # torch raises several types for a file that is damaged or of another kind
        raise UserError(f"{path}: not the TorchScript Inception of clean-fid, or damaged; fetch it again") from error
    return TorchScriptInception(wrapper)


def build_port(entry: ExtractorEntry) -> nn.Module:
    """clean-fid's mode "legacy_pytorch": pytorch-fid's port, of clean-fid's blocks. UserError for another file."""
    return InceptionV3(_filled(fid_network(), entry.weights_file(), "pytorch-fid's"))


def build_port_logits(entry: ExtractorEntry) -> nn.Module:
    """pytorch-fid's port up to its 1,008 logits without their bias, as the Inception score is published.

    The code of Salimans et al. 2016 multiplies the last pooling by the weights of the last layer and leaves its bias
    out. UserError for another file.
    """
    network = _filled(fid_network(), entry.weights_file(), "pytorch-fid's")
    classifier = network.get_submodule("fc")
    classifier.bias = None  # type: ignore[assignment]  # of a linear layer, where None is no bias
    return InceptionV3(network, classifier=classifier)


def build_torchvision(entry: ExtractorEntry) -> nn.Module:
    """torchvision's Inception v3 as BigGAN-PyTorch reads it (inception_utils.py): normalised by ImageNet's colours.

    The network was trained on [-1, 1], which torchvision's own `transform_input` restores; BigGAN-PyTorch switches
    that off, and its FIDs are comparable only with features of the same. Raises UserError for another file.
    """
    network = _filled(_inception_v3(aux_logits=True), entry.weights_file(), "torchvision's")
    return InceptionV3(network, Normalise())


def fid_network() -> nn.Module:
    """FID's network on the meta device: torchvision's with the blocks in which the graph of 2015-12-05 differs.

    clean-fid puts the same blocks in place, but only in a function that downloads (cleanfid/inception_pytorch.py).
    """
    from cleanfid import inception_pytorch as blocks

    network: Any = _inception_v3(aux_logits=False, num_classes=FID_CLASSES)
    with torch.device("meta"):
        network.Mixed_5b = blocks.FIDInceptionA(192, pool_features=32)
        network.Mixed_5c = blocks.FIDInceptionA(256, pool_features=64)
        network.Mixed_5d = blocks.FIDInceptionA(288, pool_features=64)
        network.Mixed_6b = blocks.FIDInceptionC(768, channels_7x7=128)
        network.Mixed_6c = blocks.FIDInceptionC(768, channels_7x7=160)
        network.Mixed_6d = blocks.FIDInceptionC(768, channels_7x7=160)
        network.Mixed_6e = blocks.FIDInceptionC(768, channels_7x7=192)
        network.Mixed_7b = blocks.FIDInceptionE_1(1280)
        network.Mixed_7c = blocks.FIDInceptionE_2(2048)
    return network


def _inception_v3(*, aux_logits: bool, num_classes: int = 1000) -> nn.Module:
    """torchvision's, on the meta device: no memory, and no draw from the global random state."""
    from torchvision.models import Inception3

    with torch.device("meta"):
        network: nn.Module = Inception3(
            num_classes=num_classes, aux_logits=aux_logits, transform_input=False, init_weights=False
        )
    return network


def _filled(network: nn.Module, path: Path, names: str) -> nn.Module:
    """The network with the weights of a file that has exactly its tensors."""
    state = checked(read_state(path), network.state_dict(), str(path), "Inception v3", names)
    network.load_state_dict(plain_floats(state), strict=True, assign=True)
    return network
