"""Which metrics there are, and which of them look at k-th neighbours; importing this imports no library."""

from __future__ import annotations

# The neighbour of each metric that has one, where a protocol does not say: DISP's 10 and 40, prdc's example
# 5.
DEFAULT_K = {"precision": 10, "recall": 40, "density": 5, "coverage": 5}
METRICS = ("fd", "kid", *DEFAULT_K)
