"""Building a data set from JPEG files of 512 px at 128 px, beside a plain Pillow loop: speed per core and peak memory.

    python -m benchmarks.data [--pictures 10000]

The loop opens, converts, cuts and resizes each file as the build does, into an array on disk, and does nothing else: no
sums, no copies, no split. It runs once on each core, all at a time and each on its share of the files, since a core
beside a busy one is slower than alone. 1,000 pictures by default, on which what a build costs once (processes, sums,
the contact sheet) weighs ten times as much as on 10,000. Each side has its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from bench import seeds
from bench.data.building import build
from bench.machine.workers import usable_cores

PICTURES, SIDE, RESOLUTION = 1_000, 512, 128
SAMPLED = 0.02  # seconds from one look at the memory to the next


def draw_pictures(folder: Path, count: int) -> None:
    """`count` JPEG files of smooth colours with some noise, about 80 kB each, no two alike."""
    folder.mkdir()
    for number in range(count):
        stream = seeds.numpy_stream(0, "benchmark pictures", number)
        coarse = Image.fromarray(stream.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + stream.integers(-12, 13, smooth.shape, dtype=np.int16), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number:05d}.jpg", quality=90)


def plain(pictures: Path, scratch: Path) -> None:
    """Every picture of the folder in an array on disk, by one loop for each core."""
    files = sorted(pictures.iterdir())
    shape = (len(files), RESOLUTION, RESOLUTION, 3)
    images = np.lib.format.open_memmap(scratch / "plain.npy", mode="w+", dtype=np.uint8, shape=shape)
    cores = usable_cores()
    loops = [get_context("fork").Process(target=_loop, args=(files, images, core, cores)) for core in range(cores)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert all(loop.exitcode == 0 for loop in loops)
    images.flush()


def _loop(files: list[Path], images: np.ndarray, first: int, step: int) -> None:
    for place in range(first, len(files), step):
        with Image.open(files[place]) as image:
            flat = image.convert("RGB")
        side = min(flat.size)
        left, top = (flat.width - side) // 2, (flat.height - side) // 2
        square = flat.crop((left, top, left + side, top + side))
        images[place] = np.asarray(square.resize((RESOLUTION, RESOLUTION), Image.Resampling.LANCZOS))


def ours(pictures: Path, scratch: Path) -> None:
    """The build of a set of the user's own, in a cache of this process's own."""
    os.environ["BENCH_CACHE"] = str(scratch / "cache")
    built = build("benchmark-pictures", RESOLUTION, pictures)
    assert len(built.train) + len(built.test) == len(list(pictures.iterdir()))


SIDES: dict[str, Callable[[Path, Path], None]] = {"plain": plain, "ours": ours}


def timed(side: str, pictures: Path, scratch: Path) -> dict[str, float]:
    """Wall seconds of one side, and CPU seconds of this process and of those that it has waited for."""
    start, before = time.perf_counter(), _cpu()
    SIDES[side](pictures, scratch)
    return {"wall": time.perf_counter() - start, "cpu": _cpu() - before}


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def in_a_process(side: str, pictures: Path, scratch: Path) -> dict[str, float]:
    """`timed` in its own process, with the peak memory in MB of that and of those that it starts ("peak")."""
    command = [sys.executable, "-m", "benchmarks.data", "side", side, str(pictures), str(scratch)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_megabytes(pid) for pid in _family(process.pid)))
        time.sleep(SAMPLED)
    assert process.returncode == 0 and process.stdout is not None, f"{side} has failed"
    return {**json.loads(process.stdout.read()), "peak": peak}


def _family(pid: int) -> list[int]:
    """A process and all that descend from it; of a system without /proc nothing."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(one for text in lists for child in text.split() for one in _family(int(child)))]


def _megabytes(pid: int) -> float:
    """The memory of a process, where what several processes share counts once, in parts."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def main() -> None:
    """Draw the pictures, take the time of both sides, and print them with the targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    count = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw_pictures(root / "pictures", count)
        found = {side: in_a_process(side, root / "pictures", root) for side in SIDES}
    loop, built = found["plain"], found["ours"]
    print(f"{count:,} pictures of {SIDE} px into {RESOLUTION} px on {usable_cores()} cores")
    print(f"  plain Pillow loops: {count / loop['wall']:.0f} pictures a second, {loop['cpu']:.1f} CPU seconds")
    print(
        f"  bench data build:   {count / built['wall']:.0f} pictures a second, {built['cpu']:.1f} CPU seconds: "
        f"{loop['wall'] / built['wall']:.2f} of the loops' speed by the clock, {loop['cpu'] / built['cpu']:.2f} in CPU "
        f"seconds (target 0.9); peak {built['peak']:,.0f} MB in all processes   (target 500 MB)"
    )
    if count < 10_000:
        print(
            "  the target is meant of 10,000 pictures (--pictures 10000), on which what a build costs once weighs less"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        print(json.dumps(timed(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main()
