"""What a row and a column of a table are; their settings at each scale are patches (bench.spec.scale)."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field, model_validator

from bench.spec.patch import MethodText, Of, Patch
from bench.spec.run import Frozen


class Row(Frozen):
    """A row: the paper's label with our method, or with the reason why only its printed numbers are shown."""

    id: str = Field(pattern=r"^[a-z0-9+.-]+$")
    label: str
    method: MethodText | None = None  # None: that of a patch, or of the runs that are evaluated
    group: str | None = Field(default=None, pattern=r"^[a-z0-9+.-]+$")  # rows of a group share its patch
    control: bool = False  # ours, not the paper's; trained only when named
    added: bool = False  # the user's own, from --method
    printed_only: str | None = None  # why we do not train it
    output: str | None = None  # the one score or output that it shows; None: all
    evaluate: dict[str, Any] = Field(default_factory=dict)  # laid over the table's
    of: Of = None

    @cached_property
    def patch(self) -> Patch:
        """What it says of its cells at every scale."""
        return Patch.model_construct(method=self.method, evaluate=self.evaluate, of=self.of)

    @model_validator(mode="after")
    def _one_kind(self) -> Row:
        if self.method is not None and self.printed_only is not None:
            raise ValueError("a row has either a method or the reason why it is printed only")
        return self


class Column(Frozen):
    """A column: one data set of the paper, or one of its settings."""

    id: str = Field(pattern=r"^[a-z0-9-]+(@[0-9]+)?$")
    label: str
    x: float | None = None  # its place on the axis of a curve
    added: bool = False  # a data set that the user names as a column: see bench.plan.set_columns
    output: str | None = None  # the one score or output that it shows; None: all
    evaluate: dict[str, Any] = Field(default_factory=dict)
    of: Of = None

    @cached_property
    def patch(self) -> Patch:
        """What it says of its cells at every scale."""
        return Patch.model_construct(evaluate=self.evaluate, of=self.of)
