"""A process that trains the first steps of each method in float64: requests come in by line, traces go out, as JSON.

The networks, batches and latents are those of a run in float32, digit for digit, but every number is kept in float64.
A processor's kernels, the number of threads and oneDNN add float32 numbers in another order each; adversarial training
raises these last digits (1e-7) to thousandths, in a run's first steps where Adam divides a gradient that is nothing
but rounding by itself. From float64's 1e-16 no step gets far.

Random numbers: torch's normal ones are a float32 logarithm and cosine, which differ between processors, so they are
made here from its uniform ones (which are exact) as torch makes them, in float64.

It is a process of its own because it changes torch: no other test may see that.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.cluster
import torch
from torch import Tensor, nn

from bench.conformance.checks import NETWORKS, conformance_spec
from bench.contract.context import Context
from bench.errors import UserError
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.run.training import Training
from bench.store.runs import Store

STEPS = 5
# Small rates and a large epsilon: what a method does in five steps shows, chaos does not begin.
RATES = {"fastgan-64": 3e-6}
RATE, EPSILON = 1e-4, 1e-2
torch_rand, torch_randn = torch.rand, torch.randn  # as they were before `work_in_float64`
torch_from_numpy: Callable[[np.ndarray], Tensor] = torch.from_numpy
torch_load_state_dict = nn.Module.load_state_dict


def trace(method: str, count: int, root: Path) -> tuple[str, list[dict[str, float]]]:
    """The first network that the method takes, and what the first `count` of its five steps logged."""
    settings, refusals = Settings(torch.device("cpu"), checkpoint_seconds=math.inf), []
    for network in NETWORKS:
        spec = conformance_spec(method, network)
        assert spec.train is not None
        rate = RATES.get(network, RATE)
        changes = {"steps": STEPS, "adam_eps": EPSILON, "g_lr": rate, "d_lr": rate}
        spec = spec.model_copy(update={"train": spec.train.model_copy(update=changes)})
        store = Store(root / network)
        for source in spec.run_sources.values():
            store.open(source)
            if execute(source.uid, store, settings, lambda: False, lambda *_: None) != "done":
                raise RuntimeError(store.folder(source.uid).error())
        try:
            training = Training(spec, store.open(spec), store, settings)
        except UserError as error:
            refusals.append(str(error))
            continue
        training.run(partial(_over, training.ctx, count), lambda *_: None)
        assert (narrow := not_float64(training.weights())) == [], f"still float32: {narrow}"
        logged = list(training.folder.read_log())
        assert len(logged) == count, f"{len(logged)} steps"
        return network, logged
    raise UserError(f"method '{method}' takes none of the networks: {'; '.join(refusals)}")


def _over(ctx: Context, count: int) -> bool:
    return ctx.step >= count


def not_float64(state: Any, name: str = "") -> list[str]:
    """The names of the tensors in a run's state that are floating and narrower."""
    if isinstance(state, Tensor):
        return [name] if state.is_floating_point() and state.dtype != torch.float64 else []
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return [found for key, value in items for found in not_float64(value, f"{name}.{key}".strip("."))]


# ---- float64 ---------------------------------------------------------------------------------------


