"""FD: the Fréchet distance between Gaussian fits; FID on the Inceptions of FID alone."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.frechet import fit_gaussian
    from bench.metrics.frechet_on_device import distance_on

    reference = sets.keep(lambda: fit_gaussian(sets.real, "reference"), "fit")
    return distance_on(sets.device, reference, sets.fake)


SCORES = (
    Measure(
        name="fd",
        summary="Fréchet distance of Gaussian fits; FID on the Inceptions of FID, FD(<extractor>) on anything else",
        title="Fréchet distance",
        short="FD",
        on_inception="FID",
        better="lower",
        compared="ratio",  # its spread over seeds is proportional to it
        printed="fid",
        biased_upward=True,  # by about 1/N; Chong and Forsyth 2020 (arXiv 1911.07023)
        compute=_compute,
    ),
)
