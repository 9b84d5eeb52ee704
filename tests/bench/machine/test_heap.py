"""What a step frees is kept for the next one: no page of it is asked of the system again, until it is given back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import numpy as np
from bench.machine.heap import give_back_freed_memory, keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    return sum(float(np.ones(2**23)[-1]) for _ in range(4))  # 64 MB each: 16,384 pages
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first, second = faults(), faults()
give_back_freed_memory()
print(first, second, faults())
"""


@pytest.mark.parametrize("how", ["keep", "as usual"])
def test_pages_are_asked_for_once(how):
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True)
    _, second, after = map(int, done.stdout.split())
    if platform.libc_ver()[0] != "glibc":
        return  # nothing can be promised
    kept = how == "keep"
    # Where the system has huge pages (2 MB), a few hundred faults an array
    assert second < 500 if kept else second > 1000, done.stdout
    assert after > 500 or not kept, done.stdout
