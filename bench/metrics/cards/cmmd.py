"""CMMD: the kernel distance of a Gaussian kernel on directions; on `clip_vitl14_336` that of its authors."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.gaussian_kernel import gaussian_mmd, mean_kernel

    return gaussian_mmd(sets.real, sets.fake, sets.keep(lambda: mean_kernel(sets.real, sets.real), "within"))


SCORES = (
    Measure(
        name="cmmd",
        summary="1,000 x squared MMD, Gaussian kernel of width 10, features of length 1 (authors': clip_vitl14_336)",
        title="Gaussian kernel distance",
        short="CMMD",
        better="lower",
        compared="ratio",
        biased_upward=True,  # pairs of an image with itself count, as in the authors' code
        compute=_compute,
    ),
)
