"""Compares our metrics with libraries: time, memory and values, on synthetic features.

    python benchmarks/metrics.py

Fréchet distance: 5,000 against 5,000 features of 2,048 dimensions; clean-fid (needs scipy < 1.18).
Precision and recall: 10,000 against 10,000 features of 512 dimensions; prdc. Each part runs in its own process, so that
its peak memory can be measured. "Extra" is the peak above the memory of features and libraries. All parts take about a
minute on two free cores, and up to 1.5 GB, which prdc needs.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.metrics.frechet import fit_gaussian, frechet_distance
from bench.metrics.neighbours import precision_recall
from bench.seeds import numpy_stream


def features(count: int, width: int, purpose: str) -> np.ndarray:
    """Correlated non-negative float32 features with a decaying spectrum, like those after a ReLU."""
    mixing = numpy_stream(0, "mixing").standard_normal((width, width)) / np.sqrt(width)
    scales = np.arange(1, width + 1) ** -0.4
    raw = (numpy_stream(0, purpose).standard_normal((count, width)) * scales) @ mixing
    offset = 0.05 if purpose == "fake" else 0.0
    return np.maximum(raw + 0.1 + offset, 0).astype(np.float32)


def frechet_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance by our function, with both fits."""
    return [frechet_distance(real, fake)]


def frechet_ours_reference_kept(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance to a kept fit, as at every snapshot of a run but the first."""
    return [frechet_distance(_KEPT[0], fake)]


def frechet_clean_fid(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance by clean-fid."""
    from cleanfid.fid import fid_from_feats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [float(fid_from_feats(real, fake))]


def neighbours_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """Precision with k = 10 and recall with k = 40, by our function."""
    return list(precision_recall(real, fake))


def neighbours_prdc(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The same by two calls of prdc, because the papers have two values of k."""
    return [_prdc(real, fake, 10)["precision"], _prdc(real, fake, 40)["recall"]]


def neighbours_prdc_one_call(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """Precision alone, by one call of prdc."""
    return [_prdc(real, fake, 10)["precision"]]


def _prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        return {name: float(value) for name, value in compute_prdc(real, fake, k).items()}


PARTS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], list[float]], int, int]] = {
    "frechet ours": (frechet_ours, 5_000, 2048),
    "frechet ours, reference kept": (frechet_ours_reference_kept, 5_000, 2048),
    "frechet clean-fid": (frechet_clean_fid, 5_000, 2048),
    "neighbours ours": (neighbours_ours, 10_000, 512),
    "neighbours prdc, one k": (neighbours_prdc_one_call, 10_000, 512),
    "neighbours prdc": (neighbours_prdc, 10_000, 512),
}
_KEPT: list[Any] = []


def save_features(folder: Path) -> None:
    """Write the features that every part reads."""
    for count, width in sorted({part[1:] for part in PARTS.values()}):
        for side in ("real", "fake"):
            np.save(folder / f"{side}-{count}-{width}.npy", features(count, width, side))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Run one part in this process; returns its values, seconds, and extra peak memory in MB."""
    function, count, width = PARTS[name]
    real, fake = (np.load(folder / f"{side}-{count}-{width}.npy") for side in ("real", "fake"))
    if function is frechet_ours_reference_kept:
        _KEPT.append(fit_gaussian(real))
        frechet_distance(_KEPT[0], fake[: width + 1])  # computes the kept factor, as a first snapshot does
    else:
        function(real[:100, :20], fake[:100, :20])  # warms up imports and thread pools
    before = _peak()
    start = time.perf_counter()
    values = function(real, fake)
    return {"values": values, "seconds": time.perf_counter() - start, "extra_mb": _peak() - before}


def _peak() -> float:
    """Peak resident memory so far, in MB (Linux counts in kB, macOS in bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def report(measured: dict[str, dict[str, Any]]) -> None:
    """Print the ratios of the parts' measurements."""
    ours, kept, theirs = (measured[name] for name in list(PARTS)[:3])
    difference = abs(ours["values"][0] - theirs["values"][0]) / theirs["values"][0]
    ratios = [theirs["seconds"] / part["seconds"] for part in (ours, kept)]
    print(f"frechet: {ratios[0]:.1f}x faster, {ratios[1]:.1f}x with the reference kept", end="; ")
    print(f"relative difference {difference:.1e}")
    ours, one_call, two_calls = (measured[name] for name in list(PARTS)[3:])
    ratios = [other["seconds"] / ours["seconds"] for other in (two_calls, one_call)]
    equal = "equal" if ours["values"] == two_calls["values"] else "DIFFERENT"
    print(f"precision, recall: {equal}; {ratios[0]:.1f}x faster than two calls, {ratios[1]:.1f}x than one")


def main() -> None:
    """Run every part in its own process, print a line for each, then the ratios."""
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        # Also in a child: a process inherits the peak memory of its parent
        subprocess.run([sys.executable, __file__, "features", folder], check=True)
        for name in PARTS:
            command = [sys.executable, __file__, name, folder]
            measured[name] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            values = ", ".join(f"{value:.6g}" for value in measured[name]["values"])
            seconds, extra = measured[name]["seconds"], measured[name]["extra_mb"]
            print(f"{name:30s} {seconds:7.2f} s {extra:7.0f} MB extra   {values}", flush=True)
    report(measured)


if __name__ == "__main__":
    if sys.argv[1:2] == ["features"]:
        save_features(Path(sys.argv[2]))
    elif len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
    else:
        main()
