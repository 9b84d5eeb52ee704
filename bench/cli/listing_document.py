"""What `bench list --json` says: names with what they are, by kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bench.contract.discovery import methods
from bench.data.known import datasets
from bench.store.runs import Store

Entries = list[dict[str, Any]]


def entries(kind: str, store: Store) -> Entries:
    """The entries of a kind (bench.cli.listing.KINDS): `name`, mostly `summary`, and what the kind has beside."""
    # Methods, data, networks, extractors
    if kind == "methods":
        return _plain((entry.name, entry.summary) for entry in methods())
    if kind == "datasets":
        return _plain((entry.name, entry.summary) for entry in datasets())
    if kind == "networks":
        from bench.networks import summaries

        return _plain(sorted(summaries().items()))
    if kind == "extractors":
        from bench.features import available, extractors

        return [
            {"name": entry.name, "summary": entry.summary, "lacks": available(entry.name)} for entry in extractors()
        ]
    # What is measured of images and of runs
    if kind == "metrics":
        from bench.metrics import PYTHON_ONLY
        from bench.metrics.measures import measures

        named = [{"name": entry.name, "summary": entry.summary, "command_line": True} for entry in measures()]
        return named + [{"name": name, "summary": text, "command_line": False} for name, text in PYTHON_ONLY.items()]
    if kind == "measures":
        from bench.evaluate.registry import run_measures

        return _plain((entry.name, entry.summary) for entry in run_measures())
    # What there is in records and tables
    if kind == "recorded":
        from bench.report.recorded import holdings, recorded_sets

        return [{"name": name, "holds": [_holding(*one) for one in holdings(name)]} for name in recorded_sets()]
    from bench.cli.table_list import table_states

    states = table_states(store)
    return [asdict(state) | {"at": {scale: asdict(at) for scale, at in state.at.items()}} for state in states]


def _holding(table: str, scale: str, runs: int) -> dict[str, Any]:
    return {"table": table, "scale": scale, "runs": runs}


def _plain(pairs: Iterable[tuple[str, str]]) -> Entries:
    return [{"name": name, "summary": summary} for name, summary in pairs]
