"""A finished run's generator, opened again: its images are those that were scored, bit for bit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.contract.base import Sampler
from bench.contract.composition import Composition
from bench.contract.context import Context
from bench.contract.expression import at_inference
from bench.data import imageset
from bench.data.contact_sheet import cut_sheet
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.networks.interface import Generator
from bench.plan.inputs import Machine
from bench.run.build import build_context, load_weights
from bench.run.draws import BATCH, Draws
from bench.spec.run import Protocol, RunSpec, readable
from bench.spec.snapshot import AnySnapshot
from bench.store.checkpoints import fingerprint_of_weights, latest, read_weights
from bench.store.kept import steps as kept_steps
from bench.store.layout import NO_WEIGHTS, kept
from bench.store.runs import RunFolder, Store
from bench.train.sampling import SHEET, batch_statistics


@dataclass(frozen=True)
class Reopened:
    """A run as it was at one of its snapshots, ready to be sampled.

    snapshot: which of its weights; "latest" of a run that is not finished, its newest checkpoint.
    protocol: how many images are made at once, and first; the run's own, or that of an evaluation.
    """

    folder: RunFolder
    spec: RunSpec
    ctx: Context
    method: Composition
    snapshot: AnySnapshot | Literal["latest"]
    step: int
    protocol: Protocol | None

    @property
    def generator(self) -> Generator:
        """The average of the generator's weights, which is what was scored."""
        assert self.ctx.ema is not None
        return self.ctx.ema

    @cached_property
    def sampler(self) -> Sampler:
        """How its method makes images; kept, as one may fit a distribution before it first draws."""
        return self.method.sampler(self.ctx)

    @property
    def draws(self) -> Draws:
        """What its images are drawn from."""
        scored, batch = (self.protocol.generated, self.protocol.batch) if self.protocol else (0, BATCH)
        return Draws(
            f"run {self.folder.uid} ({readable(self.spec.method)})",
            self.generator,
            self.sampler,
            self.spec.seed,
            self.ctx.device,
            batch,
            scored,
            self.ctx.spec.train.batch_statistics if self.ctx.spec.train else None,
            self.method.class_sampler(self.ctx),
            _classes(self.ctx),
        )

    def images(self, count: int, seed: int | None = None) -> Iterator[np.ndarray]:
        """The first `count` uint8 images, a batch (N, H, W, 3) at a time: see `Draws.images`."""
        return self.draws.images(count, seed)

    def made(self, make: Callable[[], Tensor], noises: torch.Generator) -> np.ndarray:
        """uint8 images (N, H, W, 3) of one call of the generator, as when the run is sampled.

        No gradients are kept, its noise comes from a stream, and with `train.batch_statistics` its norms take their
        statistics of the batch at hand.
        """
        own = self.spec.train is not None and self.spec.train.batch_statistics is not None
        with torch.no_grad(), noise.drawn_from(noises), batch_statistics(self.generator) if own else nullcontext():
            return to_uint8(make())

    def sheets(self) -> list[tuple[int, np.ndarray]]:
        """The steps of the snapshots with their first images (at most 50), from the pictures that the run has kept."""
        side, most = self.spec.data.resolution, self.spec.protocol.generated if self.spec.protocol else SHEET
        found = []
        for path in self.folder.sheets():
            with Image.open(path) as sheet:
                found.append((int(path.stem.removeprefix("step-")), cut_sheet(sheet, side)[: min(SHEET, most)]))
        return found

    def all_images(self, count: int) -> np.ndarray:
        """`images` as one array (count, H, W, 3)."""
        return np.concatenate(list(self.images(count)))


