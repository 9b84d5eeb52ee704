"""Compares our metrics with libraries: time, memory and values, on synthetic features.

    python -m benchmarks.metrics                    # 10,000 against 10,000 features of 2,048 dimensions
    python -m benchmarks.metrics 50000 ours KID     # ours alone, of more features: tens of minutes for all scores

Fréchet distance beside clean-fid (needs scipy < 1.18) and torch-fidelity, from features and, where these are kept, from
means and covariances; precision and recall, density and coverage beside prdc; the kernel distance over all pairs beside
torch-fidelity. MIND has a library only where torch-fidelity is newer than its release 0.4. Each part runs in its own
process, so that its peak memory can be measured. "Extra" is the peak above the memory of features and libraries, "peak"
is all of it, "CPU" the seconds of all threads, which other work on the machine changes less than those on the clock.
The parts take some five minutes on two free cores, and up to 3 GB, which prdc needs.
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

from bench.metrics.copying import data_copying
from bench.metrics.frechet import fit_gaussian, frechet_distance, gaussian_from_moments
from bench.metrics.kernel import kernel_distance
from bench.metrics.neighbours import density_coverage, precision_recall
from bench.metrics.sliced import monge_inception_distance
from bench.seeds import numpy_stream

COUNT, WIDTH = 10_000, 2048
POLYNOMIAL = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None,
              "kid_kernel_poly_coef0": 1}  # fmt: skip
Part = Callable[[Any, Any], list[float]]


def features(count: int, width: int, purpose: str) -> np.ndarray:
    """Correlated non-negative float32 features with a decaying spectrum, like those after a ReLU."""
    mixing = (numpy_stream(0, "mixing").standard_normal((width, width)) / np.sqrt(width)).astype(np.float32)
    scales = (np.arange(1, width + 1) ** -0.4).astype(np.float32)
    raw = (numpy_stream(0, purpose).standard_normal((count, width), dtype=np.float32) * scales) @ mixing
    raw *= np.float32(0.97 if purpose == "fake" else 1)
    raw += np.float32(0.1)
    return np.maximum(raw, 0, out=raw)


def frechet_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance by our function, with both fits."""
    return [frechet_distance(real, fake)]


