"""What a run is: plain, validated, hashable data.

A RunSpec holds everything that can change a run's result and nothing else: devices, workers, paths and site profiles
are not in it. So its hash is the run's identity.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

OnlyTrue = Annotated[bool | None, AfterValidator(lambda value: value or None)]  # one way to say no: None


class Frozen(BaseModel):
    """Immutable data; an unknown key is an error. A schema is built when it is first used: a command needs few."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; what had been derived from the fields is derived anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Part(Frozen):
    """One part of a method with its resolved settings.

    source: the digest of the code of a part from outside this project (a plug-in, another package), so that an edited
    part makes another run. None for our own parts, whose `version` does that.
    """

    name: str
    version: int = 1
    settings: dict[str, Any] = {}
    source: str | None = None


class NetworkSpec(Frozen):
    """A named generator/discriminator pair and the options that differ from its defaults."""

    name: str
    options: dict[str, Any] = {}


class DataKeys(Frozen):
    """The keys of a `DataSpec`, each right by itself; the rules over several of them are the whole's."""

    name: str
    resolution: PositiveInt
    shots: PositiveInt | None = None  # so many images of the train pool
    share: float | None = Field(default=None, gt=0, lt=1)  # or this share of it; without either, all of it
    draw: Literal["seed", "fixed"] | None = None  # fixed: all seeds have the draw of seed 0
    balanced: OnlyTrue = None  # as many images of every class
    holdout: float | None = Field(default=None, gt=0, lt=1)  # share of the train split that is kept out of training
    corrupt_labels: float | None = Field(default=None, gt=0, le=1)  # share of the drawn labels that are made wrong
    labels: Literal["none"] | None = None  # none: the run sees neither classes nor attributes

    @field_validator("shots", "share", "holdout", "corrupt_labels", mode="before")
    @classmethod
    def _is_a_number(cls, value: Any) -> Any:
        if isinstance(value, bool):  # which would count as 1: one shot, all labels wrong
            raise ValueError(f"{str(value).lower()} is no number; leave the key out for none")
        return value

    @field_validator("draw")
    @classmethod
    def _by_seed_unless_said(cls, value: str | None) -> str | None:
        return None if value == "seed" else value


class DataSpec(DataKeys):
    """A data set at one resolution, and which of its training images a run has (bench.data.draws).

    Fields are None where unused, and are then no part of a run's identity. The train pool is the train split without
    the holdout.
    """

    @model_validator(mode="after")
    def _agrees(self) -> DataSpec:
        if self.shots is not None and self.share is not None:
            raise ValueError(f"shots is {self.shots} and share is {self.share:g}; leave one of them out")
        if self.balanced and self.shots is None and self.share is None:
            raise ValueError("balanced is true, but all images are taken; give shots or share, or leave it out")
        random = (self.shots, self.share, self.holdout, self.corrupt_labels)
        if self.draw == "fixed" and not any(random):
            raise ValueError("draw is fixed, but nothing is drawn; give shots, share, holdout or corrupt_labels")
        for name in ("balanced", "corrupt_labels"):
            if self.labels == "none" and getattr(self, name):
                raise ValueError(f"labels is none, but {name} needs labels; leave one of them out")
        return self


