"""Whether a device computes what the CPU does: networks, methods, resuming, precision. Parts of `benchmarks.gpu`.

Each function tries its items one by one. An error of an item goes into its record, and the others go on.
"""

from __future__ import annotations

import math
import tempfile
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench import networks
from bench.conformance.checks import NETWORKS, CheckResult, check_method, conformance_spec
from bench.networks.common import noise
from bench.networks.interface import has_two_scales
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.run.training import Training
from bench.seeds import torch_stream
from bench.spec.run import RunSpec
from bench.store.checkpoints import fingerprint
from bench.store.runs import Store

Record = dict[str, Any]
Late = Callable[[], bool]  # whether the time of a part is over

# For each family a method that uses its special parts: gates and decoders, regularisers, augmentation, conditions
METHODS = {
    "sngan-32": "diffaugment + baseline",
    "sndcgan-32": "baseline",
    "biggan-32": "baseline",
    "stylegan1-32": "r1 + progressive(images_per_phase=16)",
    "stylegan2-32": "r1(every=2) + path-length(every=2)",
    "fastgan-64": "sle + ae-d(loss=l1)",
}
NEAR = 1e-4  # largest relative distance from float64; FLOAT32 has the reason
FLOAT32 = (
    f"|x - y| / |y| over all values (or all gradients of a network), y the CPU's in float64; at most {NEAR}: float32 "
    "rounds at 6e-8, which the sums and norms of these networks raise to 1e-6 or 1e-5; TF32 rounds at 5e-4"
)
# Largest relative distance of the first step's logged values from float32's. TF32 rounds at 5e-4 and bfloat16 at 4e-3;
# on tiny networks an H100 and an H200 were up to 0.019 and 0.040 off (docs/reproduce/devices)
CLOSE = {"tf32": 0.05, "bfloat16": 0.1}
FIRST, ALL, NUDGE = 1e-3, 5e-2, 1e-6  # relative; LOSSES has their meaning
LOSSES = (
    f"|a - b| / max(|a|, |b|, 0.01) of each logged value; at most {FIRST} in step 1 and {ALL} in all three, or 10 "
    f"times what the CPU itself is off where every weight starts {NUDGE} off: Adam's first steps divide a gradient by "
    "its own size, so where it is all rounding the weight moves by the rate either way"
)


def each(names: Iterable[str], compute: Callable[[str], Record], late: Late) -> Record:
    """name -> its record from `compute`, or its error and traceback, or a note that the time was over."""
    records: Record = {}
    for name in names:
        if late():
            records[name] = {"ok": None, "not_run": "the time of this part was over"}
            continue
        try:
            records[name] = compute(name)
        except Exception as error:
            records[name] = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            records[name]["traceback"] = traceback.format_exc()
        print(f"    {name}: {_short(records[name])}", flush=True)
    return records


def _short(record: Record) -> str:
    shown = {key: value for key, value in record.items() if key not in ("traceback", "findings", "logs")}
    return ", ".join(f"{key} {_digits(value)}" for key, value in shown.items())[:300]


