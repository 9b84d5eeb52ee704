"""One run from its spec to its result record: restore, step, score, save, and stop cleanly at any step."""

from __future__ import annotations

import errno
import math
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch

from bench.data.reference import reference_point
from bench.errors import UserError
from bench.files import readings
from bench.machine.memory import peak_bytes, reset_peak
from bench.machine.provenance import commit, provenance
from bench.metrics.scorers import make_scorer
from bench.metrics.scores import Score
from bench.metrics.selection import best_step
from bench.plan import inputs
from bench.plan.inputs import Machine
from bench.run.build import build_context
from bench.spec.run import RunSpec
from bench.store import best, checkpoints
from bench.store.heartbeat import Heart
from bench.store.runs import Cause, RunFolder, RunGoneError, Store
from bench.train.adversarial import Optimizers, adversarial
from bench.train.ema import update_ema
from bench.train.sampling import generate, save_sheet

Outcome = Literal["done", "diverged", "stopped", "failed", "cancelled", "stale"]
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What a shared file system or a broken node raises, and what torch says of a GPU that has gone
MACHINE = (*DISK, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN, errno.EREMOTEIO, errno.ETIMEDOUT)
BROKEN_GPU = re.compile(
    r"CUDA error|CUDA driver|NVIDIA driver|No CUDA GPUs|cuda.*not available|CUDNN_STATUS_INTERNAL",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Settings:
    """How a worker works: nothing here can change a result."""

    device: torch.device
    checkpoint_seconds: float = 60.0


def execute(
    uid: str,
    store: Store,
    settings: Settings,
    should_stop: Callable[[], bool],
    on_step: Callable[[int, int], None],
) -> Outcome:
    """Bring one run to its end, or to its next step boundary once `should_stop()` says so.

    Raises RunBusyError while another worker has the run, RunGoneError once its folder has gone. A failure is
    written to error.txt and returned as "failed"; it is never recorded as a result. A run that was begun with
    other inputs than are here now, or whose source was, is "stale": it is left as it is.
    """
    folder = store.folder(uid)
    with folder.lease():
        try:
            if (result := folder.result()) is not None:
                return "diverged" if result["diverged_at"] is not None else "done"
            if folder.asked_to_stop():
                return "cancelled"
            spec, machine = folder.spec(), Machine(store)
            if why := [*machine.changes(folder), *machine.stale_sources(spec)]:
                print(f"bench: {uid} is stale, it is not continued: {'; '.join(why)}", flush=True)
                return "stale"
            reset_peak()
            folder.begin(entry := provenance())
            inputs.begin(folder, machine, spec, {"commit": commit(), "packages": entry["packages"]})
            with readings.listening(partial(inputs.note, folder)):
                if spec.kind == "reference":
                    return _score_reference(spec, folder, settings)
                training = Training(spec, folder, store, settings)
                inputs.confirm(
                    folder, Machine(store)
                )  # nobody has replaced anything while it was being opened
                return training.run(should_stop, on_step)
        except RunGoneError:
            raise
        except UserError as error:
            _record_failure(folder, str(error), "method")
        except OSError as error:
            cause: Cause = "machine" if error.errno in MACHINE else "method"
            _record_failure(folder, _full_disk(folder, error) or traceback.format_exc(), cause)
        except Exception as error:
            _record_failure(folder, traceback.format_exc(), _cause(error))
        return "failed"


def _cause(error: Exception) -> Cause:
    """A GPU that broke is the machine's failure; one that is too small for the run is the run's."""
    if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
        return "machine" if BROKEN_GPU.search(str(error)) else "method"
    return "method"


def _full_disk(folder: RunFolder, error: OSError) -> str | None:
    """What to do about a full disk, a quota or a file size limit; None for any other error."""
    if error.errno not in DISK:
        return None
    return (
        f"{folder.path}: {error.strerror}; its last checkpoint is whole: make room, then run it again with "
        "--retry failed"
    )


def _record_failure(folder: RunFolder, reason: str, cause: Cause) -> None:
    try:
        folder.fail(reason, cause)
    except OSError as error:  # not even these few bytes: the worker's log is what remains
        print(f"bench: {folder.path}: {error.strerror}: cannot record: {reason}", file=sys.stderr)


def score_lines(step: int, scores: list[Score]) -> list[dict[str, Any]]:
    """Scores as lines of metrics.jsonl."""
    return [{"step": step, **vars(score)} for score in scores]


def _score_reference(spec: RunSpec, folder: RunFolder, settings: Settings) -> Outcome:
    begin = time.monotonic()
    images = reference_point(spec)
    folder.rewind(-1)
    assert spec.protocol is not None
    scorer = make_scorer(spec.protocol, spec.data, str(settings.device), len(images))
    folder.append("metrics.jsonl", score_lines(0, scorer.score(images)))
    save_sheet(folder.path / "samples" / "step-00000000.png", images)
    seconds = time.monotonic() - begin
    folder.finish({"steps": 0, "diverged_at": None, "weights_sha256": None, "seconds": seconds})
    folder.beat("done", 0, 0, None)
    return "done"


class Training:
    """The training of one run."""

    def __init__(self, spec: RunSpec, folder: RunFolder, store: Store, settings: Settings) -> None:
        assert spec.train is not None
        self.spec, self.folder, self.settings, self.train = spec, folder, settings, spec.train
        self.ctx, self.method = build_context(spec, store, settings.device)
        self.optimizers = Optimizers.build(self.ctx) if not self.method.replaces_loop else None
        self.scorer = make_scorer(spec.protocol, spec.data, str(settings.device)) if spec.protocol else None
        self.lines: list[dict[str, Any]] = []
        self.elapsed = 0.0
        self.restore()

    # ---- the loop --------------------------------------------------------------------------------

    def run(self, should_stop: Callable[[], bool], on_step: Callable[[int, int], None]) -> Outcome:
        """Train to the end, to divergence, or to the next step boundary after a stop was asked for."""
        with Heart(self.folder, self.train.steps, self.ctx.step) as heart:
            started = saved = time.monotonic()
            steps = self.steps()
            while self.ctx.step < self.train.steps:
                self.ctx.begin_step(self.ctx.step)
                logs = self.one_step(steps)
                self.ctx.step += 1
                if bad := sorted(key for key, value in logs.items() if not math.isfinite(value)):
                    return self._finish(time.monotonic() - started, diverged=bad)
                self._after_step(logs)
                heart.step = self.ctx.step
                on_step(self.ctx.step, self.train.steps)
                if self.ctx.step == self.train.steps:
                    break
                now, stopping = time.monotonic(), should_stop() or heart.cancelled
                if stopping or now - saved >= self.settings.checkpoint_seconds:
                    self._save(self.elapsed + now - started)
                    saved = now
                if stopping:
                    return "cancelled" if heart.cancelled else "stopped"
            outcome = self._finish(time.monotonic() - started)
            heart.state = "done"
            return outcome

    def steps(self) -> Iterator[dict[str, float]]:
        """The loop: an item a step, its values to log."""
        if self.method.replaces_loop:
            return self.method.fit(self.ctx)
        assert self.optimizers is not None
        return adversarial(self.ctx, self.method, self.optimizers)

    def one_step(self, steps: Iterator[dict[str, float]]) -> dict[str, float]:
        """One training step. bfloat16 is an autocast region, so parameters and their averages stay
        float32. Without its cache: a step has several updates, and the cache would keep the weights of the first.
        """
        with torch.autocast(
            self.settings.device.type,
            dtype=torch.bfloat16,
            enabled=self.train.precision == "bfloat16",
            cache_enabled=False,
        ):
            return next(steps)

    def _after_step(self, logs: dict[str, float]) -> None:
        step = self.ctx.step
        if self.ctx.ema is not None and self.ctx.generator is not None:
            update_ema(self.ctx.ema, self.ctx.generator, self.train.ema_decay, step, ramp=self.train.ema_ramp)
        if step % self.train.log_every == 0 or step == self.train.steps:
            self.lines.append({"step": step, **logs})
        if self.spec.protocol and self.spec.protocol.is_snapshot(step, self.train.steps):
            self._snapshot()

    # ---- snapshots -------------------------------------------------------------------------------

    def _snapshot(self) -> None:
        """Score the moving average of the generator and keep its picture; keep the weights of the best."""
        protocol, ema, step = self.spec.protocol, self.ctx.ema, self.ctx.step
        assert protocol is not None and ema is not None and self.scorer is not None
        images = generate(self.ctx, ema, self.method.sampler(self.ctx), protocol.generated, protocol.batch)
        self.folder.append("metrics.jsonl", score_lines(step, self.scorer.score(images)))
        save_sheet(self.folder.path / "samples" / f"step-{step:08d}.png", images)
        if best_step(protocol, self.folder.metrics()) == step:
            weights = self._weights()
            weights.pop("generator", None)  # its average is what was scored
            best.keep(self.folder.state, step, weights)

    # ---- state -----------------------------------------------------------------------------------

    def restore(self) -> None:
        """Go back to the newest whole checkpoint, and the records with it."""
        found = checkpoints.latest(self.folder.state)
        best.back_to(self.folder.state, found[0] if found else 0)
        if found is None:
            self.folder.rewind(0)
            return
        step, state = found
        for name, network in self._modules().items():
            network.load_state_dict(state[name])
        if self.optimizers is not None:
            self.optimizers.load_state_dict(state["optimizers"])
        self.method.load_state_dict(state["method"])
        self.elapsed = state["elapsed"]
        self.ctx.step = step
        self.folder.rewind(step)

    def _modules(self) -> dict[str, torch.nn.Module]:
        pairs = {
            "generator": self.ctx.generator,
            "discriminator": self.ctx.discriminator,
            "ema": self.ctx.ema,
        }
        return {name: module for name, module in pairs.items() if module is not None}

    def _weights(self) -> dict[str, Any]:
        state: dict[str, Any] = {name: module.state_dict() for name, module in self._modules().items()}
        return {**state, "method": self.method.state_dict()}

    def _save(self, elapsed: float) -> None:
        self.folder.require()
        self._flush()
        state = {**self._weights(), "step": self.ctx.step, "elapsed": elapsed}
        if self.optimizers is not None:
            state["optimizers"] = self.optimizers.state_dict()
        best.prune(self.folder.state, checkpoints.save(self.folder.state, self.ctx.step, state))

    def _flush(self) -> None:
        if self.lines:
            self.folder.append("train.jsonl", self.lines)
            self.lines = []

    def _finish(self, seconds: float, diverged: list[str] | None = None) -> Outcome:
        """Write the final weights and, last, the result record. A diverged run says where and in which
        value.
        """
        self.folder.require()
        self._flush()
        weights = self._weights()
        checkpoints.write_weights(
            self.folder.final_weights, {**weights, "step": self.ctx.step}, inside=self.folder.path
        )
        if self.spec.protocol:
            best.settle(self.folder.state, best_step(self.spec.protocol, self.folder.metrics()))
        self.folder.finish(
            {
                "steps": self.ctx.step,
                "diverged_at": self.ctx.step if diverged else None,
                "diverged_in": diverged,
                "weights_sha256": checkpoints.fingerprint(weights),
                "seconds": self.elapsed + seconds,
            }
        )
        checkpoints.drop_all(self.folder.state)
        self.folder.beat("done", self.ctx.step, self.train.steps, None, memory=peak_bytes())
        return "diverged" if diverged else "done"
