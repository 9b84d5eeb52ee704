"""Feature extractors by name: frozen networks that turn images into vectors, for metrics and for priors.

A spec is `name` or `name@size`: the side in pixels that images are resized to first, e.g. `vgg16@64`.
Importing this module, listing the extractors and asking whether one is available import no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.features.entry import ExtractorEntry, Sizes
from bench.features.lookup import digest, entry, extractors, noted
from bench.features.weights import PackagedWeights, UserWeights
from bench.spec.inception import Variant

if TYPE_CHECKING:
    from bench.features.cache import cached_features
    from bench.features.extractor import Extractor

__all__ = [
    "EXTRACTORS",
    "Extractor",
    "ExtractorEntry",
    "PackagedWeights",
    "Sizes",
    "UserWeights",
    "available",
    "cached_features",
    "canonical",
    "extractors",
    "gives_logits",
    "inception_variant",
    "is_fid",
    "load",
    "own_size",
    "parse_spec",
    "qualifier",
    "unload",
]


def parse_spec(spec: str) -> tuple[str, int]:
    """`"vgg16@64"` -> ("vgg16", 64); a spec without a size gets the extractor's default.

    Raises UserError for an unknown name or a size the network cannot take.
    """
    name, at, text = spec.partition("@")
    sizes = entry(name).sizes
    if not at:
        return name, sizes.default
    if not (text.isascii() and text.isdecimal() and sizes.allow(int(text))):
        raise UserError(f"extractor '{spec}': the size '{text}' must be {sizes}, e.g. '{name}@{sizes.default}'")
    return name, int(text)


def canonical(spec: str) -> str:
    """A spec as scores name it, with its size. Raises UserError for an unknown one."""
    return "{}@{}".format(*parse_spec(spec))


def own_size(name: str) -> int:
    """The side in pixels that the extractor's network was trained at. Raises UserError for an unknown name."""
    return entry(name).sizes.own


def inception_variant(spec: str) -> Variant | None:
    """Which Inception of FID an extractor is, in the word that tables use; None where it is none of them.

    Raises UserError for an unknown extractor.
    """
    return entry(parse_spec(spec)[0]).inception


def gives_logits(spec: str) -> bool:
    """Whether an extractor gives logits of classes, of which there are probabilities. UserError for an unknown one."""
    return entry(parse_spec(spec)[0]).logits


def is_fid(spec: str) -> bool:
    """Whether a Fréchet distance on the extractor's features is called FID; on any other it is FD(<extractor>)."""
    return inception_variant(spec) is not None


def qualifier(spec: str) -> str:
    """The text in brackets behind the name of a score on an extractor's features.

    The extractor with its size; on an Inception of FID the variant's word, as in FID(tensorflow), and "" on
    clean-fid's, whose scores are the plain FID and KID of this project. Raises UserError for an unknown extractor.
    """
    variant = inception_variant(spec)
    if variant is None:
        return canonical(spec)
    return "" if variant == "clean-fid" else variant


def available(name: str) -> str | None:
    """Why the extractor `name` (or `name@size`) cannot be used here, in one line; None where it can.

    Looks for packages and files, and holds a file that must be the published one against its size and digest; it
    neither loads weights nor imports torch. Raises UserError for an unknown name.
    """
    return entry(parse_spec(name)[0]).lacking()


def load(spec: str, device: str = "cpu") -> Extractor:
    """The extractor `spec`, frozen and in evaluation mode; networks are shared between calls in a process.

    Raises UserError for an unknown name or size, and where weights are missing or are not the right ones.
    """
    name, size = parse_spec(spec)
    card = entry(name)
    if reason := card.lacking():
        raise UserError(f"extractor '{spec}': {reason}")
    from bench.features.extractor import Extractor
    from bench.features.resize import RESIZINGS

    # The weights are part of the key: a user may point to others, or replace the file, in the same process.
    key = (name, str(device), digest(name))
    network = _BUILT[key] if key in _BUILT else card.build(device)
    if card.kept:
        _BUILT[key] = network
    noted(name)
    return Extractor(f"{name}@{size}", network, size, card.dim, key[2], device, RESIZINGS[card.resize])


def unload() -> None:
    """Let go of the loaded networks: the next `load` reads its weights again."""
    _BUILT.clear()


_BUILT: dict[tuple[str, str, str], Any] = {}


_HOMES = {"Extractor": "extractor", "cached_features": "cache"}


def __getattr__(name: str) -> Any:
    if name == "EXTRACTORS":
        return extractors()
    if name in _HOMES:
        return getattr(importlib.import_module(f"bench.features.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'bench.features' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
