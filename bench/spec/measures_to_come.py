"""Measures of finished runs that tables may name and this version does not have, each with what it will measure."""

from __future__ import annotations

# A table that names one loads and is listed, shows its printed numbers, and is not planned. Whoever adds the measure's
# card (bench/evaluate/cards/) takes its line away.
MEASURES_TO_COME: dict[str, str] = {}
