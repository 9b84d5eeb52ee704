"""What happens to jobs on a cluster, done to a real one: every run ends once, with the bits of an undisturbed run."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_without_accounting(cluster_of, disturbed, tmp_path_factory):
    """squeue, heartbeats and logs are all there is."""
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=6, gpus=4) as cluster:
        disturbed(cluster)
