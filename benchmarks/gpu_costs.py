"""Seconds, memory and watts of every rehearsed configuration's step on a card, in float32, TF32 and bfloat16.

    python -m benchmarks.gpu_costs --short h100 --output results/recorded/devices [--seconds 450] [--only ID,...]

A configuration is a network, method and training at paper size (`bench rehearse --list`). Each makes a step to warm up
and up to four more, in each precision, within its share of the time: what a card cannot hold, or what the time does not
reach, is named and left out. The file is what `bench plan` believes before its model (bench.plan.cost.measured).
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench.files import atomic
from bench.machine import nvml
from bench.machine.provenance import commit
from bench.plan.cost.measured import MeasuredCard, MeasuredStep
from bench.plan.cost.work import step_key
from bench.plan.expand import Table
from bench.plan.load import load_table
from bench.rehearsal.configurations import Configuration
from bench.rehearsal.listing import load_configurations
from bench.rehearsal.step import build, offer_inputs
from bench.spec.run import DataSpec
from bench.train.bare_steps import BareSteps
from bench.train.device import set_precision

PRECISIONS = ("float32", "tf32", "bfloat16")
MOST_STEPS, ENOUGH_SECONDS = 4, 0.5  # after one to warm up: so many, or as many as take so long
SETTINGS = ("BENCH_CACHE", "BENCH_WEIGHTS")  # which name the folders that a rehearsal fills


@cache
def _table(name: str) -> Table:
    return load_table(name)


def keys_of(configuration: Configuration) -> list[str]:
    """The steps of tables that a configuration stands for, as `bench plan` knows them."""
    keys = []
    for cell in configuration.cells:
        name, row, column = cell.rsplit("/", 2)
        table = _table(name)
        rows, columns = {one.id: one for one in table.rows}, {one.id: one for one in table.columns}
        keys.append(step_key(table.run_spec(rows[row], columns[column], 0, "paper")))
    return list(dict.fromkeys(keys))


def measure(
    configuration: Configuration, images_from: DataSpec, device: torch.device, precision: str
) -> dict[str, Any]:
    """Seconds of single steps, peak memory and watts of a configuration's step on a device."""
    with tempfile.TemporaryDirectory(prefix="bench-gpu-costs-") as name:
        folder, before = Path(name), {key: os.environ.get(key) for key in SETTINGS}
        os.environ |= {"BENCH_CACHE": str(folder / "cache"), "BENCH_WEIGHTS": str(folder / "weights")}
        try:
            spec = configuration.run_spec()
            assert spec.train is not None
            spec = spec.model_copy(update={"train": spec.train.model_copy(update={"precision": precision})})
            offer_inputs(configuration, spec, images_from)
            set_precision(spec, device)
            ctx, method = build(configuration, spec, folder, device)
            steps = BareSteps(ctx, method)
            try:
                return _timed(steps, configuration.step, device)
            finally:
                steps.close()
        finally:
            for key, value in before.items():
                os.environ.pop(key, None)
                os.environ |= {} if value is None else {key: value}


def _timed(steps: BareSteps, number: int, device: torch.device) -> dict[str, Any]:
    """One step to warm up, then single ones, each waited for. All are the same step, in which all terms are active."""
    on_card = device.type == "cuda"
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}" if on_card else ""
    steps.make(number)
    if on_card:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    taken: list[float] = []
    energy, begun = nvml.joules(uuid), time.perf_counter()
    while len(taken) < MOST_STEPS and (not taken or sum(taken) < ENOUGH_SECONDS):
        started = time.perf_counter()
        steps.make(number)
        if on_card:
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    spent, after = time.perf_counter() - begun, nvml.joules(uuid)
    return {
        "low": min(taken),
        "seconds": statistics.median(taken),
        "high": max(taken),
        "peak_gb": torch.cuda.max_memory_allocated(device) / 1e9 if on_card else None,
        "watts": (after - energy) / spent if energy is not None and after is not None and after > energy else None,
    }


def measure_all(
    configurations: list[Configuration], images_from: DataSpec, device: torch.device, seconds: float
) -> tuple[list[MeasuredStep], list[str]]:
    """The steps of all configurations that the time reaches, float32 of each first; and what is missing, and why."""
    found: list[MeasuredStep] = []
    missing: list[str] = []
    end = time.monotonic() + seconds
    for precision in PRECISIONS:
        for one in configurations:
            what = f"{one.id}, {precision}"
            if time.monotonic() > end:
                missing.append(f"{what}: the time was over")
                continue
            try:
                figures = measure(one, images_from, device, precision)
            except Exception as error:  # the others go on
                missing.append(f"{what}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
                print(f"    {missing[-1]}", flush=True)
                continue
            finally:
                gc.collect()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            common = {"what": one.id, "precision": precision, "images": one.images_run, "batch": one.batch}
            found += [MeasuredStep.model_validate({"key": key, **common, **figures}) for key in keys_of(one)]
            print(f"    {what}: {figures['seconds']:.3g} s, {figures['peak_gb'] or 0:.2f} GB", flush=True)
    return found, missing


def main() -> int:
    """Measure and write the file; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_costs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--short", required=True, help="the card's name for --card, such as h100 or rtx4090")
    parser.add_argument("--output", type=Path, required=True, help="folder for DATE-SHORT.json")
    parser.add_argument("--device", default="cuda:0", help="cuda:0; cpu rehearses the script, and is about no GPU")
    parser.add_argument("--seconds", type=float, default=450.0, help="after which nothing new is begun")
    parser.add_argument("--only", default="", help="configurations by id, with commas")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu-costs: torch sees no CUDA device here", file=sys.stderr)
        return 2
    images_from, listed = load_configurations()
    chosen = [one for one in listed if not arguments.only or one.id in arguments.only.split(",")]
    steps, missing = measure_all(chosen, images_from, device, arguments.seconds)
    card = MeasuredCard(
        short=arguments.short,
        card=torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU: a rehearsal of the script",
        driver=nvml.driver_version(),
        torch=torch.__version__,
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        commit=commit(),
        steps=tuple(steps),
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"{card.date}-{card.short}.json"
    atomic.write_json(path, card.model_dump(mode="json"))
    print(f"{path}: {len(steps)} steps; missing {len(missing)}", *missing, sep="\n    ")
    return 0 if steps else 1


if __name__ == "__main__":
    sys.exit(main())
