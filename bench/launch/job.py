"""The old home of `TableJob`, kept for a release: a job that waits during an upgrade names it."""

from bench.launch.slurm.job import TableJob

__all__ = ["TableJob"]
