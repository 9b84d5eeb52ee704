"""`bench evaluate` on a folder of PNGs beside its extractor alone: seconds, share of the throughput, peak memory.

    python -m benchmarks.evaluate [COUNT [EXTRACTOR [DEVICE]]]

The extractor alone has the same pictures as an array in memory. The folder is looked through, decoded by worker
processes ahead of the extractor, and scored (FD, against 500 pictures whose features are cached). COUNT is 5,000.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from bench import features
from bench.data.picture_folder import Wanted, opened_pictures
from bench.machine.long_work import progress
from bench.machine.memory import resident_bytes
from bench.metrics.scores import Scorer
from bench.spec.run import MetricSpec

SIDE, REFERENCE = 256, 500
DEVICE, EXTRACTOR, COUNT = "cpu", "effnet_lite0@224", 5_000


def write_pictures(folder: Path, count: int) -> None:
    """Smooth colours with some noise, which compress as photographs do: about 100 KB each."""
    stream = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(stream.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
        pixels = np.clip(smooth + stream.integers(-6, 7, smooth.shape, np.int16), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.png", compress_level=6)


def alone(folder: Path, count: int, extractor: features.Extractor) -> float:
    """Images a second of the extractor on an array, of at most 1,000 of the pictures; twice, the faster one."""
    paths = sorted(folder.glob("*.png"))[: min(count, 1000)]
    images_NHWC = np.stack([np.asarray(Image.open(path)) for path in paths])
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        extractor(images_NHWC)
        seconds.append(time.perf_counter() - start)
    return len(images_NHWC) / min(seconds)


def evaluated(folder: Path, count: int, name: str, device: str) -> float:
    """Images a second from the folder to its score."""
    reference = np.random.default_rng(1).integers(0, 256, (REFERENCE, SIDE, SIDE, 3), dtype=np.uint8)
    scorer = Scorer([MetricSpec(name="fd", extractor=name)], reference, "benchmark", device, progress)
    scorer.score(reference[:2])  # the reference's features are there before
    start = time.perf_counter()
    with opened_pictures(folder, Wanted(SIDE, count)) as pictures:
        scorer.score(pictures.images)  # type: ignore[arg-type]  # has what is asked of images
    return count / (time.perf_counter() - start)


@contextmanager
def watched_memory(peaks: list[int]) -> Iterator[None]:
    """Inside, add what this process and its children have resident together, ten times a second."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            peaks.append(sum(resident_bytes(pid) or 0 for pid in [os.getpid(), *map(int, children)]))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def main() -> None:
    """Print each figure beside its target."""
    count, name, device = [*sys.argv[1:], *(str(COUNT), EXTRACTOR, DEVICE)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BENCH_CACHE"] = f"{scratch}/cache"
        folder = Path(scratch) / "made"
        folder.mkdir()
        write_pictures(folder, int(count))
        peaks: list[int] = []
        with watched_memory(peaks):
            whole = evaluated(folder, int(count), name, device)
        own = alone(folder, int(count), features.load(name, device))
    print(f"{int(count):,} PNGs of {SIDE} px, {name} on {device}, {len(os.sched_getaffinity(0))} cores")
    print(f"the extractor alone  {own:8,.1f} images a second")
    print(f"bench evaluate       {whole:8,.1f} images a second, {whole / own:.2f} of it   (target 0.90)")
    print(f"peak memory of all processes {max(peaks) / 1e9:.2f} GB   (target 2 GB)")


if __name__ == "__main__":
    main()
