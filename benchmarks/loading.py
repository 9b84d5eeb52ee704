"""A set of 3 million images of 128 px beside one of 64: opening it, a training step on it, and the memory of both.

    python -m benchmarks.loading [--json]

The large set is a sparse file, 147 GB of zeros that take no room on the disk: what is measured is the work for each
image and each set, not the disk. Each set has its own process.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench import paths
from bench.contract.expression import parse_method
from bench.data import imageset
from bench.data.draws import few_shot
from bench.data.known import datasets
from bench.data.meta import set_hash
from bench.data.own_sets import counted, new_entry
from bench.data.places import recipe
from bench.machine.memory import peak_bytes, reset_peak
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings
from bench.store.runs import Store

FORK = multiprocessing.get_context("fork")
SETS = {"large": 3_000_000, "small": 64}  # training images
SIDE, TEST, BATCH, STEPS = 128, 64, 8, 12  # pixels; test images; images a step; steps that are timed
NARROW = {"g_width": 16, "d_width": 16, "z_dim": 16}  # a step of which loading would be a visible part


def write_sparse_set(name: str, count: int) -> None:
    """A built set of the user's own in the cache, whose images are holes in its files and whose sums are made up."""
    folder = paths.cache_root() / "data" / f"{name}-{SIDE}"
    folder.mkdir(parents=True)
    files = {}
    for split, images in (("train", count), ("test", TEST)):
        path, shape = folder / f"{split}.npy", (images, SIDE, SIDE, 3)
        with path.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + int(np.prod(shape)))
        files[path.name] = {
            "sha256": "0" * 64,
            "shape": list(shape),
            "dtype": "|u1",
            "bytes": path.stat().st_size,
        }
    entry = counted(name, new_entry(name, []), count, TEST)
    meta = {"name": name, "resolution": SIDE, "recipe": recipe(entry), "class_names": [], "licence": entry.licence}
    own = {"own": entry.model_dump(mode="json"), "files": files, "sha256": set_hash(files)}
    (folder / "meta.json").write_text(json.dumps({**meta, **own}))


def run_spec(name: str) -> RunSpec:
    """A run on all images of a set."""
    return RunSpec(
        method=parse_method("unconditional"),
        network=NetworkSpec(name=f"sngan-{SIDE}", options=NARROW),
        data=DataSpec(name=name, resolution=SIDE),
        train=TrainSettings(steps=10**6, batch=BATCH, g_lr=1e-3, d_lr=1e-3, flip=True),
        protocol=None,
        seed=0,
    )


def measure(name: str, count: int, store: Path) -> dict[str, float]:
    """What a set costs this process: seconds to open it, CPU seconds of a step, peak memory of the steps in MB.

    The CPU seconds are those of all threads: what is read ahead counts.
    """
    torch.set_num_threads(1)
    start = time.perf_counter()
    images = imageset.load(name, SIDE)
    opened = time.perf_counter() - start
    assert len(images.train) == count
    spec = run_spec(name)
    training = Training(spec, Store(store).open(spec), Store(store), Settings(torch.device("cpu")))
    steps, times = training.steps(), []
    for step in range(STEPS):
        if step == 2:  # the first has made the order of the pass and torch's own buffers
            reset_peak()
        start = time.process_time()
        training.ctx.begin_step(step)
        training.one_step(steps)
        training.ctx.step += 1
        times.append(time.process_time() - start)
    peak = (peak_bytes() or 0) / 2**20
    start = time.perf_counter()
    few_shot(count, min(100, count), 0)
    drawn = time.perf_counter() - start
    return {"open": opened, "step": statistics.median(times[2:]), "first": times[0], "peak": peak, "draw": drawn}


def measured() -> dict[str, dict[str, float]]:
    """The measurements of both sets, each in its own process, in a cache of their own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            # A fork: it need not import torch again, and counts its own memory and seconds all the same
            with FORK.Pool(1) as process:
                found[name] = process.apply(_worker, (name, folder))
    return found


def main() -> None:
    """Print the two sets side by side, with the targets; or all measurements as JSON."""
    found = measured()
    if "--json" in sys.argv:
        print(json.dumps(found))
        return
    large, small = found["large"], found["small"]
    print(f"opening {SETS['large']:,} images of {SIDE} px: {large['open']:.3f} s   (target 0.2 s)")
    print(
        f"a training step on them: {large['step'] * 1e3:.0f} ms, on {SETS['small']} images "
        f"{small['step'] * 1e3:.0f} ms ({large['step'] / small['step'] - 1:+.0%}); "
        f"the first step {large['first'] - small['first']:+.2f} s"
    )
    print(f"its peak memory: {large['peak']:,.0f} MB, on {SETS['small']} images {small['peak']:,.0f} MB", end="; ")
    print(f"drawing 100 of them: {large['draw']:.2f} s")


def _worker(name: str, folder: str) -> dict[str, float]:
    os.environ["BENCH_CACHE"] = folder
    datasets.cache_clear()  # what the caller knows is in its own cache
    write_sparse_set(name, SETS[name])
    return measure(name, SETS[name], Path(folder) / "runs")


if __name__ == "__main__":
    main()
