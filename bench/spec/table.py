"""What a table is: one YAML file (see bench/tables/); bench.plan.expand makes the runs of its cells."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag, field_validator, model_validator

from bench.errors import UserError, did_you_mean
from bench.spec.claim import Claim
from bench.spec.inception import Inception
from bench.spec.run import DataSpec, Frozen, NetworkSpec, Protocol, TrainSettings, WeightsFile

Scale = Literal["smoke", "mini", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "mini", "paper")
NO_PAPER = {"", "-", "none", "null", "nil", "no", "n/a"}  # words that YAML reads as text, and people mean as nothing


def _method_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a method is text such as 'diffaugment + disp(prior=vgg16)'")
    return value


class Row(Frozen):
    """A row: the paper's label with our method, or with the reason why only its printed numbers are shown."""

    id: str = Field(pattern=r"^[a-z0-9+.-]+$")
    label: str
    method: Annotated[str | None, BeforeValidator(_method_text)] = None
    control: bool = False  # ours, not the paper's; trained only when named
    added: bool = False  # the user's own, from --method
    printed_only: str | None = None  # why we do not train it

    @model_validator(mode="after")
    def _one_kind(self) -> Row:
        if (self.method is None) == (self.printed_only is None):
            raise ValueError("a row has either a method or the reason why it is printed only")
        return self


class Column(Frozen):
    """A column: one data set of the paper."""

    id: str = Field(pattern=r"^[a-z0-9-]+(@[0-9]+)?$")
    label: str
    added: bool = False  # a data set that the user names as a column: see bench.plan.set_columns


class ColumnData(Frozen):
    """A column's data and counts at one scale; `stand_in` names what a stand-in data set stands for."""

    data: DataSpec
    generated: PositiveInt
    reference: PositiveInt
    stand_in: str | None = None


class RowOverride(Frozen):
    """What a row does differently at one scale; its own network replaces the scale's, options included."""

    method: str | None = None
    network: NetworkSpec | None = None
    train: dict[str, Any] = Field(default_factory=dict)


class SourceRun(Frozen):
    """A run that other runs start from, trained once and shared."""

    method: str
    network: NetworkSpec | None = None
    data: DataSpec
    train: TrainSettings
    seed: int = 0


def _source_kind(value: Any) -> str:
    """Which of the two kinds a source is, so that pydantic reports a mistake in it for that kind only."""
    is_file = "weights" in value if isinstance(value, dict) else isinstance(value, WeightsFile)
    return "WeightsFile" if is_file else "SourceRun"


Source = Annotated[
    Annotated[SourceRun, Tag("SourceRun")] | Annotated[WeightsFile, Tag("WeightsFile")],
    Discriminator(_source_kind),
]


class Resources(Frozen):
    """What one run takes, as far as the table's authors know: for packing short runs and for fitting memory.

    The figures of finished runs of the same kind win over these.
    """

    minutes: float | None = Field(default=None, gt=0)
    memory_gb: float | None = Field(default=None, gt=0)
    gpu_memory_gb: float | None = Field(default=None, gt=0)


class ScaleSpec(Frozen):
    """One scale of a table."""

    network: NetworkSpec
    train: TrainSettings
    protocol: Protocol
    columns: dict[str, ColumnData]
    sources: dict[str, Source] = Field(default_factory=dict)
    rows: dict[str, RowOverride] = Field(default_factory=dict)
    resources: Resources | None = None
    cost: tuple[str, ...] = ()  # what is known of time, memory and disk, each with its basis

    @model_validator(mode="before")
    @classmethod
    def _counts_are_per_column(cls, value: Any) -> Any:
        """Fill the protocol's `generated` and `reference` with a placeholder: each column has its own counts."""
        if isinstance(value, dict) and isinstance(value.get("protocol"), dict):
            value = {**value, "protocol": {"generated": 1, "reference": 1, **value["protocol"]}}
        return value