class TrainKeys(Frozen):
    """The keys of `TrainSettings`, each right by itself; the rules over several of them are the whole's."""

    steps: PositiveInt
    batch: PositiveInt
    d_steps: PositiveInt = 1  # discriminator updates per generator update
    g_lr: float = Field(gt=0)
    d_lr: float = Field(gt=0)
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.9, ge=0, lt=1)
    loss: Literal["hinge", "non-saturating", "wasserstein"] = "hinge"
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    ema_ramp: bool = True  # decay min(ema_decay, (1 + t) / (10 + t)), so that short runs forget their start
    flip: bool = False  # random horizontal flips of the training images
    # Bit-equal resume is promised for float32 only.
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    compile: bool = False
    log_every: PositiveInt = 10
    # Settings from here on are None where unused, and are then no part of a run's identity.
    # Images at once on the device; the gradient of an update is the mean over its micro-batches.
    micro_batch: PositiveInt | None = None
    adam_eps: float | None = Field(default=None, gt=0)  # of both Adam optimisers; None: 1e-8
    # D's hinge loss has margins drawn from U(hinge_margin, 1), one for each logit (FastGAN's code: 0.8); None: 1
    hinge_margin: float | None = Field(default=None, ge=0, lt=1)
    # Images of an update of G where they are more than D's (LT-GAN, supplement 9); None: batch
    g_batch: PositiveInt | None = None
    # G's update uses the same images as D's last update, with the same augmentation (FastGAN's code)
    share_fakes: OnlyTrue = None
    # For scores, G's batch norms use the statistics of batches of so many images (FastGAN's code: 16)
    batch_statistics: int | None = Field(default=None, ge=2)
    adam: Literal["fused", "foreach", "single"] | None = None  # torch's ways; None: on a GPU fused, else torch's choice
    graphs: OnlyTrue = None  # updates are recorded once and repeated as one launch (bench.train.graphs)
    channels_last: bool | None = None  # the layout of weights; None: they have it
    # How many devices train the run together: no part of its identity, as it changes rounding alone (docs/gpus.md)
    gpus: PositiveInt | None = Field(default=None, exclude=True)

    @field_validator("channels_last")
    @classmethod
    def _one_way_to_say_yes(cls, value: bool | None) -> bool | None:
        return None if value else value


class TrainSettings(TrainKeys):
    """The optimisation, in generator steps."""

    @model_validator(mode="after")
    def _possible(self) -> TrainSettings:
        if self.g_batch is not None:
            if self.g_batch <= self.batch or self.g_batch % self.batch:
                what = f"must be {2 * self.batch} or another multiple of batch, which is {self.batch}"
                raise ValueError(f"g_batch is {self.g_batch}, {what}; leave it out for batch itself")
            if self.share_fakes:
                raise ValueError(
                    "share_fakes takes D's images for G's update, which g_batch wants more of; leave one out"
                )
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(f"micro_batch is {self.micro_batch}, must divide batch, which is {self.batch}")
        if self.hinge_margin is not None and self.loss != "hinge":
            raise ValueError(f"hinge_margin is {self.hinge_margin}, but loss is {self.loss}; leave one of them out")
        return self


class MetricSpec(Frozen):
    """One score: its name, the features it is computed on, and k where it has neighbours."""

    name: str
    extractor: str
    k: PositiveInt | None = None


ReferenceSplit = Literal["test", "training-images", "train-pool", "all"]


