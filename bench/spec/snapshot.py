"""Whose weights a measure of a finished run looks at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import PlainValidator


def _snapshot(value: Any) -> Any:
    """best, final, or a step. Raises ValueError for anything else."""
    if value in ("best", "final") or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError("must be best, final, or a step that the training keeps (0: the untrained networks)")


# The best or the final snapshot of a run, a step that it keeps (`protocol.keep`), or 0: its untrained networks
AnySnapshot = Annotated[Literal["best", "final"] | int, PlainValidator(_snapshot)]
