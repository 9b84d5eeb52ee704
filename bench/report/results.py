"""From run folders and recorded sets to one frame of scores, one line per score."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.evaluate.registry import gives, on_features, output_card
from bench.evaluate.traces import traced
from bench.machine.provenance import short_commit
from bench.plan.expand import Table
from bench.plan.folders import store_root
from bench.plan.inputs import Machine
from bench.plan.load import load_table
from bench.plan.waiting import refuse_waiting
from bench.report.frame import COLUMNS, OPTIONAL, as_frame
from bench.report.origins import commits, facts, judged
from bench.report.picture_rows import picture_lines
from bench.report.recorded import load_recorded
from bench.spec.own_rows import row_id
from bench.spec.run import RunSpec
from bench.store.runs import RunFolder, SeenRun, Store


def load_results(
    table: str | Table,
    scale: str = "smoke",
    store: str | Path | Store | None = None,
    recorded: str | None = None,
    *,
    methods: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    asked: Collection[str] = (),
) -> pd.DataFrame:
    """All scores of a table at a scale, one line per row, column, metric, seed and step: `COLUMNS`.

    The status is done, diverged, running, interrupted, lost, failed, stale or missing. A run without any score has
    one line per metric with a nan value, so that no planned run goes unseen; the metric of one that gives pictures
    alone is "". Control rows, and seeds beyond the table's own, appear once they have a run folder.

    table: a name, the path of a YAML file, or a Table.
    store: a folder of runs. None: $BENCH_STORE, else the project file's, else results/runs.
    recorded: a recorded set that fills in for runs which the store lacks, matched by the run's identity. Rows of
    pictures from elsewhere (bench.report.picture_rows) are of this set, or of all.
    methods: rows of your own, "mine + disp" or "label=mine + disp", as `--method` takes them.
    settings: for example {"train.steps": 300}, as `--set` takes them.
    seeds: only these; None: the table's own and all that have been run.
    asked: control rows and rows of your own that count as planned, like the table's other rows.
    Raises UserError for unknown names.
    """
    if isinstance(table, Table) and settings:
        raise UserError("settings go with a table's name: load_table(name, settings) makes a Table with them")
    # The table with the user's rows and settings, and where its runs may lie.
    spec = load_table(table, dict(settings or {})) if isinstance(table, str) else table
    spec = spec.with_methods(methods)
    spec.at(scale)
    refuse_waiting(spec)
    asked = {*asked, *(row_id(text) for text in methods)}
    store = store if isinstance(store, Store) else Store(Path(store) if store is not None else store_root())
    recorded_lines = _recorded_lines(recorded, spec.name, scale) if recorded else {}
    lines: list[dict[str, Any]] = []
    # The seeds to look for: the planned ones, and any that has been run or recorded.
    known_seeds = _seeds_in(store) | {int(line["seed"]) for run_lines in recorded_lines.values() for line in run_lines}
    every = sorted(known_seeds | set(range(spec.seeds_at(scale)))) if seeds is None else list(seeds)
    planned_seeds = set(range(spec.seeds_at(scale)) if seeds is None else seeds)
    machine = Machine(store)
    of_rows, of_columns = {row.id: row.output for row in spec.rows}, {one.id: one.output for one in spec.columns}
    # Each run's lines: from the store, else from the recorded set, else as missing where it is planned.
    for names, run, planned in _runs(spec, scale, every, asked):
        folder, own = store.folder(run.uid), list[dict[str, Any]]()
        if folder.spec_file.exists():
            own = [{**names, **line} for line in _folder_lines(SeenRun(folder.path), run, machine)]
        elif run.uid in recorded_lines:
            own = [{**line, **names} for line in recorded_lines[run.uid]]
        elif planned and run.seed in planned_seeds:
            own = [{**names, **line} for line in _empty_lines(run, "missing")]
        shown = of_rows.get(str(names["row"])) or of_columns.get(str(names["column"]))
        lines += [line for line in own if shown in (None, line["metric"]) or names["kind"] == "reference"]
    lines += picture_lines(spec, scale, recorded, seeds)
    return judged(as_frame(lines, COLUMNS), machine)


def _runs(
    spec: Table, scale: str, seeds: Sequence[int], asked: Collection[str]
) -> Iterator[tuple[dict[str, Any], RunSpec, bool]]:
    """Every run the table may have: what names its lines, its spec, whether its row is planned."""
    for column in spec.columns:
        for row in spec.rows:
            if not spec.shows(row, column, scale):
                continue  # printed only, or left out by the paper
            if row.added and row.id not in asked and not spec.fits(row, scale):
                continue  # a row of the project file that needs a source this table lacks
            for seed in seeds:
                names = {"row": row.id, "column": column.id, "seed": seed, "kind": "train"}
                yield names, spec.shown_spec(row, column, seed, scale), not row.control or row.id in asked
        for point in spec.points(column, scale):
            for seed in seeds:
                names = {"row": point, "column": column.id, "seed": seed, "kind": "reference"}
                yield names, spec.reference_spec(point, column, seed, scale), True


def _seeds_in(store: Store) -> set[int]:
    """The seeds of all run folders: `--seeds` may have asked for more than the table's own."""
    matches = (re.search(r"_s(\d+)_[0-9a-f]{12}$", folder.uid) for folder in store)
    return {int(match[1]) for match in matches if match}


