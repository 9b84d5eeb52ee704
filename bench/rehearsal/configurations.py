"""Rehearsals: one real training step at paper size, with its time and memory.

rehearsal.yaml lists the configurations: every combination of network and method that a table of the papers trains.
Each is rehearsed in its own process (bench.rehearsal.step), so that its peak memory can be measured. The measurement is
kept in <store>/rehearsal/ID.json with a hash of the configuration. An interrupted rehearsal therefore continues, and
only a configuration that has changed is run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, ValidationError, model_validator

from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources
from bench.errors import UserError, did_you_mean
from bench.features.known import VGG16
from bench.files import atomic
from bench.files.yamlfile import first_problem, load_yaml, mistake, validate
from bench.networks import NETWORKS
from bench.plan.expand import Table
from bench.plan.load import load_table
from bench.rehearsal.table_rows import row_settings
from bench.spec.run import DataSpec, Frozen, NetworkSpec, Part, RunSpec, TrainSettings, WeightsFile

LIST = Path(__file__).with_name("rehearsal.yaml")
DATA = "rehearsal"  # the data set that bench.rehearsal.images makes


class Configuration(Frozen):
    """One combination of network and method at paper scale, and how much of its batch is rehearsed."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.+-]*$")
    tables: tuple[str, ...] = Field(min_length=1)  # the tables and rows that it represents
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
        """A hash of everything that a rehearsal depends on, which excludes its descriptions."""
        value = self.model_dump(mode="json", exclude={"tables", "note", "per_gpu"})
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

    def run_spec(self) -> RunSpec:
        """The run whose step is rehearsed: the paper's, except for its images, sources and the rehearsed batch.

        Raises UserError for an unknown network or method, and for impossible settings.
        """
        NETWORKS.entry(self.network.name)
        train = {"steps": self.steps, "batch": self.images_run, "d_steps": self.d_steps, **self.train}
        try:
            settings = TrainSettings.model_validate({**train, "micro_batch": self.micro_batch})
        except ValidationError as error:
            keys, message = first_problem(TrainSettings, error)
            raise UserError(": ".join([*map(str, keys), message])) from error
        return RunSpec(
            method=self.parts,
            network=self.network,
            data=DataSpec(name=DATA, resolution=self.resolution),
            train=settings,
            protocol=None,
            seed=0,
            sources={role: WeightsFile(weights=f"rehearsal-{role}") for role in needed_sources(self.parts)},
        )


@dataclass(frozen=True)
class RehearsalOutcome:
    """The outcome of one rehearsal: the measurements, or why there are none."""

    configuration: Configuration
    measured: dict[str, Any] | None
    problem: str = ""


class _File(Frozen):
    images_from: DataSpec
    groups: tuple[dict[str, Any], ...]


def load_configurations(path: Path = LIST) -> tuple[DataSpec, list[Configuration]]:
    """The data set whose images are enlarged to paper size, and all configurations of a list.

    Each group of the file has settings that its `configurations` share. A configuration with a `row` has the settings
    of that row of the `table` that it or its group names, in its `column` or the first one in which the row is trained,
    where it gives none of its own. Raises UserError with file
    and line.
    """
    file = validate(_File, load_yaml(path), path)
    table = cache(load_table)
    configurations: dict[str, Configuration] = {}
    for number, group in enumerate(file.groups):
        shared = {key: value for key, value in group.items() if key != "configurations"}
        own = group.get("configurations")
        if not isinstance(own, list) or not all(isinstance(own_settings, dict) for own_settings in own):
            raise mistake(path, ("groups", number), "configurations must be a list of mappings")
        # The settings of a configuration replace those of its group
        for position, own_settings in enumerate(own):
            keys = ("groups", number, "configurations", position)
            try:
                settings = _with_row({**shared, **own_settings}, table)
                configuration = validate(Configuration, settings, path, keys)
            except UserError as error:
                raise error if str(path) in str(error) else mistake(path, keys, str(error)) from error
            if configuration.id in configurations:
                raise mistake(path, (*keys, "id"), f"'{configuration.id}' is given twice")
            configurations[configuration.id] = configuration
    return file.images_from, list(configurations.values())


def _with_row(settings: dict[str, Any], table: Callable[[str], Table]) -> dict[str, Any]:
    """The settings, over those of the table's row that they name. Raises UserError for an unknown table or row."""
    named = {key: settings[key] for key in ("table", "row", "column") if key in settings}
    own = {key: value for key, value in settings.items() if key not in named}
    if "row" not in named:
        return own
    if not isinstance(named.get("table"), str) or not isinstance(named["row"], str):
        raise UserError("row: needs the name of a table (`table`, here or for the whole group) and of a row of it")
    if not isinstance(named.get("column", ""), str):
        raise UserError(f"column: '{named['column']}' is no column's id")
    return {**row_settings(table(named["table"]), named["row"], named.get("column")), **own}


def pick(configurations: Sequence[Configuration], ids: Sequence[str]) -> list[Configuration]:
    """The configurations of these ids, or all if there are none. Raises UserError for an unknown id."""
    by_id = {configuration.id: configuration for configuration in configurations}
    for name in ids:
        if name not in by_id:
            raise UserError(f"unknown configuration '{name}'; {did_you_mean(name, by_id)}")
    return [by_id[name] for name in dict.fromkeys(ids)] if ids else list(configurations)


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
