"""Where this process runs: the cluster job that it belongs to."""

from __future__ import annotations

import os


def slurm_job() -> str | None:
    """The cluster job that this process belongs to, as squeue prints it (123_4 in an array); None outside."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")
