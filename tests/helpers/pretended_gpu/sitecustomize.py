"""On the path of a cluster's jobs where a test asks for it: NVML shows a card, whose workers train on the CPU."""

from bench.launch.local import starter

starter.place_of = lambda device: ("cpu", {})
