"""The memory that a build takes for each picture: an array of tiny pictures as the source, all in one process.

    python -m benchmarks.data_memory [--pictures 300000]

Beside a fixed part (the code, a bounded cache of small pictures), it is the slope between a tenth of the pictures and
all of them. Pages of files that are mapped do not count: the kernel takes them back when it needs them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

PICTURES, SIDE = 50_000, 8
SAMPLED = 0.05  # seconds


def draw(path: Path, count: int) -> None:
    """An array of noise, no two pictures alike."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, SIDE, SIDE, 3))
    for start in range(0, count, 10_000):
        part = array[start : start + 10_000]
        part[:] = np.random.default_rng([0, start]).integers(0, 256, part.shape, dtype=np.uint8)


def anonymous() -> int:
    """The bytes of this process that are in no file."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def peak_of(path: Path, cache: Path) -> int:
    """The most that a build of the array has taken, over what was there before it."""
    os.environ["BENCH_CACHE"] = str(cache)
    from bench.data.building import build

    before, ended, seen = anonymous(), threading.Event(), [0]

    def watch() -> None:
        while not ended.wait(SAMPLED):
            seen[0] = max(seen[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    build("benchmark-pictures", SIDE, path, jobs=1)
    ended.set()
    watcher.join()
    return seen[0] - before


def main() -> None:
    """Build both sets, each in its own process, and print the slope."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    count = parser.parse_args().pictures
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in (count // 10, count):
            draw(Path(folder) / f"{number}.npy", number)
            command = [sys.executable, "-m", "benchmarks.data_memory", "peak", f"{folder}/{number}.npy", folder]
            peaks[number] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            (Path(folder) / "data").rename(Path(folder) / f"built-{number}")
    few, many = sorted(peaks)
    slope = (peaks[many] - peaks[few]) / (many - few)
    print(
        f"{many:,} pictures: {peaks[many] / 2**20:,.0f} MB at most, {slope:,.0f} bytes for each picture beside a fixed "
        f"part of {(peaks[few] - few * slope) / 2**20:,.0f} MB (target 500 bytes)"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        print(peak_of(Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        main()
