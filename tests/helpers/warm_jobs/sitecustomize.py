"""On the path of a cluster's jobs where a test asks for it: their workers are forked by tests/fork_server.py.

They are then no children of their jobs, and no signal of the cluster reaches them but through their queue.
"""

import os

if server := os.environ.get("BENCH_TEST_FORK_SERVER"):
    from bench.launch.local import template_handle
    from warm_template import launch_from

    template_handle.launch = launch_from(int(server))  # type: ignore[assignment]
