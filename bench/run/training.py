"""The training of one run: restore, step, average, score, save, and stop cleanly at any step."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bench.contract.base import Logged
from bench.evaluate.snapshot import AtSnapshot
from bench.evaluate.traces import trace
from bench.machine.gpu_use import gpu_figures
from bench.machine.memory import peak_bytes
from bench.metrics.scorers import make_scorer
from bench.metrics.selection import best_step
from bench.run.build import build_context
from bench.run.scoring import record_scores, record_traces
from bench.run.settings import Outcome, Settings
from bench.spec.run import RunSpec
from bench.store import best, checkpoints, kept, layout
from bench.store.heartbeat import Heartbeat
from bench.store.runs import RunFolder, Store
from bench.train.adversarial import adversarial
from bench.train.device import autocast
from bench.train.drawn_ahead import fed
from bench.train.ema import update_ema
from bench.train.optimizers import Optimizers
from bench.train.sampling import generate
from bench.train.values import Watch, floats


@contextmanager
def _closed(steps: Iterator[Logged]) -> Iterator[Iterator[Logged]]:
    """A loop that is left at the end, wherever it is: the thread that reads its images ends with it.

    A generator would be closed when it is collected, but after an error its traceback keeps it. A method's own loop may
    be another kind of iterator, which holds nothing to be closed.
    """
    try:
        yield steps
    finally:
        if isinstance(steps, Generator):
            steps.close()


class Training:
    """The training of one run."""

    def __init__(self, spec: RunSpec, folder: RunFolder, store: Store, settings: Settings) -> None:
        assert spec.train is not None
        self.spec, self.folder, self.settings, self.train = spec, folder, settings, spec.train
        self.ctx, self.method = build_context(spec, store, settings.device, settings.ranks)
        self.optimizers = Optimizers.build(self.ctx) if not self.method.replaces_loop else None
        protocol = spec.protocol if settings.ranks.leads else None
        self.scorer = make_scorer(protocol, spec.data, spec.seed, str(settings.device)) if protocol else None
        self.traces = [trace(name) for name in (protocol.traces if protocol else None) or ()]
        self.lines: list[dict[str, Any]] = []
        self.watch = Watch()
        self.elapsed = 0.0
        self.restore()
        if protocol and self.traces:
            self.seen = AtSnapshot(self.ctx, protocol.batch)
            for card in self.traces:
                if card.check is not None:
                    card.check(self.seen)

    # ---- the loop --------------------------------------------------------------------------------

    def run(self, should_stop: Callable[[], bool], on_step: Callable[[int, int], None]) -> Outcome:
        """Train to the end, to divergence, or to the next step boundary after a stop was asked for."""
        with self.heartbeat() as heartbeat, _closed(self.steps()) as steps:
            started = saved = time.monotonic()
            while self.ctx.step < self.train.steps:
                # One step: D's updates and G's, or whatever a method's own loop makes of it.
                self.ctx.begin_step(self.ctx.step)
                values = self.one_step(steps)
                self.ctx.step += 1

                # Stop at the first value that is not finite; the record names it.
                self.watch.see(self.ctx.step, values)
                if self._looks() and (diverged := self.watch.diverged()):
                    return self._finish(time.monotonic() - started, diverged)

                # Update the average of G's weights, log the values, score a snapshot.
                self._average()
                self._log(values)
                if self.spec.protocol and self.ctx.step in (self.spec.protocol.keep or ()):
                    self._keep()
                if self.spec.protocol and self.spec.protocol.is_snapshot(self.ctx.step, self.train.steps):
                    self._snapshot()

                # Report the progress.
                heartbeat.step = self.ctx.step
                on_step(self.ctx.step, self.train.steps)
                if self.ctx.step == self.train.steps:
                    break

                # Save when it is time, leave when asked to.
                now = time.monotonic()
                due = now - saved >= self.settings.checkpoint_seconds
                stop, cancelled, due = self.settings.ranks.any(should_stop(), heartbeat.cancelled, due)
                if stop or cancelled or due:
                    if diverged := self.watch.diverged():
                        return self._finish(now - started, diverged)
                    self._save(self.elapsed + now - started)
                    saved = now
                if stop or cancelled:
                    return "cancelled" if cancelled else "stopped"

            # All steps are done: the final weights and, last of all, the record.
            outcome = self._finish(time.monotonic() - started)
            heartbeat.state = "done"
            return outcome

    def heartbeat(self) -> Heartbeat:
        """What tells others that the run is at work, and whether they have asked it to stop."""
        return Heartbeat(self.folder, self.train.steps, self.ctx.step)

    def steps(self) -> Iterator[Logged]:
        """The loop: an item a step, its values to log."""
        if self.method.replaces_loop:
            return fed(self.ctx, self.method.fit(self.ctx))
        assert self.optimizers is not None
        return fed(self.ctx, adversarial(self.ctx, self.method, self.optimizers))

    def one_step(self, steps: Iterator[Logged]) -> Logged:
        """One training step; on a GPU it returns before its last kernel has run."""
        with autocast(self.train, self.settings.device):
            return next(steps)

    def _average(self) -> None:
        if self.ctx.ema is not None and self.ctx.generator is not None:
            train, step = self.train, self.ctx.step
            update_ema(self.ctx.ema, self.ctx.generator, train.ema_decay, step, ramp=train.ema_ramp)

    def _log(self, values: Logged) -> None:
        if self._is_logged():
            self.lines.append({"step": self.ctx.step, **floats(values)})

    def _is_logged(self) -> bool:
        return self.ctx.step % self.train.log_every == 0 or self.ctx.step == self.train.steps

    def _looks(self) -> bool:
        """Whether this step's values are looked at. On a CPU all are; a GPU would have to be waited for, so there it is
        those of the steps after which something is written down.
        """
        step, protocol = self.ctx.step, self.spec.protocol
        if self.settings.device.type == "cpu" or self._is_logged():
            return True
        return protocol is not None and (step in (protocol.keep or ()) or protocol.is_snapshot(step, self.train.steps))

    # ---- snapshots -------------------------------------------------------------------------------

    def _snapshot(self) -> None:
        """Score the moving average of the generator and keep its picture; keep the weights of the best."""
        protocol, ema, step = self.spec.protocol, self.ctx.ema, self.ctx.step
        assert protocol is not None and ema is not None and self.scorer is not None
        images = generate(self.ctx, ema, self.method.sampler(self.ctx), protocol.generated, protocol.batch)
        record_scores(self.folder, step, self.scorer, images)
        if self.traces:
            self.seen.images_NHWC = images
            record_traces(self.folder, step, self.traces, self.seen, protocol.split)
        if best_step(protocol, self.folder.metrics()) == step:
            best.keep(self.folder.state, step, self._sampled_weights())
        self.settings.ranks.release()

    def _keep(self) -> None:
        kept.keep(self.folder.state, self.ctx.step, self._sampled_weights())

    # ---- state -----------------------------------------------------------------------------------

    def restore(self) -> None:
        """Go back to the newest whole checkpoint, and cut the records back to its step."""
        newest = checkpoints.latest(self.folder.state)
        best.back_to(self.folder.state, newest[0] if newest else 0)
        kept.back_to(self.folder.state, newest[0] if newest else 0)
        if newest is None:
            self.folder.rewind(0)
            return
        step, state = newest
        self.load_state(state)
        self.folder.rewind(step)

    def state(self, elapsed: float) -> dict[str, Any]:
        """All that a checkpoint holds: weights, optimisers, the step, and the seconds of training so far."""
        state = {**self.weights(), "step": self.ctx.step, "elapsed": elapsed}
        if self.optimizers is not None:
            state["optimizers"] = self.optimizers.state_dict()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        for name, network in self.modules().items():
            network.load_state_dict(state[name])
        if self.optimizers is not None:
            self.optimizers.load_state_dict(state["optimizers"])
        self.method.load_state_dict(state["method"])
        self.elapsed = state["elapsed"]
        self.ctx.step = int(state["step"])

    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks that a checkpoint holds, by name: those of generator, discriminator and ema that the run has."""
        pairs = {
            "generator": self.ctx.generator,
            "discriminator": self.ctx.discriminator,
            "ema": self.ctx.ema,
        }
        return {name: module for name, module in pairs.items() if module is not None}

    def weights(self) -> dict[str, Any]:
        """The states of the networks, of the average and of the method, as a checkpoint keeps them."""
        state: dict[str, Any] = {name: module.state_dict() for name, module in self.modules().items()}
        return {**state, "method": self.method.state_dict()}

    def _sampled_weights(self) -> dict[str, Any]:
        """`weights`, without the generator's own: its average is what is scored and looked at."""
        return {name: state for name, state in self.weights().items() if name != "generator"}

    def _save(self, elapsed: float) -> None:
        self.folder.require()
        self._flush()
        best.prune(self.folder.state, checkpoints.save(self.folder.state, self.ctx.step, self.state(elapsed)))
        self.settings.ranks.release()

    def _flush(self) -> None:
        if self.lines:
            self.folder.append(self.folder.train_log, self.lines)
            self.lines = []

    def _finish(self, seconds: float, diverged: tuple[int, list[str]] | None = None) -> Outcome:
        """Write the final weights and, last, the result record, with the step and the values that diverged, if any."""
        self.folder.require()
        self._flush()
        weights = self.weights()
        checkpoints.write_weights(
            self.folder.final_weights, {**weights, "step": self.ctx.step}, inside=self.folder.path
        )
        best_sha256 = None
        if self.spec.protocol:
            best.settle(self.folder.state, best_step(self.spec.protocol, self.folder.metrics()))
            if self.folder.best_weights.exists():
                best_sha256 = checkpoints.fingerprint_of_weights(checkpoints.read_weights(self.folder.best_weights))
        self.folder.finish(
            {
                "steps": self.ctx.step,
                "diverged_at": diverged[0] if diverged else None,
                "diverged_in": diverged[1] if diverged else None,
                "weights_sha256": checkpoints.fingerprint(weights),
                "best_sha256": best_sha256,
                **self._kept_digests(),
                "seconds": self.elapsed + seconds,
            }
        )
        checkpoints.drop_all(self.folder.state)
        self.folder.beat("done", self.ctx.step, self.train.steps, None, memory=peak_bytes(), **gpu_figures())
        return "diverged" if diverged else "done"

    def _kept_digests(self) -> dict[str, Any]:
        """The fingerprints of the kept steps that the training has come to, for its record; {} where it keeps none."""
        if self.spec.protocol is None or self.spec.protocol.keep is None:
            return {}
        folder = self.folder.state
        files = {str(step): layout.kept(folder, step) for step in kept.steps(folder)}
        read = {step: checkpoints.read_weights(path) for step, path in files.items()}
        return {"kept_sha256": {step: checkpoints.fingerprint_of_weights(state) for step, state in read.items()}}