class TableSpec(Frozen):
    """A table of a paper."""

    schema_version: Literal[1] = 1
    name: str
    title: str
    paper: str | None = None  # None: no paper's table
    seeds: PositiveInt = 3
    snapshot: Literal["best", "final"]  # the paper's rule; a report prints the other beside it
    best_of: PositiveInt = 1  # how many runs the paper chose its number from
    metrics: tuple[str, ...]
    inception: Inception = "unknown"  # whose features the printed numbers are on
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    references: tuple[str, ...] = ()  # reference points: see bench.data.reference
    scales: dict[Scale, ScaleSpec]
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()

    @field_validator("paper")
    @classmethod
    def _is_a_paper(cls, value: str | None) -> str | None:
        if value is not None and value.strip().lower() in NO_PAPER:
            raise ValueError(f"'{value}' would be a paper of that name; leave the key out where there is none")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> TableSpec:
        # Ids are unique, and scales have every column and override no unknown row.
        rows, columns = [row.id for row in self.rows], [column.id for column in self.columns]
        for label, names in (("row", rows), ("column", columns)):
            if len(set(names)) != len(names):
                raise ValueError(f"a {label} id is given twice")
        for scale, spec in self.scales.items():
            if missing := set(columns) - set(spec.columns):
                raise ValueError(f"scale {scale} lacks the column '{min(missing)}'")
            if odd := set(spec.rows) - set(rows):
                raise ValueError(
                    f"scale {scale} overrides the unknown row '{min(odd)}'; {did_you_mean(min(odd), rows)}"
                )
        # Claims name rows (or reference points) and columns that exist.
        scored = [*rows, *self.references]
        for claim in self.claims:
            orders = claim.orders
            compared = [name for order in orders for name in (order.lower, order.higher)]
            within = [name for order in orders for name in order.columns]
            for label, named, known in (("row", compared, scored), ("column", within, columns)):
                for name in sorted(set(named) - set(known)):
                    raise ValueError(
                        f"claim {claim.id} names the unknown {label} '{name}'; {did_you_mean(name, known)}"
                    )
        return self

    @property
    def added_columns(self) -> set[str]:
        """The ids of the columns that are not the table's own."""
        return {column.id for column in self.columns if column.added}

    def at(self, scale: str) -> ScaleSpec:
        """The settings of one scale; UserError if the table lacks it."""
        if scale not in self.scales:
            raise UserError(f"table '{self.name}' has no scale '{scale}'; {did_you_mean(scale, self.scales)}")
        return self.scales[scale]

    def main_metric(self, scale: str) -> str | None:
        """The score that a report shows first, and that a claim without a metric is about.

        It is the score that picks the best snapshot, else the table's first; None for a table without scores.
        """
        selects = self.at(scale).protocol.selects
        if selects is not None and selects.name in self.metrics:
            return selects.name
        return self.metrics[0] if self.metrics else None

    def claims_at(self, scale: str) -> tuple[Claim, ...]:
        """The claims, with the main metric of a scale where they name none."""
        return tuple(claim.by_default(self.main_metric(scale)) for claim in self.claims)

    def pick_rows(self, names: list[str] | None) -> list[Row]:
        """The named rows; without names the paper's trained rows. `controls` names all control rows."""
        trained = [row for row in self.rows if row.printed_only is None]
        if names is None:
            return [row for row in trained if not row.control]
        known = {row.id: row for row in self.rows}
        picked: list[Row] = []
        for name in names:
            if name == "controls":
                picked += [row for row in trained if row.control]
                continue
            if name not in known:
                raise UserError(f"unknown row '{name}' of {self.name}; {did_you_mean(name, known)}")
            if why := known[name].printed_only:
                raise UserError(f"row '{name}' of {self.name} is printed only, it is not trained: {why}")
            picked.append(known[name])
        return list({row.id: row for row in picked}.values())

    def pick_columns(self, names: list[str] | None) -> list[Column]:
        """The named columns; without names all."""
        known = {column.id: column for column in self.columns}
        for name in names or ():
            if name not in known:
                raise UserError(f"unknown column '{name}' of {self.name}; {did_you_mean(name, known)}")
        return [known[name] for name in dict.fromkeys(names)] if names is not None else list(self.columns)