def frechet_ours_reference_kept(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance to a kept fit, as at every snapshot of a run but the first."""
    return [frechet_distance(_KEPT[0], fake)]


def moments_ours(real: Any, fake: Any) -> list[float]:
    """The Fréchet distance of means and covariances, by our function: what is left where the statistics are kept."""
    return [frechet_distance(gaussian_from_moments(*real), gaussian_from_moments(*fake))]


def moments_clean_fid(real: Any, fake: Any) -> list[float]:
    """The same by clean-fid."""
    from cleanfid.fid import frechet_distance as theirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [float(theirs(*real, *fake))]


def frechet_clean_fid(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance by clean-fid."""
    from cleanfid.fid import fid_from_feats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [float(fid_from_feats(real, fake))]


def frechet_torch_fidelity(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The Fréchet distance by torch-fidelity."""
    import torch
    from torch_fidelity import metric_fid

    sides = [metric_fid.fid_features_to_statistics(torch.from_numpy(side)) for side in (real, fake)]
    result = metric_fid.fid_statistics_to_metric(*sides, verbose=False)
    return [float(result[metric_fid.KEY_METRIC_FID])]


def neighbours_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """Precision with k = 10 and recall with k = 40, by our function."""
    return list(precision_recall(real, fake))


def neighbours_prdc(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The same by two calls of prdc, because the papers have two values of k."""
    return [_prdc(real, fake, 10)["precision"], _prdc(real, fake, 40)["recall"]]


def density_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """Density and coverage with k = 5, by our function."""
    return list(density_coverage(real, fake))


def density_prdc(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The same by one call of prdc, which computes precision and recall beside them."""
    values = _prdc(real, fake, 5)
    return [values["density"], values["coverage"]]


def _prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        return {name: float(value) for name, value in compute_prdc(real, fake, k).items()}


def kernel_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The kernel distance over all pairs, by our function, which has a standard error beside it."""
    return [kernel_distance(real, fake).mean]


def kernel_torch_fidelity(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """The same by torch-fidelity."""
    from torch_fidelity.metric_kid import kernel_mmd

    return [float(kernel_mmd(real.astype(np.float64), fake.astype(np.float64), **POLYNOMIAL))]


def mind_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """MIND over 1,000 directions."""
    return [monge_inception_distance(real, fake)]


def copying_ours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """C_T of the fakes, with the halves of the reals as training and test features."""
    return [data_copying(real[: len(real) // 2], real[len(real) // 2 :], fake).c_t]


# Of each score first ours, then those that it is compared with
PARTS: dict[str, dict[str, Part]] = {
    "FD": {"ours": frechet_ours, "ours, reference kept": frechet_ours_reference_kept,
           "clean-fid": frechet_clean_fid, "torch-fidelity": frechet_torch_fidelity},
    "FD of statistics": {"ours": moments_ours, "clean-fid": moments_clean_fid},
    "precision, recall": {"ours": neighbours_ours, "prdc": neighbours_prdc},
    "density, coverage": {"ours": density_ours, "prdc": density_prdc},
    "KID": {"ours": kernel_ours, "torch-fidelity": kernel_torch_fidelity},
    "MIND": {"ours": mind_ours},
    "C_T": {"ours": copying_ours},
}  # fmt: skip
OF_STATISTICS = (moments_ours, moments_clean_fid)  # which are given means and covariances in place of features
_KEPT: list[Any] = []


def measure(score: str, name: str, folder: Path, count: int) -> dict[str, Any]:
    """Run one part in this process; returns its values, seconds, CPU seconds, and extra and whole peak memory in MB."""
    function = PARTS[score][name]
    real, fake = (np.load(folder / f"{side}.npy")[:count] for side in ("real", "fake"))
    if function is frechet_ours_reference_kept:
        _KEPT.append(fit_gaussian(real))
        frechet_distance(_KEPT[0], fake[: WIDTH + 1])  # computes the kept factor, as a first snapshot does
    elif function in OF_STATISTICS:
        function(*(statistics(side[:200, :20]) for side in (real, fake)))
        real, fake = statistics(real), statistics(fake)
    else:
        function(real[:200, :20], fake[:200, :20])  # warms up imports and thread pools
    before, start, start_cpu = _peak(), time.perf_counter(), time.process_time()
    values = function(real, fake)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {"values": values, "seconds": seconds, "cpu": cpu, "extra_mb": _peak() - before, "peak_mb": _peak()}


def statistics(side: np.ndarray) -> Any:
    """Mean (D,) and covariance (D, D) of features (N, D)."""
    return side.mean(axis=0, dtype=np.float64), np.cov(side, rowvar=False)


def _peak() -> float:
    """Peak resident memory so far, in MB (Linux counts in kB, macOS in bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def report(score: str, measured: dict[str, dict[str, Any]]) -> None:
    """Print how ours compares with each library: values, time and extra memory."""
    ours = measured["ours"]
    for name, theirs in measured.items():
        if name.startswith("ours"):
            continue
        apart = max(abs(a - b) / abs(b) for a, b in zip(ours["values"], theirs["values"], strict=True))
        equal = "equal" if apart == 0 else f"relative difference {apart:.1e}"
        memory = ours["extra_mb"] / max(theirs["extra_mb"], 1)
        faster, less = theirs["seconds"] / ours["seconds"], theirs["cpu"] / ours["cpu"]
        print(f"{score}: {equal}; {faster:.1f}x faster than {name} ({less:.1f}x less CPU), {memory:.2f} of its extra "
              "memory", flush=True)  # fmt: skip


def main(words: list[str]) -> None:
    """Run every part in its own process, print a line for each, then the ratios.

    words: how many features, "ours" to leave out the libraries, and the names of scores; without any, all.
    """
    count = next((int(word) for word in words if word.isdigit()), COUNT)
    chosen = [word for word in words if word in PARTS] or list(PARTS)
    with tempfile.TemporaryDirectory() as folder:
        # Also in a child: a process inherits the peak memory of its parent
        subprocess.run([sys.executable, __file__, "features", folder, str(count)], check=True)
        for score in chosen:
            measured = {}
            for name in list(PARTS[score])[: 1 if "ours" in words else None]:
                command = [sys.executable, __file__, "part", score, name, folder, str(count)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                measured[name] = one = json.loads(done.stdout)
                values = ", ".join(f"{value:.6g}" for value in one["values"])
                times = f"{one['seconds']:7.1f} s {one['cpu']:7.1f} s CPU"
                memory = f"{one['extra_mb']:6.0f} MB extra {one['peak_mb']:6.0f} MB peak"
                print(f"{score:18s} {name:21s} {times} {memory}   {values}", flush=True)
            report(score, measured)


if __name__ == "__main__":
    if sys.argv[1:2] == ["features"]:
        for side in ("real", "fake"):
            np.save(Path(sys.argv[2]) / f"{side}.npy", features(int(sys.argv[3]), WIDTH, side))
    elif sys.argv[1:2] == ["part"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))))
    else:
        main(sys.argv[1:])
