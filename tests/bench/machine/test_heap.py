"""What a step frees is kept for the next one: no page of it is asked of the system again, until it is given back."""

from __future__ import annotations

import platform
import subprocess
import sys

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


def faults(how: str) -> list[int]:
    """Page faults of the first step, of the second, and of one after what was freed has been given back."""
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_pages_are_asked_for_once():
    # By comparison: a step faults 65,536 times where pages have 4 KB, and 130 times where the system gives 2 MB at once
    _, usual, _ = faults("as usual")
    _, kept, given_back = faults("keep")
    if platform.libc_ver()[0] != "glibc":
        return  # nothing can be promised
    assert kept < usual / 4, (kept, usual)
    assert given_back > usual / 8, (given_back, usual)  # one of its four arrays at least asks for its pages again
