"""An evaluation of pictures from elsewhere kept as a row of its table, in a recorded set."""

from __future__ import annotations

import re
from pathlib import Path

from bench.errors import UserError
from bench.machine.provenance import commit
from bench.plan.inputs import Machine
from bench.report.evaluation import Evaluation, Setting
from bench.report.floors_here import HERE
from bench.report.frame import COLUMNS, as_frame
from bench.report.origins import DIGITS
from bench.report.picture_rows import PREFIX, SHORT, protocol_digest
from bench.report.recorded import Saved, refuse_set_name, save_recorded
from bench.spec.run import reference_run
from bench.store.runs import Store

ROW = r"[a-z0-9+.-]+"


def row_of(setting: Setting, method: str | None, name: str) -> str:
    """The row that pictures become in the recorded set `name`, before anything is scored.

    UserError for a name that is none, or that is a row of the table already, for scores that are not the protocol's
    own, as a row must be like its table's, and for a set's name that is none.
    """
    table = setting.table
    refuse_set_name(name)
    if odd := [metric for metric in setting.scores if metric not in setting.protocol.metrics]:
        raise UserError(f"--as keeps a row of {table.name}, whose protocol has no {odd[0].name} on {odd[0].extractor}"
                        f"{f' with k = {odd[0].k}' if odd[0].k else ''}; leave it out")  # fmt: skip
    if setting.measures:
        raise UserError(
            f"--as keeps the scores of a protocol, and {setting.measures[0].name} is a measure; leave it out"
        )
    if method is None:
        raise UserError("--as keeps the scores as a row: --method NAME says what it is called")
    if not re.fullmatch(ROW, method):
        raise UserError(f"--method '{method}': a row's name is lower-case letters, digits, '+', '.' and '-'")
    if method in {*(row.id for row in table.rows), *table.references, "controls"}:
        raise UserError(f"--method {method}: {table.name} has a row '{method}' already; choose another name")
    return method


def keep(
    evaluation: Evaluation,
    setting: Setting,
    row: str,
    name: str,
    store: Store,
    root: Path | None = None,
    *,
    replace: bool = False,
) -> Saved:
    """Keep an evaluation as the row `row` of its table, for its seed, in the recorded set `name`.

    Raises UserError as `save_recorded` does.
    """
    place = f"{setting.data.name}-{setting.data.resolution}"
    told = protocol_digest(setting.data, setting.protocol)
    rest = {
        "row": row,
        "column": setting.column.id,
        "seed": setting.seed,
        "step": 0,
        "status": "done",
        "uid": f"{PREFIX}{row}_{place}_s{setting.seed}_{told}-{evaluation.images_sha256[:SHORT]}",
        "origin": "runs",
        "kind": "train",
        "commit": commit(),
        "inputs": _inputs(setting, store),
        "remark": _remark(evaluation),
    }
    lines = [{**vars(line.score), **rest} for line in evaluation.lines]
    frame = as_frame([{key: line[key] for key in COLUMNS if key in line} for line in lines], COLUMNS)
    return save_recorded(frame, name, setting.table.name, setting.scale, root, replace=replace)


def _inputs(setting: Setting, store: Store) -> str:
    """The digests of the data set and the extractors, as runs have them: other ones make the row stale."""
    scored = setting.protocol.model_copy(update={"metrics": setting.scores})
    read = Machine(store).reads(reference_run("floor", setting.data, scored, setting.seed))
    return " ".join(f"{name}={digest[:DIGITS]}" for name, digest in sorted(read.items()))


def _remark(evaluation: Evaluation) -> str:
    """How the pictures differ from what the protocol asks for; of fewer, the floor at their count."""
    texts = list(evaluation.notes)
    counts = {line.score.n_generated for line in evaluation.lines}
    if evaluation.wanted is not None and (few := min(counts)) < evaluation.wanted:
        floors = [f"{line.label} {line.floor.value:.6g}" for line in evaluation.lines
                  if line.floor is not None and line.floor.origin == HERE]  # fmt: skip
        at = f", whose floor is {', '.join(floors)}" if floors else ""
        texts.append(f"only {few:,} of the protocol's {evaluation.wanted:,} images{at}")
    return "; ".join(texts)