def reopen(
    folder: RunFolder,
    store: Store,
    snapshot: AnySnapshot,
    device: str = "cpu",
    *,
    allow_stale: bool = False,
    unfinished: bool = False,
    inference: Mapping[str, Any] | None = None,
    protocol: Protocol | None = None,
) -> Reopened:
    """The run of a folder with the weights of its final or best snapshot, of a step that it keeps, or none (0).

    Of the best snapshot and of kept steps a run keeps G's average, D, the method's state and the step; its
    `ctx.generator` is the average too, as the raw weights are not kept.

    unfinished: also of a run that is being trained, or was stopped: for its final weights its newest checkpoint.
    inference: other values of settings that its method uses at inference alone. protocol: another than the run's own.
    Raises UserError for a run that is no training, that trains no generator, is not finished, lacks these weights
    or has diverged (its final weights are not finite). Also for a run made from other inputs than are here now: its
    method would draw from other priors or training images than it was trained with. allow_stale: for that, only a
    warning on stderr.
    """
    # Is it a run that can be opened?
    spec = folder.spec()
    if spec.kind == "reference":
        raise UserError(f"run {folder.uid} scores real images, a reference point: it has no generator")
    if spec.evaluated is not None:
        raise UserError(f"run {folder.uid} is an evaluation of {spec.evaluated.uid}, which has the generator: name it")
    if spec.kind == "evaluate":
        raise UserError(f"{folder.uid} is a measurement of no finished run: it has no generator")
    if spec.network is None:
        raise UserError(f"run {folder.uid} trains no generator")
    result = folder.result()
    if result is None and not unfinished:
        raise UserError(
            f"run {folder.uid} is not finished ({folder.status()}): it has no final weights yet; "
            "`bench run` or `bench submit` of its table goes on with it"
        )
    _refuse_stale(folder, store, allow_stale)

    # Its networks and its method, as they were at the snapshot.
    newest = result is None and snapshot == "final"
    state = _newest(folder) if newest else None if snapshot == 0 else _weights(folder, snapshot, result)
    sampled = spec.model_copy(update={"method": at_inference(spec.method, inference or {})})
    ctx, method = build_context(sampled, store, torch.device(device))
    if ctx.ema is None or (state is not None and "ema" not in state):
        raise UserError(f"run {folder.uid} trains no generator")
    if state is not None:
        load_weights(ctx, method, state)
    return Reopened(folder, spec, ctx, method, "latest" if newest else snapshot, ctx.step, protocol or spec.protocol)


def _refuse_stale(folder: RunFolder, store: Store, allowed: bool) -> None:
    machine = Machine(store)
    if changed := machine.changes(folder):
        warning = f"run {folder.uid} is stale, made from other inputs than are here: {'; '.join(changed)}"
        if not allowed:
            raise UserError(f"{warning}; --allow-stale takes it nevertheless, --retry stale trains it anew")
        print(f"bench: {warning}; its images may not be those that were scored", file=sys.stderr)
    if edited := machine.edited(folder):
        print(
            f"bench: run {folder.uid}: this code has changed since: {', '.join(edited)}; "
            "its images may not be those that were scored",
            file=sys.stderr,
        )


def _newest(folder: RunFolder) -> dict[str, Any]:
    """The newest whole checkpoint of a run that is not finished."""
    found = latest(folder.state) or latest(folder.state)  # again: a worker may have put newer ones in their place
    if found is None:
        raise UserError(
            f"run {folder.uid} is {folder.status()} and has no checkpoint yet; there is one soon after its start"
        )
    return found[1]


def _classes(ctx: Context) -> tuple[tuple[int, str], ...]:
    """The classes that the run was trained on, with their names."""
    if ctx.labels_N is None:
        return ()
    names = imageset.load(ctx.spec.data.name, ctx.spec.data.resolution).class_names
    numbers = np.unique(ctx.labels_N).tolist()
    return tuple((int(number), names[number] if number < len(names) else str(number)) for number in numbers)


def _weights(folder: RunFolder, snapshot: AnySnapshot, result: dict[str, Any] | None) -> dict[str, Any]:
    """What the file of a snapshot holds. UserError where it is missing, or is not what the run wrote."""
    result = result or {"diverged_at": None, "weights_sha256": None}
    bundled = "" if folder.state.is_dir() else f"; {NO_WEIGHTS}"
    if isinstance(snapshot, int):
        path, recorded = kept(folder.state, snapshot), result.get("kept_sha256", {}).get(str(snapshot))
        if not path.exists():
            own = ", ".join(map(str, kept_steps(folder.state))) or "none"
            why = f"has not kept the weights of step {snapshot} ({path}); kept: {own}{bundled}"
            raise UserError(f"run {folder.uid} {why}")
    elif snapshot == "final":
        path, recorded = folder.final_weights, result["weights_sha256"]
    else:
        path, recorded = folder.best_weights, result.get("best_sha256")
    if snapshot == "final" and result["diverged_at"] is not None:
        hint = "; --snapshot best has the weights of its best snapshot" * (folder.best_weights).exists()
        raise UserError(f"run {folder.uid} diverged at step {result['diverged_at']}{hint}")
    if not path.exists():
        hint = "; --snapshot final" if snapshot == "best" and folder.final_weights.exists() else ""
        raise UserError(f"run {folder.uid} has no weights of its {snapshot} snapshot ({path}){hint or bundled}")
    state = read_weights(path)
    if recorded is not None and fingerprint_of_weights(state) != recorded:
        raise UserError(f"{path} holds other weights than its run has recorded")
    return state
