"""`make gpu-check`: whether a GPU computes what the CPU does, resumes, and how fast, in a few minutes.

    python -m benchmarks.gpu --output FOLDER [--device cuda:0] [--seconds 330]
    python -m benchmarks.gpu --output FOLDER --device cpu --quick     # tries this script; tells nothing about a GPU

Writes a few pictures and FOLDER/gpu.json, which is rewritten after each part. An error in one item of a part is
recorded, and the others go on. Exit status 0 if all that ran is right, 1 if something is not, 2 without a CUDA device.
It needs no internet access and only the project's packages; the last part also needs the smoke scale's data and
weights.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.contract.composition import build_method
from bench.contract.discovery import methods
from bench.files import atomic
from bench.launch.local.devices import slots
from benchmarks import gpu_fast as fast
from benchmarks import gpu_right as right
from benchmarks import gpu_several as several
from benchmarks.gpu_speed import RATES, measure_rates, summary
from benchmarks.steps import offer_images, run_spec

Record = dict[str, Any]
# Parts in their order, and the share of the whole time by which each has to end
SHARES = {"facts": 0.05, "networks": 0.1, "methods": 0.36, "losses": 0.44, "resumed": 0.56, "precision": 0.6,
          "waits": 0.64, "graphs": 0.68, "rates": 0.8, "settings": 0.88, "several": 0.94, "table": 1.0}  # fmt: skip
TABLE = ["table1", "--scale", "smoke", "--rows", "scratch,scratch+disp", "--columns", "faces", "--seeds", "0"]
PICTURES = 4
CHECKOUT = Path(__file__).resolve().parent.parent


class Check:
    """One call of this script: runs the parts one after another, and keeps one record of them."""

    def __init__(self, output: Path, device: torch.device, seconds: float, *, quick: bool) -> None:
        self.output, self.device, self.quick = output, device, quick
        self.seconds = math.inf if quick else seconds
        self.started = time.monotonic()
        self.record: Record = {"device": str(device), "quick": quick, "parts": {}}
        if device.type != "cuda":
            self.record["note"] = "a rehearsal of the script on a CPU: nothing here is about a GPU"

    def run(self) -> bool:
        """Run all parts and print a summary; returns whether all that ran is right."""
        offer_images()
        parts: dict[str, Callable[[right.Late], Record]] = {
            "facts": lambda late: facts(self.device),
            "networks": lambda late: right.compare_networks(self.device, late),
            "methods": lambda late: right.conform(self._methods(), self.device, late),
            "losses": lambda late: right.compare_losses(self.record["parts"]["methods"], self.device, late),
            "resumed": lambda late: right.compare_resumed(self._specs(), self.device, late),
            "precision": lambda late: right.compare_precisions(self._specs(), self.device, late),
            "waits": lambda late: fast.find_waits(self._recordable(), self.device, late),
            "graphs": lambda late: fast.compare_graphs(self._recordable(), self.device, late),
            "rates": self._rates,
            "settings": self._settings,
            "several": lambda late: several.compare_cards(self.device, late),
            "table": lambda late: table(self.output, self.device),
        }
        # An error in a part is recorded by `_part`, so that the others run
        for name, part in parts.items():
            self._part(name, part)
        self.record["seconds"] = round(time.monotonic() - self.started, 1)
        self.record["wrong"] = wrong(self.record["parts"])
        self._write()
        print("\n".join(summary(self.record["parts"]["rates"])))
        print(f"wrong or not bit-equal: {', '.join(self.record['wrong']) or 'nothing'}")
        return not self.record["wrong"]

    def _part(self, name: str, part: Callable[[right.Late], Record]) -> None:
        begun, end = time.monotonic(), self.started + SHARES[name] * self.seconds
        print(f"== {name} ({begun - self.started:.0f} s)", flush=True)
        try:
            self.record["parts"][name] = part(lambda: time.monotonic() > end)
        except Exception as error:
            print(traceback.format_exc(), flush=True)
            self.record["parts"][name] = {
                "ok": False,
                "error": str(error),
                "traceback": traceback.format_exc(),
            }
        self.record.setdefault("part_seconds", {})[name] = round(time.monotonic() - begun, 1)
        self._write()

    def _write(self) -> None:
        atomic.write_json(self.output / "gpu.json", self.record)

    def _methods(self) -> list[str]:
        names = [entry.name for entry in methods()]
        return [name for name in names if name in ("baseline", "diffaugment", "sle")] if self.quick else names

    def _specs(self) -> dict[str, Any]:
        """The tiny run of each family, and two at paper size, where convolutions use other kernels."""
        if self.quick:
            return right.tiny_specs(["sngan-32"])
        large = {
            f"{name}, paper size, {RATES[name].method}": right.with_train(
                run_spec(name, RATES[name]), steps=6, log_every=1
            )
            for name in ("sngan-64", "fastgan-256")
        }
        return {**right.tiny_specs(right.METHODS), **large}

    def _recordable(self) -> dict[str, Any]:
        """The specs whose methods `train.graphs` takes; none on a CPU, of which nothing is recorded or waited for."""
        if self.device.type != "cuda":
            return {}
        return {name: spec for name, spec in self._specs().items() if not build_method(spec.method).not_in_graphs()}

    def _rates(self, late: right.Late) -> Record:
        return measure_rates(*self._measured(), late)

    def _settings(self, late: right.Late) -> Record:
        return {} if self.device.type != "cuda" else fast.measure_settings(*self._measured(), late)

    def _measured(self) -> tuple[list[str], torch.device, float, int]:
        names, seconds, least = (["sngan-32"], 0.01, 1) if self.quick else (list(RATES), 1.5, 16)
        return names, self.device, seconds, least


def facts(device: torch.device) -> Record:
    """The card, driver, libraries and CPU threads of this machine."""
    record: Record = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "torch": torch.__version__, "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(), "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)), "threads": torch.get_num_threads(), "bench_run_uses": slots(None),
        "commit": os.environ.get("BENCH_GPU_COMMIT"),
    }  # fmt: skip
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        record |= {"card": properties.name, "memory_gb": properties.total_memory / 1e9}
        record["capability"] = f"{properties.major}.{properties.minor}"
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        if shutil.which(query[0]):
            done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
            record["driver"] = done.stdout.split("\n")[0].strip()
    print(f"    {record}", flush=True)
    return record


def table(output: Path, device: torch.device) -> Record:
    """Two rows of Table 1 at smoke scale through the command line: `bench run`, then `bench report`."""
    store = output / "table-store"
    words = ["--store", str(store)]
    if device.type == "cuda" and not slots(None)[0].startswith("cuda"):
        raise RuntimeError(f"`bench run` would use {slots(None)[0]}, not the GPU")
    hidden = {} if device.type == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
    run = _command(["-m", "bench", "run", *TABLE, *words], **hidden)
    report = _command(["-m", "bench", "report", *TABLE, *words], **hidden)
    for number, sheet in enumerate(sorted(store.glob("*/samples/*.png"))[-PICTURES:]):
        shutil.copy(sheet, output / f"table1-smoke-{number}-{sheet.parent.parent.name[:40]}.png")
    shutil.rmtree(store, ignore_errors=True)
    ok = run["status"] == 0 and report["status"] == 0
    return {"ok": ok, "command": " ".join(["bench run", *TABLE]), "run": run, "report": report}


def _command(words: list[str], **more: str) -> Record:
    """Run a command of this checkout; returns its status, seconds and output."""
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": path, **more}
    done = subprocess.run(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, env=environment, timeout=240,
    )  # fmt: skip
    print("\n".join(f"    {line}" for line in done.stdout.split("\n")[-40:]), flush=True)
    return {"status": done.returncode, "seconds": round(time.monotonic() - begun, 1), "output": done.stdout}


def wrong(parts: Record) -> list[str]:
    """The items that are wrong, as "part: item"."""
    failures = []
    for name, part in parts.items():
        if part.get("ok") is False:
            failures.append(name)
        for item, record in part.items():
            if isinstance(record, dict) and record.get("ok") is False:
                failures.append(f"{name}: {item}")
    return failures


def main() -> int:
    """Run the check with the options of the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for gpu.json and the pictures")
    parser.add_argument("--device", default="cuda:0", help="cuda:0, or cpu with --quick")
    parser.add_argument("--seconds", type=float, default=330.0, help="about how long all of it may take")
    parser.add_argument("--quick", action="store_true", help="one or a few items of each part")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            "gpu-check: torch sees no CUDA device here; `--device cpu --quick` rehearses the script",
            file=sys.stderr,
        )
        return 2
    if device.type != "cuda" and not arguments.quick:
        print("gpu-check: on a CPU only the script can be rehearsed: add --quick", file=sys.stderr)
        return 2
    torch.set_num_threads(min(4, len(os.sched_getaffinity(0))))  # for the CPU, whose networks are tiny
    arguments.output.mkdir(parents=True, exist_ok=True)
    return 0 if Check(arguments.output, device, arguments.seconds, quick=arguments.quick).run() else 1


if __name__ == "__main__":
    sys.exit(main())