def _digits(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# ---- networks --------------------------------------------------------------------------------------------------------


def compare_networks(device: torch.device, late: Late) -> Record:
    """Compare images, logits and gradients of each family: the device and the CPU in float32 with float64."""
    return {"tolerance": FLOAT32, **each(NETWORKS, lambda name: compare_network(name, device), late)}


def compare_network(name: str, device: torch.device) -> Record:
    """Images, logits and gradients of one family: the device and the CPU in float32, beside the CPU in float64."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    exact = passes(name, torch.device("cpu"), torch.float64)
    here = passes(name, torch.device("cpu"), torch.float32)
    there = passes(name, device, torch.float32)
    record: Record = {"ok": True}
    for key, reference in exact.items():
        own, other = _distance(here[key], reference), _distance(there[key], reference)
        record |= {f"{key}_cpu": own, f"{key}_device": other}
        record["ok"] &= other <= NEAR
    return record


def passes(name: str, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Images, logits and gradients of one pass through a tiny G and D; weights, z and noise are always the same."""
    generator, discriminator = networks.build(name, seed=3, **NETWORKS[name])
    pair = [network.to(device, dtype) for network in (generator, discriminator)]
    z_NZ = torch.randn(4, generator.z_dim, generator=torch_stream(0, "z")).to(device, dtype)
    with noise.drawn_from(torch_stream(0, "noise")):
        if has_two_scales(generator):
            images_NCHW, small_NCHW = generator.both_scales(z_NZ, None)
            small = {"small_NCHW": small_NCHW}
        else:
            images_NCHW, small = generator(z_NZ), {}
    logits = discriminator(images_NCHW, None, **small)
    nn.functional.softplus(logits).mean().backward()
    values = {"images": images_NCHW, "logits": logits}
    for role, network in zip(("g", "d"), pair, strict=True):
        gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        values[f"{role}_gradient"] = torch.cat(gradients)
    return {key: value.detach().cpu().double() for key, value in values.items()}


def _distance(value: Tensor, reference: Tensor) -> float:
    return float((value - reference).norm() / reference.norm())


# ---- methods ---------------------------------------------------------------------------------------------------------


def conform(methods: Iterable[str], device: torch.device, late: Late) -> Record:
    """Run all conformance checks of each method, on the first network that it does not refuse."""
    return each(methods, lambda method: conform_method(method, device), late)


def conform_method(method: str, device: torch.device) -> Record:
    """All conformance checks of a method on the first network that it takes, among them that it resumes bit for bit."""
    network, findings = first_network(method, device)
    failed = {finding.check: finding.detail for finding in findings if not finding.passed}
    return {
        "ok": not failed,
        "network": network,
        "passed": [finding.check for finding in findings if finding.passed],
        "failed": failed,
    }


def first_network(method: str, device: torch.device) -> tuple[str, list[CheckResult]]:
    """The first network that the method does not refuse, and the findings on it; if none, the last refusal."""
    outcome: tuple[str, list[CheckResult]] = ("", [])
    for network in NETWORKS:
        outcome = network, check_method(method, network, str(device))
        if any(finding.supported for finding in outcome[1]):
            break
    return outcome


def compare_losses(conformance: Record, device: torch.device, late: Late) -> Record:
    """Compare three steps on the device and the CPU, for each method that trains according to `conform`."""
    works = {name: record["network"] for name, record in conformance.items() if "steps" in record.get("passed", ())}
    return {
        "tolerance": LOSSES,
        **each(works, lambda name: compare_losses_of(name, works[name], device), late),
    }


def compare_losses_of(method: str, network: str, device: torch.device) -> Record:
    """Three steps of a method on the device and on the CPU: how far the logged values are apart."""
    spec = with_train(conformance_spec(method, network), steps=3)
    with tempfile.TemporaryDirectory() as folder:
        sources = prepared(spec, Path(folder))
        cpu = _logs(spec, Path(folder) / "cpu", sources, torch.device("cpu"))
        nudged = _logs(spec, Path(folder) / "nudged", sources, torch.device("cpu"), nudge=NUDGE)
        other = _logs(spec, Path(folder) / "device", sources, device)
    errors, own = ([_furthest(*pair) for pair in zip(cpu, logs, strict=True)] for logs in (other, nudged))
    ok = errors[0] <= max(FIRST, 10 * own[0]) and max(errors) <= max(ALL, 10 * max(own))
    return {
        "ok": ok,
        "network": network,
        "errors": errors,
        "nudged": own,
        "logs": None if ok else [cpu, other],
    }


def _furthest(first: Record, second: Record) -> float:
    return max(abs(first[key] - second[key]) / max(abs(first[key]), abs(second[key]), 0.01) for key in first)


def with_train(spec: RunSpec, **settings: Any) -> RunSpec:
    """The same run with other settings of `train`."""
    assert spec.train is not None
    return spec.model_copy(update={"train": spec.train.model_copy(update=settings)})


def prepared(spec: RunSpec, root: Path) -> Store:
    """A store in which the run's sources are trained, on the CPU."""
    store = Store(root / "sources")
    for source in spec.run_sources.values():
        store.open(source)
        outcome = execute(source.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None)
        assert outcome == "done", store.folder(source.uid).error()
    return store


def trained(
    spec: RunSpec,
    root: Path,
    sources: Store,
    device: torch.device,
    stop_at: int | None = None,
    nudge: float = 0.0,
) -> Training:
    """The run's training at its end.

    stop_at: a step at which it is stopped, restored and continued. nudge: the relative standard deviation of noise that
    is multiplied onto every weight before the first step.
    """
    folder = Store(root).open(spec)
    settings = Settings(device, checkpoint_seconds=math.inf)
    if stop_at is not None:
        first = Training(spec, folder, sources, settings)
        assert first.run(lambda: first.ctx.step >= stop_at, lambda *_: None) == "stopped"
    training = Training(spec, folder, sources, settings)
    assert training.ctx.step == (stop_at or 0)
    stream = torch_stream(0, "nudge")
    for network in (training.ctx.generator, training.ctx.discriminator) if nudge else ():
        for parameter in network.parameters() if network is not None else ():
            parameter.data *= 1 + nudge * torch.randn(parameter.shape, generator=stream)
    training.run(lambda: False, lambda *_: None)
    return training


def _logs(spec: RunSpec, root: Path, sources: Store, device: torch.device, nudge: float = 0.0) -> list[Record]:
    return list(trained(spec, root, sources, device, nudge=nudge).folder.read_log())


# ---- resuming --------------------------------------------------------------------------------------------------------


def compare_resumed(specs: dict[str, RunSpec], device: torch.device, late: Late) -> Record:
    """Whether a second run, and one that is stopped half-way and resumed, end with the weights of the first."""
    return each(specs, lambda name: compare_resumed_run(specs[name], device), late)


def compare_resumed_run(spec: RunSpec, device: torch.device) -> Record:
    """Whether a second run, and one that is stopped half-way and resumed, end with the weights of the first."""
    assert spec.train is not None
    half = spec.train.steps // 2
    with tempfile.TemporaryDirectory() as folder:
        sources = prepared(spec, Path(folder))
        ends = {
            name: fingerprint(trained(spec, Path(folder) / name, sources, device, stop_at).weights())
            for name, stop_at in (("first", None), ("again", None), ("resumed", half))
        }
    repeats, resumes = ends["again"] == ends["first"], ends["resumed"] == ends["first"]
    return {"ok": repeats and resumes, "repeats_bit_equal": repeats, "resumes_bit_equal": resumes}


def tiny_specs(names: Iterable[str]) -> dict[str, RunSpec]:
    """The conformance run of each family, with the method that METHODS has for it."""
    return {f"{name}, {METHODS[name]}": conformance_spec(METHODS[name], name) for name in names}


# ---- precision -------------------------------------------------------------------------------------------------------


def compare_precisions(specs: dict[str, RunSpec], device: torch.device, late: Late) -> Record:
    """Check that three steps in TF32 and in bfloat16 are finite, and record their distance from float32."""
    return each(specs, lambda name: compare_precisions_of(specs[name], device), late)


def compare_precisions_of(spec: RunSpec, device: torch.device) -> Record:
    """Three steps in TF32 and in bfloat16: whether they are finite, and how far from float32."""
    record: Record = {"ok": True}
    with tempfile.TemporaryDirectory() as folder:
        sources = prepared(spec, Path(folder))
        logs = {
            precision: _logs(
                with_train(spec, steps=3, log_every=1, precision=precision),
                Path(folder) / precision,
                sources,
                device,
            )
            for precision in ("float32", "tf32", "bfloat16")
        }
    for precision in ("tf32", "bfloat16"):
        finite = len(logs[precision]) == 3 and all(math.isfinite(v) for line in logs[precision] for v in line.values())
        record["ok"] &= finite
        record |= {f"{precision}_finite": finite}
        record |= {
            f"{precision}_step_{k + 1}": _furthest(*pair)
            for k, pair in enumerate(zip(logs["float32"], logs[precision]))
        }
    return record
