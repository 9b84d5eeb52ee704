"""KID: the kernel distance, unbiased, with its standard error over images."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> tuple[float, float]:
    from bench.metrics.kernel import kernel_distance

    return kernel_distance(sets.real, sets.fake)


SCORES = (
    Measure(
        name="kid",
        summary="kernel distance: unbiased squared MMD with the cubic kernel, with its standard error",
        title="kernel distance",
        short="KID",
        better="lower",  # and may be negative, so that it has no ratios
        printed="kid",
        compute=_compute,
    ),
)
