"""What `bench plan --json` says: every run with its state, cells, sources and cost, and what would start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bench.cli.cost_lines import card_for
from bench.plan.cost.model import Card, Span
from bench.plan.estimate import Cost
from bench.plan.joint import JointPlan
from bench.plan.schedule import PlannedRun, Schedule

Document = dict[str, Any]


def plan_document(plan: Schedule, starting: Collection[str], sent: Mapping[str, str], cost: Cost, card: Card,
                  fits: bool | None) -> Document:  # fmt: skip
    """The document of a plan. starting: uids that would start. sent: uid -> status of those that a cluster has.

    fits: whether what would start fits --budget; None without one.
    """
    on = card_for(plan.scale, card)
    document: Document = {
        "table": plan.name,
        "scale": plan.scale,
        "runs": [_run(run, sent, starting, cost) for run in plan.runs],
        "counts": dict(sorted(plan.counts(sent).items())),
        "cost": {
            "of": "worker" if on is None else on.name,
            "seconds": _span(cost.known),
            "unknown": sum(span is None for span in cost.spans.values()),
            "disk_bytes": cost.disk_bytes,
            "fits_budget": fits,
        },
    }
    if isinstance(plan, JointPlan):
        document["tables"] = [
            {"table": part.name, "counts": dict(sorted(part.counts(sent).items()))} for part in plan.parts
        ]
        document |= {"same_runs": dict(plan.same), "waiting_for_a_measure": dict(plan.waiting)}
    return document


def _run(run: PlannedRun, sent: Mapping[str, str], starting: Collection[str], cost: Cost) -> Document:
    return {
        "uid": run.uid,
        "label": run.label,
        "kind": run.spec.kind,
        "status": sent.get(run.uid, run.status),
        "starts": run.uid in starting and run.uid not in sent,
        "cells": [{"row": cell.row, "column": cell.column, "seed": cell.seed} for cell in run.cells],
        "needs": list(run.needs),
        "changes": list(run.changes),
        "seconds": _span(cost.spans.get(run.uid)),
    }


def _span(span: Span | None) -> Document | None:
    return None if span is None else {"low": span.low, "expected": span.expected, "high": span.high}
