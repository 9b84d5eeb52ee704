"""FD extrapolated to infinitely many generated images; on the Inceptions of FID the FID-infinity of its authors."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.extrapolation import frechet_infinity
    from bench.metrics.frechet import fit_gaussian

    reference = sets.keep(lambda: fit_gaussian(sets.real, "reference"), "fit")
    return frechet_infinity(reference, sets.fake[sets.order])


SCORES = (
    Measure(
        name="fd_infinity",
        summary="fd extrapolated to infinitely many generated images, by a line over 1/N through 15 parts of them",
        title="Fréchet distance at infinitely many images",
        short="FD-infinity",
        on_inception="FID-infinity",
        better="lower",  # and may be negative, so that it has no ratios
        fewest=20,  # bench.metrics.extrapolation.FEWEST: a tenth of them still has a covariance
        compute=_compute,
    ),
)