def work_in_float64() -> None:
    """From here on what asks torch for float32, by default or by name, gets float64."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    torch.rand, torch.randn = _rand, _randn  # type: ignore[assignment]
    torch.Tensor.uniform_, torch.Tensor.normal_ = _uniform_, _normal_  # type: ignore[assignment,method-assign]
    torch.from_numpy = _from_numpy  # type: ignore[assignment]
    nn.Module.load_state_dict = _load_state_dict  # type: ignore[method-assign]
    sklearn.cluster.KMeans = _KMeansFromTheFirst


def uniform(size: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
    """What torch.rand draws in float32."""
    return torch_rand(size, generator=generator, dtype=torch.float32).double()


def normal(size: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
    """What torch.randn draws in float32, without its rounding: Box and Muller's transform of uniform numbers.

    Torch transforms sixteen at a time, the last sixteen anew where the count is no multiple of them, and fewer than
    sixteen one by one, in float64.
    """
    count = math.prod(size)
    if count < 16:
        return torch_randn(size, generator=generator, dtype=torch.float64)
    blocks = uniform((count,), generator)
    whole = count - count % 16
    drawn = torch.cat([_transformed(blocks[:whole]), blocks[whole:]])
    if whole < count:
        drawn[-16:] = _transformed(uniform((16,), generator))
    return drawn.view(size)


def _transformed(uniform_M: Tensor) -> Tensor:
    first_B8, second_B8 = uniform_M.view(-1, 2, 8).unbind(1)
    radius_B8, angle_B8 = (-2 * torch.log(1 - first_B8)).sqrt(), 2 * math.pi * second_B8
    return torch.stack([radius_B8 * angle_B8.cos(), radius_B8 * angle_B8.sin()], 1).flatten()


def _size(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(arguments) if len(arguments) != 1 or isinstance(arguments[0], int) else tuple(arguments[0])


def _rand(*size: Any, generator: torch.Generator | None = None) -> Tensor:
    return uniform(_size(size), generator)


def _randn(*size: Any, generator: torch.Generator | None = None) -> Tensor:
    return normal(_size(size), generator)


@torch.no_grad()
def _uniform_(self: Tensor, low: float = 0.0, high: float = 1.0, *, generator: torch.Generator | None = None) -> Tensor:
    if self.is_meta:  # whose numbers come from a file; torch draws none for it either
        return self
    return self.copy_(low + uniform(tuple(self.shape), generator) * (high - low))


@torch.no_grad()
def _normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: torch.Generator | None = None) -> Tensor:
    if self.is_meta:
        return self
    return self.copy_(mean + normal(tuple(self.shape), generator) * std)


def _from_numpy(array: np.ndarray) -> Tensor:
    tensor = torch_from_numpy(array)
    return tensor.double() if tensor.dtype == torch.float32 else tensor


def _load_state_dict(self: nn.Module, *arguments: Any, **options: Any) -> Any:
    """`assign=True` would put a file's float32 in the place of the module's float64."""
    loaded = torch_load_state_dict(self, *arguments, **options)
    self.double()
    return loaded


class _KMeansFromTheFirst(sklearn.cluster.KMeans):
    """k-means that starts at the first points where it would draw some: versions of scikit-learn draw differently."""

    init: Any
    n_init: Any

    def fit(self, points_NF: np.ndarray, *arguments: Any, **options: Any) -> _KMeansFromTheFirst:
        if isinstance(self.init, str):
            self.init, self.n_init = points_NF[: self.n_clusters], 1
        super().fit(points_NF, *arguments, **options)
        return self


# ---- the process -----------------------------------------------------------------------------------


def answer(method: str, count: int, root: Path) -> dict[str, Any]:
    """{"network": name, "steps": what each logged}, or {"error": why there is no trace}.

    root: a folder of the process, in which a source that several methods start from is trained once.
    """
    try:
        network, steps = trace(method, count, root)
    except Exception:
        return {"error": traceback.format_exc()}
    finally:
        give_back()
    return {"network": network, "steps": steps}


def give_back() -> None:
    """Free what one method's trace took, so that the process stays as small as its largest method needs."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def main() -> None:
    work_in_float64()
    torch.set_num_threads(int(os.environ["TRACE_THREADS"]))
    torch.backends.mkldnn.enabled = os.environ["TRACE_ONEDNN"] == "1"  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_CACHE"] = f"{folder}/cache"  # of its own: features that float32 made are not float64's
        for line in sys.stdin:
            method, count = json.loads(line)
            print(json.dumps(answer(method, count, Path(folder) / "runs")), flush=True)


if __name__ == "__main__":
    main()
