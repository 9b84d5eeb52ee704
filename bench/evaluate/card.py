"""The card of a measure of finished runs: its settings, its outputs, what it needs of a run, how it is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.errors import UserError
from bench.metrics.output import Output
from bench.spec.cell import USES
from bench.spec.run import Frozen, RunSpec, WeightsFile
from bench.spec.snapshot import AnySnapshot

if TYPE_CHECKING:
    import numpy as np

    from bench.data.picture_grid import PictureGrid
    from bench.metrics.scores import Score

NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
Need = Literal["generator", "discriminator", "labels", "attributes"]


class PlainSettings(Frozen):
    """The settings of a measure that looks at no run: its own alone, and it extends this.

    They are a part of an evaluation's identity, unless they are None: a setting that is added later has the default
    None, which does what the measure did before. One named `extractor` says on which features the outputs are
    that are not `featureless`.
    """

    @property
    def inference(self) -> dict[str, Any]:
        """The settings of the run's method that differ from those it was trained with."""
        return {}


class MeasureSettings(PlainSettings):
    """The settings that every measure of runs has; a measure with more of them extends this.

    snapshot: whose weights are looked at: best, final, a step that the training keeps (`protocol.keep`), or 0, the
    untrained networks; a table's default is its own rule.
    sampling: how the method draws its conditions (of disp: mix, pure, gmm-1000@200000, ...); None: its own way.
    """

    snapshot: AnySnapshot = "final"
    sampling: str | None = None

    @property
    def inference(self) -> dict[str, Any]:
        """The settings of the run's method that differ from those it was trained with."""
        return {} if self.sampling is None else {"sampling": self.sampling}


@dataclass(frozen=True)
class Value:
    """One output of a measure: its name and its value.

    error: the standard deviation of what it is a mean of (trials, pairs), or the standard error, if the summary
    of its output calls it one; None: neither.
    n_generated, n_reference: how many images it is of. reference_sha256: which reference images, "" for none.
    """

    output: str
    value: float
    error: float | None = None
    n_generated: int = 0
    n_reference: int = 0
    reference_sha256: str = ""


@dataclass(frozen=True)
class Result:
    """What taking a measure gives: a value of every output, images (N, H, W, 3) uint8 of which a sheet is kept, and a
    grid of pictures, where the card says that it gives one.

    arrays: further numbers by name, which are kept whole (`RunFolder.arrays`).
    """

    values: Sequence[Value | Score] = ()
    images_NHWC: np.ndarray | None = None
    grid: PictureGrid | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunMeasure:
    """A measure of finished runs. Raises UserError for values that a card cannot have.

    compute: takes the `Subject`, and the settings as an instance of `settings`; one seed of a table is one call of it,
    so repeats inside are averaged, and their spread is a value's `error`.
    outputs: the numbers that it gives; none where it gives the protocol's own scores, or pictures alone.
    gives: the names of those outputs that it gives under these settings; None: all of them.
    scores: whether it gives the protocol's scores beside its outputs.
    pictures: whether it gives a grid of pictures, which figures show.
    samples: whether the images that it gives are the run's first ones, as `Subject.images` has them, and no others.
    of_run: False for a measure that looks at no finished run (the cost of a step): its settings extend `PlainSettings`,
    it is given a `Material`, and its task has the seed, the data and what `uses` names of a cell's settings (method,
    network, train, protocol); nothing is trained for it. `check` is given the task itself.
    exclusive: whether nothing else may be at work beside it on its machine, as it measures time.
    needs: what a run must have, beside its images.
    sources: the roles of further runs or weights that it reads, such as a detector; a table says what fills a role.
    reads: which of these roles it reads with given settings; None: all.
    check: whether it can be taken of a run, given its spec and the settings; raises UserError before anything trains.
    check_sources: whether its settings fit the further runs or weights that it reads, by role; likewise.
    seconds: about how long it takes, while no evaluation of its kind has finished; None: no longer than a training.
    """

    name: str  # in tables and on the command line
    summary: str  # in one line, for `bench list measures`
    compute: Callable[[Any, Any], Result]  # of a Subject, or of a Material where it looks at no run
    version: int = 1  # of its meaning: values of two versions are never averaged or compared
    settings: type[PlainSettings] = MeasureSettings
    outputs: tuple[Output, ...] = ()
    gives: Callable[[Any], Sequence[str]] | None = None
    scores: bool = False
    pictures: bool = False
    samples: bool = False
    needs: tuple[Need, ...] = ("generator",)
    sources: tuple[str, ...] = ()
    reads: Callable[[Any], tuple[str, ...]] | None = None
    check: Callable[[RunSpec, Any], None] | None = None
    check_sources: Callable[[Mapping[str, RunSpec | WeightsFile], Any], None] | None = None
    seconds: float | None = None
    of_run: bool = True
    uses: tuple[str, ...] = ()
    exclusive: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise UserError(f"measure '{self.name}' must be lower-case words joined by hyphens")
        if self.version < 1 or (self.seconds is not None and self.seconds <= 0):
            raise UserError(f"measure '{self.name}': version must be at least 1, and seconds above 0")
        if odd := [need for need in self.needs if need not in get_args(Need)]:
            raise UserError(f"measure '{self.name}': needs names '{odd[0]}', must be of {', '.join(get_args(Need))}")
        if "run" in self.sources:
            raise UserError(f"measure '{self.name}': a source cannot be called 'run', as the evaluated run is")
        if self.of_run != issubclass(self.settings, MeasureSettings):
            base = "MeasureSettings" if self.of_run else "PlainSettings, which have no snapshot and no sampling"
            raise UserError(f"measure '{self.name}': of_run is {self.of_run}, so its settings must extend {base}")
        if self.of_run and self.uses:
            raise UserError(f"measure '{self.name}': uses is for a measure that looks at no run (of_run=False)")
        if not self.of_run and not self.outputs:
            raise UserError(f"measure '{self.name}': it looks at no run, so it must have outputs")
        if unknown := [use for use in self.uses if use not in USES]:
            raise UserError(f"measure '{self.name}': uses names '{unknown[0]}', must be of {', '.join(USES)}")
        names = [output.name for output in self.outputs]
        if len(set(names)) < len(names):
            raise UserError(f"measure '{self.name}': two of its outputs have one name")
