"""Metrics on features: pure functions on arrays (N, D), one file per family, and the scorer that runs use.

`bench evaluate` scores a folder of images with them under a table's protocol.

Lazy: importing this package imports neither scipy nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.metrics.classes import inception_score
    from bench.metrics.copying import DataCopying, data_copying
    from bench.metrics.frechet import GaussianFit, fit_gaussian, frechet_distance
    from bench.metrics.kernel import kernel_distance
    from bench.metrics.neighbours import density_coverage, precision_recall
    from bench.metrics.scores import Score, Scorer, label

__all__ = [
    "DataCopying",
    "GaussianFit",
    "Score",
    "Scorer",
    "data_copying",
    "density_coverage",
    "fit_gaussian",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "label",
    "precision_recall",
]

SUMMARIES = {
    "fd": "Fréchet distance of Gaussian fits; FID on the Inceptions of FID, FD(<extractor>) on anything else",
    "kid": "kernel distance: unbiased squared MMD with the cubic kernel, with its standard error",
    "precision": "share of generated images inside the reference's k-nearest-neighbour balls",
    "recall": "share of reference images inside the generated images' balls",
    "density": "mean number of reference balls around a generated image, over k",
    "coverage": "share of reference balls that hold a generated image",
    "data_copying": "C_T test: are samples nearer to the training set than a test set is? (Python only)",
    "inception_score": "exp of the mean KL between p(y|x) and p(y), over splits (Python only)",
}

# No file bears the name of a function: importing a submodule sets it as an attribute of this package.
_HOMES = {
    "DataCopying": "copying",
    "GaussianFit": "frechet",
    "Score": "scores",
    "Scorer": "scores",
    "data_copying": "copying",
    "density_coverage": "neighbours",
    "fit_gaussian": "frechet",
    "frechet_distance": "frechet",
    "inception_score": "classes",
    "kernel_distance": "kernel",
    "label": "scores",
    "precision_recall": "neighbours",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bench.metrics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bench.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