class ProtocolKeys(Frozen):
    """The keys of a `Protocol` but the counts, which are a column's or a cell's."""

    name: str
    version: PositiveInt
    metrics: tuple[MetricSpec, ...]
    every: PositiveInt  # snapshots at multiples of this many steps, and at the end
    first: int = 0  # no snapshot before this step
    batch: PositiveInt = 100  # images generated at once; recorded because it can change the last float digits
    # Which images the reference is of (bench.data.reference_split); None: the test split, and no part of the identity
    reference_split: ReferenceSplit | None = None
    # Steps whose weights are kept, for evaluations of them; those of the last step always are. None: no others
    keep: tuple[PositiveInt, ...] | None = None
    traces: tuple[str, ...] | None = None  # what is recorded of D beside the scores (bench.evaluate.traces)

    @field_validator("keep", "traces")
    @classmethod
    def _in_order(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return tuple(sorted(set(value))) if value else None

    @field_validator("reference_split")
    @classmethod
    def _test_unless_said(cls, value: str | None) -> str | None:
        return None if value == "test" else value


class Protocol(ProtocolKeys):
    """How snapshots are scored. Raise `version` when the meaning of a score changes."""

    generated: PositiveInt
    reference: PositiveInt

    @property
    def split(self) -> ReferenceSplit:
        """Which images the reference is of."""
        return self.reference_split or "test"

    def is_snapshot(self, step: int, last: int) -> bool:
        """Whether the weights after `step` of `last` steps are scored."""
        return step == last or (step % self.every == 0 and step >= max(self.first, 1))

    @property
    def selects(self) -> MetricSpec | None:
        """The score that picks the best snapshot (bench.metrics.selection): the first, or None if there is none."""
        return self.metrics[0] if self.metrics else None


class WeightsFile(Frozen):
    """Source weights that the user supplies: <weights root>/<weights>.pt."""

    weights: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


Snapshot = Literal["best", "final"]


class MeasureSpec(Frozen):
    """A measure of finished runs (bench.evaluate) with its resolved settings; `snapshot` is one of them."""

    name: str
    version: PositiveInt = 1
    settings: dict[str, Any] = {}


class RunSpec(Frozen):
    """One training, one reference point, or one evaluation, with one seed.

    measure: of an evaluation alone. It is of a finished training (`sources["run"]`), and then it has no method, network
    or training of its own; or of none (the cost of a step), and then it has those that its measure asks for.
    """

    schema_version: Literal[1] = 1
    kind: Literal["train", "reference", "evaluate"] = "train"
    method: tuple[Part, ...]
    network: NetworkSpec | None
    data: DataSpec
    train: TrainSettings | None
    protocol: Protocol | None
    seed: int = Field(ge=0)
    sources: dict[str, RunSpec | WeightsFile] = {}
    measure: MeasureSpec | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> RunSpec:
        if (self.kind == "evaluate") != (self.measure is not None):
            raise ValueError("an evaluation has a measure, and nothing else has one")
        if self.evaluated is not None and (self.method or self.network is not None or self.train is not None):
            raise ValueError("an evaluation of a run has no method, network or training of its own")
        return self

    def canonical(self) -> str:
        """The JSON whose hash is the identity: sorted keys, absent values left out."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True, separators=(",", ":"))

    @cached_property
    def uid(self) -> str:
        """A readable prefix and 12 hex digits of the hash; also the name of the run's folder."""
        images = self.data.shots or self.data.share or "all"
        label = f"{self.about}_{self.data.name}-{self.data.resolution}-{images}_s{self.seed}"
        slug = re.sub(r"[^a-z0-9+._-]+", "-", label.lower())[:80].strip("-")
        return f"{slug}_{hashlib.sha256(self.canonical().encode()).hexdigest()[:12]}"

    @property
    def about(self) -> str:
        """A short name for people: the method's, or that of an evaluation's measure and of its or its run's method."""
        method = readable((self.evaluated or self).method)
        return method if self.measure is None else "-".join(filter(None, [self.measure.name, method]))[:50]

    @property
    def evaluated(self) -> RunSpec | None:
        """The run that an evaluation is of; None for one that is of no run, and for every other kind."""
        return self.run_sources.get("run") if self.kind == "evaluate" else None

    @property
    def run_sources(self) -> dict[str, RunSpec]:
        """The sources that are runs themselves."""
        return {role: source for role, source in self.sources.items() if isinstance(source, RunSpec)}


def readable(parts: tuple[Part, ...]) -> str:
    """A short name for people: the parts' names, with a prior where one is set."""
    return "+".join(
        f"{part.name}-{part.settings['prior']}" if "prior" in part.settings else part.name for part in parts
    )


def reference_run(point: str, data: DataSpec, protocol: Protocol, seed: int) -> RunSpec:
    """The run that scores a reference point (real images, memorised images) under a protocol instead of a generator.

    A reference point has no steps: its identity must not depend on the snapshot schedule.
    """
    return RunSpec(
        kind="reference",
        method=(Part(name=point),),
        network=None,
        data=data,
        train=None,
        protocol=unscheduled(protocol),
        seed=seed,
    )


def unscheduled(protocol: Protocol) -> Protocol:
    """A protocol without what it says of a training's steps."""
    return protocol.model_copy(update={"every": 1, "first": 0, "keep": None, "traces": None})


def evaluation_run(
    measure: MeasureSpec, run: RunSpec, protocol: Protocol, sources: Mapping[str, RunSpec | WeightsFile] | None = None
) -> RunSpec:
    """The task that takes a measure of a finished run under a protocol; its seed and data are the run's.

    sources: what the measure needs besides. As of a reference point, the identity does not depend on the snapshot
    schedule. The last step of the run is its final snapshot, however it is named.
    """
    if run.train is not None and measure.settings.get("snapshot") == run.train.steps:
        measure = measure.model_copy(update={"settings": {**measure.settings, "snapshot": "final"}})
    return RunSpec(
        kind="evaluate",
        method=(),
        network=None,
        data=run.data,
        train=None,
        protocol=unscheduled(protocol),
        seed=run.seed,
        sources={**(sources or {}), "run": run},
        measure=measure,
    )
