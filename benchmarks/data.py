"""Building a data set from pictures of 512 px at 128 px, beside a plain Pillow loop: speed per core and peak memory.

    python -m benchmarks.data [--pictures 10000] [--kinds jpeg,png,zip,parquet]

The loop opens, converts, cuts and resizes each file as the build does, into an array on disk, and does nothing else: no
sums, no copies, no split. It runs once on each core, all at a time and each on its share of the files, since a core
beside a busy one is slower than alone. jpeg and png are folders of files; zip and parquet hold the files of jpeg, and
are held against the loop over these. On 1,000 pictures what a build costs once (processes, sums, the contact sheet)
weighs ten times as much as on 10,000. Each side has its own process.
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
import zipfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench import seeds
from bench.data.building import build
from bench.machine.workers import usable_cores

PICTURES, SIDE, RESOLUTION = 10_000, 512, 128
SAMPLED = 0.02  # seconds from one look at the memory to the next
ROW_GROUP = 100  # rows, as Hugging Face's hub has them for pictures
SAVED: dict[str, dict[str, Any]] = {"jpg": {"quality": 90}, "png": {"compress_level": 1}}


def on_all_cores(work: Callable[[int, int], None]) -> None:
    """work(0, cores), work(1, cores) and so on at the same time, each in its own process."""
    cores = usable_cores()
    loops = [get_context("fork").Process(target=work, args=(core, cores)) for core in range(cores)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert all(loop.exitcode == 0 for loop in loops)


def draw_pictures(folder: Path, count: int, suffix: str = "jpg") -> None:
    """`count` files of smooth colours with some noise, no two alike: of JPEG about 80 kB each, of PNG 500 kB."""
    folder.mkdir()

    def draw(first: int, step: int) -> None:
        for number in range(first, count, step):
            stream = seeds.numpy_stream(0, "benchmark pictures", number)
            coarse = Image.fromarray(stream.integers(0, 256, (12, 12, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
            noisy = np.clip(smooth + stream.integers(-12, 13, smooth.shape, dtype=np.int16), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{number:05d}.{suffix}", **SAVED[suffix])

    on_all_cores(draw)


def pack_zip(pictures: Path, target: Path) -> None:
    """The files of a folder in a zip, as they are."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(pictures.iterdir()):
            archive.write(path, path.name)


def pack_parquet(pictures: Path, target: Path) -> None:
    """The files of a folder as the rows of a parquet file, in row groups."""
    import pyarrow as pa
    from pyarrow import parquet

    paths = sorted(pictures.iterdir())
    with parquet.ParquetWriter(target, pa.schema([("image", pa.binary())])) as writer:
        for start in range(0, len(paths), ROW_GROUP):
            content = [path.read_bytes() for path in paths[start : start + ROW_GROUP]]
            writer.write_table(pa.table({"image": content}))


def plain(pictures: Path, scratch: Path) -> None:
    """Every picture of the folder in an array on disk, by one loop for each core."""
    files = sorted(pictures.iterdir())
    shape = (len(files), RESOLUTION, RESOLUTION, 3)
    images = np.lib.format.open_memmap(scratch / "plain.npy", mode="w+", dtype=np.uint8, shape=shape)

    def loop(first: int, step: int) -> None:
        for place in range(first, len(files), step):
            with Image.open(files[place]) as image:
                flat = image.convert("RGB")
            side = min(flat.size)
            left, top = (flat.width - side) // 2, (flat.height - side) // 2
            square = flat.crop((left, top, left + side, top + side))
            images[place] = np.asarray(square.resize((RESOLUTION, RESOLUTION), Image.Resampling.LANCZOS))

    on_all_cores(loop)
    images.flush()


def ours(pictures: Path, scratch: Path) -> None:
    """The build of a set of the user's own, in a cache of this process's own."""
    os.environ["BENCH_CACHE"] = str(scratch / "cache")
    build("benchmark-pictures", RESOLUTION, pictures, force=True)


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


def prepare(root: Path, kinds: list[str], count: int) -> dict[str, tuple[Path, Path]]:
    """Kind -> the folder that the loop reads, and what is built."""
    jpeg, png = root / "jpeg", root / "png"
    if set(kinds) - {"png"}:
        draw_pictures(jpeg, count)
    if "png" in kinds:
        draw_pictures(png, count, "png")
    if "zip" in kinds:
        pack_zip(jpeg, root / "pictures.zip")
    if "parquet" in kinds:
        pack_parquet(jpeg, root / "pictures.parquet")
    built = {"jpeg": jpeg, "png": png, "zip": root / "pictures.zip", "parquet": root / "pictures.parquet"}
    return {kind: (png if kind == "png" else jpeg, built[kind]) for kind in kinds}


def main() -> None:
    """Draw the pictures, take the time of both sides of each kind, and print them with the targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--kinds", default="jpeg")
    arguments = parser.parse_args()
    count, kinds = arguments.pictures, arguments.kinds.split(",")
    print(f"{count:,} pictures of {SIDE} px into {RESOLUTION} px on {usable_cores()} cores")
    with tempfile.TemporaryDirectory() as folder:
        root, loops = Path(folder), dict[Path, dict[str, float]]()
        for kind, (files, path) in prepare(root, kinds, count).items():
            if files not in loops:
                loop = loops[files] = in_a_process("plain", files, root)
                print(
                    f"  plain Pillow loops, {files.name:7}: {count / loop['wall']:.0f} pictures a second, "
                    f"{loop['cpu']:.1f} CPU seconds",
                    flush=True,
                )
            loop, built = loops[files], in_a_process("ours", path, root)
            print(
                f"  bench data build, {kind:9}: {count / built['wall']:.0f} pictures a second, {built['cpu']:.1f} CPU "
                f"seconds: {loop['wall'] / built['wall']:.2f} of the loops' speed by the clock, "
                f"{loop['cpu'] / built['cpu']:.2f} in CPU seconds (target 0.9); peak {built['peak']:,.0f} MB in all "
                "processes (target 500 MB)",
                flush=True,
            )
    if count < 10_000:
        print("  the targets are meant of 10,000 pictures (--pictures 10000), where what a build costs once is little")


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        print(json.dumps(timed(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main()