def _folder_lines(folder: RunFolder, run: RunSpec, machine: Machine) -> list[dict[str, Any]]:
    status = machine.status(folder)
    if status == "planned":
        # An evaluation that was asked for says what has become of its run, without a run of its own
        failed = run.evaluated is not None and machine.store.folder(run.evaluated.uid).status() == "failed"
        return _empty_lines(run, "failed" if failed else "missing")
    commit = ", ".join(commits(folder)) or _commit(folder)
    seconds = float((folder.result() or {}).get("seconds", 0.0))
    rest = {"status": status, "uid": run.uid, "origin": "runs", "commit": commit, "train_seconds": seconds,
            **facts(folder, machine)}  # fmt: skip
    lines = [{**line, **rest} for line in folder.metrics()]
    return lines or [{**line, **rest} for line in _empty_lines(run, status)]


def _empty_lines(run: RunSpec, status: str) -> list[dict[str, Any]]:
    """One line per metric of a run that has no score; of one that gives pictures alone a line without a metric."""
    measure, protocol = run.measure.name if run.measure else "", run.protocol
    scored = (*protocol.metrics, *(traced(protocol) if run.kind == "train" else ())) if protocol else ()
    rest = {"status": status, "uid": run.uid, "origin": "runs", "value": math.nan, "measure": measure}
    metrics = gives(run) if run.measure else scored
    split = protocol.split if protocol else OPTIONAL["reference_split"]
    if run.measure and not metrics:
        return [{"metric": "", "extractor": "", "reference_split": split, **rest}]
    return [
        {
            "metric": metric.name,
            "extractor": on_features(metric.extractor),
            "version": output_card(metric.name).version,
            "reference_split": split,
            **rest,
        }
        for metric in metrics
    ]


def _commit(folder: RunFolder) -> str | None:
    """The code of the last start, with "+" where files differed from the commit."""
    try:
        entry = json.loads(folder.provenance_file.read_text())[-1]
    except (FileNotFoundError, json.JSONDecodeError, IndexError):
        return None
    return short_commit(entry)


def _recorded_lines(name: str, table: str, scale: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of a recorded set by run: of this table, else of another that has the run too."""
    frame = load_recorded(name, scale=scale)
    lines: dict[str, list[dict[str, Any]]] = {}
    for (_, _, uid), group in frame.assign(other=frame["table"] != table).groupby(["other", "table", "uid"]):
        own = group.drop(columns="other").drop_duplicates(["metric", "extractor", "step"])  # several rows may show it
        lines.setdefault(str(uid), list(own.to_dict("records")))  # type: ignore[arg-type]  # all names of columns are text
    return lines
