"""What a run takes, as far as the authors of a table know."""

from __future__ import annotations

from pydantic import Field

from bench.spec.run import Frozen


class Resources(Frozen):
    """What one run takes, as far as the table's authors know: for packing short runs and for fitting memory.

    The figures of finished runs of the same kind win over these.
    """

    minutes: float | None = Field(default=None, gt=0)
    memory_gb: float | None = Field(default=None, gt=0)
    gpu_memory_gb: float | None = Field(default=None, gt=0)
