"""Feature extractors by name: frozen networks that turn images into vectors, for metrics and for priors.

A spec is `name` or `name@size`: the side in pixels that images are resized to first, e.g. `vgg16@64`.
Importing this module, listing the extractors and asking whether one is available import no torch.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import UserError
from bench.features.weights import WEIGHTS, digest, noted
from bench.registry import Registry

if TYPE_CHECKING:
    from bench.features.cache import cached_features
    from bench.features.extractor import Extractor

__all__ = [
    "EXTRACTORS",
    "Extractor",
    "available",
    "cached_features",
    "canonical",
    "load",
    "own_size",
    "parse_spec",
]

EXTRACTORS = Registry("extractor")
EXTRACTORS.add(
    "effnet_lite0",
    "bench.features.effnet:build",
    "EfficientNet-Lite0 on ImageNet, mean of the last map, 1280-d (default size 96)",
)
EXTRACTORS.add(
    "vgg16",
    "bench.features.trunks:build_vgg16",
    "VGG16 on ImageNet, mean of conv5_3 after ReLU, 512-d (default size 64)",
)
EXTRACTORS.add(
    "vgg16_fc6",
    "bench.features.vgg16:build_fc6",
    "VGG16 on ImageNet, fc6 after ReLU, 4096-d (default size 224); weights are yours to supply",
)
EXTRACTORS.add(
    "vgg16_fc7",
    "bench.features.vgg16:build_fc7",
    "VGG16 on ImageNet, fc7 after ReLU, 4096-d (default size 224); weights are yours to supply",
)
EXTRACTORS.add(
    "alexnet",
    "bench.features.trunks:build_alexnet",
    "AlexNet on ImageNet, mean of conv5 after ReLU, 256-d (default size 96)",
)
EXTRACTORS.add(
    "inception",
    "bench.features.inception:build",
    "the Inception of FID through clean-fid, 2048-d (size 299 only)",
)
EXTRACTORS.add(
    "resnet50",
    "bench.features.resnet50:build",
    "ResNet-50 on ImageNet, mean of the last map, 2048-d (default size 224); weights are yours to supply",
)


class Sizes(NamedTuple):
    """The input sizes an extractor takes, in pixels a side."""

    default: int
    least: int
    most: int
    own: int  # what the network was trained at


# Which of the Inceptions of FID an extractor is: the same word in a table says that its paper used this one.
VARIANTS = {"inception": "clean-fid"}
# The least size leaves one position in the last feature map, and before VGG16's fully connected layers the 7 x 7
# that they were trained on; the most keeps a typing error from eating memory.
SIZES = {
    "effnet_lite0": Sizes(96, 32, 512, 224),
    "vgg16": Sizes(64, 32, 512, 224),
    "vgg16_fc6": Sizes(224, 224, 512, 224),
    "vgg16_fc7": Sizes(224, 224, 512, 224),
    "alexnet": Sizes(96, 63, 512, 224),
    "inception": Sizes(299, 299, 299, 299),
    "resnet50": Sizes(224, 32, 512, 224),
}
_BUILT_ANEW = ("vgg16_fc6", "vgg16_fc7")  # half a gigabyte: not kept when their last user has gone
_CODE = {
    "effnet_lite0": "efficientnet_lite_pytorch",
    "inception": "cleanfid",
    "resnet50": "torchvision",
}  # networks that live in packages


def parse_spec(spec: str) -> tuple[str, int]:
    """`"vgg16@64"` -> ("vgg16", 64); a spec without a size gets the extractor's default.

    Raises UserError for an unknown name or a size the network cannot take.
    """
    name, at, text = spec.partition("@")
    EXTRACTORS.entry(name)
    sizes = SIZES[name]
    if not at:
        return name, sizes.default
    if not (text.isascii() and text.isdecimal() and sizes.least <= int(text) <= sizes.most):
        allowed = (
            str(sizes.least)
            if sizes.least == sizes.most
            else f"a whole number from {sizes.least} to {sizes.most}"
        )
        raise UserError(
            f"extractor '{spec}': the size '{text}' must be {allowed}, e.g. '{name}@{sizes.default}'"
        )
    return name, int(text)


def canonical(spec: str) -> str:
    """A spec as scores name it, with its size. Raises UserError for an unknown one."""
    return "{}@{}".format(*parse_spec(spec))


def own_size(name: str) -> int:
    """The side in pixels that the extractor's network was trained at. Raises UserError for an unknown name."""
    EXTRACTORS.entry(name)
    return SIZES[name].own


def available(name: str) -> str | None:
    """Why the extractor `name` (or `name@size`) cannot be used here, in one line; None where it can.

    Looks for files and packages only: it neither loads weights nor imports torch. Raises UserError for an
    unknown name.
    """
    name, _ = parse_spec(name)
    package = _CODE.get(name)
    if package and importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed: run `pip install {package.replace('_', '-')}`"
    try:
        WEIGHTS[name].find()
    except UserError as error:
        return str(error)
    return None


def load(spec: str, device: str = "cpu") -> Extractor:
    """The extractor `spec`, frozen and in evaluation mode; networks are shared between calls in a process.

    Raises UserError for an unknown name or size, and where weights are missing or are not the right ones.
    """
    name, size = parse_spec(spec)
    reason = available(name)
    if reason:
        raise UserError(f"extractor '{spec}': {reason}")
    from bench.features.extractor import Extractor

    # The weights are part of the key: a user may point to others, or replace the file, in the same process.
    key = (name, str(device), digest(name))
    network, dim, sha256 = _BUILT.get(key) or EXTRACTORS.load(name)(device)
    if name not in _BUILT_ANEW:
        _BUILT[key] = network, dim, sha256
    noted(name)
    return Extractor(f"{name}@{size}", network, size, dim, sha256, device)


_BUILT: dict[tuple[str, str, str], Any] = {}


_HOMES = {"Extractor": "extractor", "cached_features": "cache"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"bench.features.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'bench.features' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
