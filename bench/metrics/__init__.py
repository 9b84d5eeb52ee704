"""Metrics on features: pure functions on arrays (N, D), one file per family; cards/ has a card for each score.

`bench evaluate` scores a folder of images with them under a table's protocol.

Lazy: importing this package imports neither scipy nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.metrics.classes import inception_score
    from bench.metrics.copying import DataCopying, data_copying
    from bench.metrics.extrapolation import frechet_infinity
    from bench.metrics.frechet import GaussianFit, fit_gaussian, frechet_distance
    from bench.metrics.gaussian_kernel import gaussian_mmd
    from bench.metrics.kernel import kernel_distance
    from bench.metrics.measures import Measure, label
    from bench.metrics.mixture import likelihood_gap
    from bench.metrics.neighbours import density_coverage, precision_recall
    from bench.metrics.originality import authentic_share, nearest_training_share
    from bench.metrics.scores import Score, Scorer
    from bench.metrics.sliced import monge_inception_distance
    from bench.metrics.spectrum import vendi_score

__all__ = [
    "DataCopying",
    "GaussianFit",
    "Measure",
    "Score",
    "Scorer",
    "authentic_share",
    "data_copying",
    "density_coverage",
    "fit_gaussian",
    "frechet_distance",
    "frechet_infinity",
    "gaussian_mmd",
    "inception_score",
    "kernel_distance",
    "label",
    "likelihood_gap",
    "monge_inception_distance",
    "nearest_training_share",
    "precision_recall",
    "vendi_score",
]

# Shown by `bench list metrics` after the scores of bench.metrics.measures; no protocol may name these functions.
PYTHON_ONLY = {
    "data_copying": "C_T test: are samples nearer to the training set than a test set is? (Python only)",
    "inception_score": "exp of the mean KL between p(y|x) and p(y), over splits (Python only)",
}

# No file may have the name of a function: importing a submodule sets its name as an attribute of this package.
_HOMES = {
    "DataCopying": "copying",
    "GaussianFit": "frechet",
    "Measure": "measures",
    "Score": "scores",
    "Scorer": "scores",
    "authentic_share": "originality",
    "gaussian_mmd": "gaussian_kernel",
    "data_copying": "copying",
    "density_coverage": "neighbours",
    "fit_gaussian": "frechet",
    "frechet_distance": "frechet",
    "frechet_infinity": "extrapolation",
    "likelihood_gap": "mixture",
    "inception_score": "classes",
    "kernel_distance": "kernel",
    "label": "measures",
    "monge_inception_distance": "sliced",
    "precision_recall": "neighbours",
    "nearest_training_share": "originality",
    "vendi_score": "spectrum",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bench.metrics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bench.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
