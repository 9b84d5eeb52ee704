"""The Vendi score: how many different images a set holds, whatever the reference is."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.spectrum import vendi_score

    return vendi_score(sets.fake)


SCORES = (
    Measure(
        name="vendi",
        summary="effective number of different generated images: exp of the entropy of their cosines' eigenvalues",
        title="Vendi score",
        short="Vendi",
        better="higher",
        compared="ratio",
        worst=1.0,  # all images alike
        compute=_compute,
    ),
)
