"""The same as test_survival.py on a cluster that keeps accounts; a file of its own, so that both run at once."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_with_accounting(cluster_of, disturbed, tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=6, gpus=4, accounting=True) as cluster:
        disturbed(cluster)
        told = cluster.run("sacct", "-n", "-X", "-o", "State").stdout
        assert "CANCELLED" in told and "TIMEOUT" in told and "COMPLETED" in told
