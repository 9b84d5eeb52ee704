"""Settings of measures that draw no image by the sampler of the run's method."""

from __future__ import annotations

from pydantic import model_validator

from bench.evaluate.card import MeasureSettings


class UnsampledSettings(MeasureSettings):
    """`sampling` must be None: it would change nothing but the name of the evaluation."""

    @model_validator(mode="after")
    def _samples_nothing(self) -> UnsampledSettings:
        if self.sampling is not None:
            raise ValueError("sampling changes nothing, as the method's sampler draws no image; give sampling: null")
        return self
