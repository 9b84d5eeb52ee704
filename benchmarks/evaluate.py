"""`bench evaluate` on a folder of PNGs beside its extractor alone: share of the throughput, CPU seconds, peak memory.

    python -m benchmarks.evaluate [COUNT [EXTRACTOR [DEVICE]]]

The extractor alone has the same pictures as an array in memory. The folder is looked through, decoded by worker
processes ahead of the extractor, and scored (FD, against 500 pictures whose features are cached). COUNT is 5,000.

The share of the throughput by the clock means something on a machine that does nothing else. The share by CPU seconds
is of the process that extracts: its throughput where the decoders have a core of their own, whatever else runs here.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

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


class Took(NamedTuple):
    """Seconds for an image: by the clock, and of the CPU in this process and in those that it started."""

    clock: float
    own: float
    children: float


@contextmanager
def timed(count: int, taken: list[Took]) -> Iterator[None]:
    """Add what is done inside with so many images."""
    start, own, children = time.perf_counter(), time.process_time(), _children()
    yield
    ends = time.perf_counter() - start, time.process_time() - own, _children() - children
    taken.append(Took(*(seconds / count for seconds in ends)))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_pictures(folder: Path, count: int) -> None:
    """Smooth colours with some noise, which compress as photographs do: about 100 KB each."""
    stream = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(stream.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
        pixels = np.clip(smooth + stream.integers(-6, 7, smooth.shape, np.int16), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.png", compress_level=6)


def alone(folder: Path, count: int, extractor: features.Extractor) -> Took:
    """The extractor on an array, of at most 1,000 of the pictures; twice, the faster one of each."""
    paths = sorted(folder.glob("*.png"))[: min(count, 1000)]
    images_NHWC = np.stack([np.asarray(Image.open(path)) for path in paths])
    taken: list[Took] = []
    for _ in range(2):
        with timed(len(images_NHWC), taken):
            extractor(images_NHWC)
    return Took(*(min(each) for each in zip(*taken, strict=True)))


def evaluated(folder: Path, count: int, name: str, device: str) -> Took:
    """From the folder to its score."""
    reference = np.random.default_rng(1).integers(0, 256, (REFERENCE, SIDE, SIDE, 3), dtype=np.uint8)
    scorer = Scorer([MetricSpec(name="fd", extractor=name)], reference, "benchmark", device, progress)
    scorer.score(reference[:2])  # the reference's features are there before
    taken: list[Took] = []
    with timed(count, taken), opened_pictures(folder, Wanted(SIDE, count)) as pictures:
        scorer.score(pictures.images)  # type: ignore[arg-type]  # has what is asked of images
    return taken[0]


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
    print(f"the extractor alone  {1 / own.clock:8,.1f} images a second, {1e3 * own.own:6.1f} ms of CPU an image")
    decoders = f"{1e3 * whole.children:.1f} of the decoders"
    for what, took, beside in (("the extractor alone", own, ""), ("bench evaluate", whole, f" beside {decoders}")):
        print(f"{what:20s} {1 / took.clock:8,.1f} images a second, {1e3 * took.own:6.1f} ms of CPU an image{beside}")
    shares = f"{own.clock / whole.clock:.2f} by the clock, {own.own / whole.own:.2f} by CPU seconds"
    print(f"share of the extractor's throughput: {shares}   (target 0.90)")
    print(f"peak memory of all processes {max(peaks) / 1e9:.2f} GB   (target 2 GB)")


if __name__ == "__main__":
    main()
