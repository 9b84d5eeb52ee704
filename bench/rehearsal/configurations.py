"""Rehearsals: one real training step at paper size, with its time and memory.

A configuration is a combination of network, method and training at paper size (all: bench.rehearsal.listing). Each is
rehearsed in its own process (bench.rehearsal.step), so that its peak memory can be measured. The measurement is kept
in <store>/rehearsal/ID.json with a hash of the configuration. An interrupted rehearsal therefore continues, and
only a configuration that has changed is run again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, ValidationError, model_validator

from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources
from bench.errors import UserError
from bench.features.known import VGG16
from bench.files import atomic
from bench.files.yamlfile import first_problem
from bench.networks import NETWORKS
from bench.rehearsal.work import run_digest, step_key
from bench.spec.run import DataSpec, Frozen, NetworkSpec, Part, RunSpec, TrainSettings, WeightsFile

DATA = "rehearsal"  # the data set that bench.rehearsal.images makes


class Configuration(Frozen):
    """One combination of network and method at paper scale, and how much of its batch is rehearsed."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.+-]*$")
    tables: tuple[str, ...] = Field(min_length=1)  # what it represents, in words
    cells: tuple[str, ...] = ()  # the trained cells whose step this is, as TABLE/ROW/COLUMN
    network: NetworkSpec
    method: str = ""  # a method expression; empty: plain adversarial training
    resolution: PositiveInt
    batch: PositiveInt  # the paper's
    micro_batch: PositiveInt | None = None  # images at once in the rehearsal; None: all that are rehearsed
    rehearsed: PositiveInt | None = None  # images of the rehearsed updates; None: the paper's batch
    per_gpu: PositiveInt | None = None  # images at once on one GPU, for its memory; None: the paper's batch
    d_steps: PositiveInt = 1
    steps: PositiveInt  # the paper's, of the generator
    step: int = Field(default=0, ge=0)  # the rehearsed step, in which every term of the method is active
    train: dict[str, Any]  # the optimisers' settings, as in a table
    images: PositiveInt = 128  # training images; methods of few shots have conditions of this size
    classes: PositiveInt | None = None
    source: dict[str, Any] = {}  # network options that a source network has beside those of `network`
    state: dict[str, dict[str, Any]] = {}  # part -> its `load_state_dict`, where a part starts idle
    note: str = ""  # what is declared or left out

    @model_validator(mode="after")
    def _fits(self) -> Configuration:
        if self.step >= self.steps:
            raise ValueError(f"step is {self.step}, must be below steps, which is {self.steps}")
        if self.images_run > self.batch:
            raise ValueError(f"rehearsed is {self.images_run}, must be at most the batch, {self.batch}")
        parts = [part.name for part in self.parts]
        for name in self.state:
            if name not in parts:
                raise ValueError(f"state names '{name}', which is no part of the method '{self.method}'")
        self.run_spec()
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the method, with all settings."""
        return parse_method(self.method) if self.method else ()

    @property
    def images_run(self) -> int:
        """Images in each rehearsed update."""
        return self.rehearsed or self.batch

    @property
    def as_run(self) -> str:
        """How much of the paper's batch is rehearsed, in words."""
        if self.micro_batch is None:
            return "whole" if self.images_run == self.batch else f"{self.images_run} of {self.batch} images"
        run = self.images_run // self.micro_batch
        return f"micro-batch {self.micro_batch}, {run} of {self.batch // self.micro_batch}"

    @property
    def digest(self) -> str:
        """A hash of everything that a rehearsal depends on, which excludes its names and the length of the training."""
        spec = self.run_spec()
        assert spec.train is not None
        how = ("resolution", "batch", "rehearsed", "step", "images", "classes", "source", "state")
        rest = self.model_dump(mode="json", include=set(how))
        return run_digest(self.network, self.parts, spec.train, {"rehearsal": rest})

    @property
    def key(self) -> str:
        """What the work of the paper's step is, by which configurations and cells of tables are told apart."""
        return step_key(self.network, self.parts, self._settings(self.batch))

    def run_spec(self) -> RunSpec:
        """The run whose step is rehearsed: the paper's, except for its images, sources and the rehearsed batch.

        Raises UserError for an unknown network or method, and for impossible settings.
        """
        return self._spec(self.images_run)

    def paper_spec(self) -> RunSpec:
        """The run with the paper's whole batch, as plans count its step."""
        return self._spec(self.batch)

    def _spec(self, images: int) -> RunSpec:
        NETWORKS.entry(self.network.name)
        return RunSpec(
            method=self.parts,
            network=self.network,
            data=DataSpec(name=DATA, resolution=self.resolution),
            train=self._settings(images),
            protocol=None,
            seed=0,
            sources={role: WeightsFile(weights=f"rehearsal-{role}") for role in needed_sources(self.parts)},
        )

    def _settings(self, images: int) -> TrainSettings:
        """The training with so many images in an update of D, and as many more in one of G as in the paper."""
        train = {"steps": self.steps, "batch": images, "d_steps": self.d_steps, **self.train}
        if isinstance(more := train.get("g_batch"), int):
            train["g_batch"] = more * images // self.batch
        try:
            return TrainSettings.model_validate({**train, "micro_batch": self.micro_batch})
        except ValidationError as error:
            keys, message = first_problem(TrainSettings, error)
            raise UserError(": ".join([*map(str, keys), message])) from error


@dataclass(frozen=True)
class RehearsalOutcome:
    """The outcome of one rehearsal: the measurements, or why there are none."""

    configuration: Configuration
    measured: dict[str, Any] | None
    problem: str = ""


class Results:
    """The measurements under <store>/rehearsal."""

    def __init__(self, store: Path) -> None:
        self.folder = store / "rehearsal"

    def read(self, configuration: Configuration) -> dict[str, Any] | None:
        """The measurement of this configuration as it is now, or None."""
        try:
            value = json.loads((self.folder / f"{configuration.id}.json").read_text())
        except (OSError, ValueError):
            return None
        same = isinstance(value, dict) and value.get("digest") == configuration.digest
        return value if same else None

    def write(self, configuration: Configuration, measured: dict[str, Any]) -> None:
        """Keep a measurement."""
        value = {"id": configuration.id, "digest": configuration.digest, **measured}
        atomic.write_json(self.folder / f"{configuration.id}.json", value)


def rehearse(configuration: Configuration, images_from: DataSpec, results: Results, threads: int) -> RehearsalOutcome:
    """Rehearse one configuration in its own process, whose cache and weights are deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-rehearsal-") as name:
        folder = Path(name)
        order = {
            "configuration": configuration.model_dump(mode="json"),
            "images_from": images_from.model_dump(mode="json"),
            "threads": threads,
        }
        atomic.write_json(folder / "order.json", order)
        # A folder of their own for the enlarged images and the untrained weights; the user's are left alone
        environment = {
            **{name: value for name, value in os.environ.items() if name != VGG16.variable},
            "BENCH_CACHE": str(folder / "cache"),
            "BENCH_WEIGHTS": str(folder / "weights"),
        }
        command = [sys.executable, "-m", "bench.rehearsal.step", str(folder)]
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return RehearsalOutcome(configuration, None, failure_reason(done))
        measured = json.loads((folder / "measured.json").read_text())
    results.write(configuration, measured)
    return RehearsalOutcome(configuration, measured)


def failure_reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why a process failed, in a line."""
    if done.returncode == -signal.SIGKILL:
        return "the process was killed: was there enough memory?"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"the process ended with status {done.returncode}"
