"""Under which column of which table images are scored: by data set, resolution, column or protocol, as a user says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.errors import UserError, did_you_mean
from bench.metrics.of_training import looks_at_training
from bench.plan.expand import Table
from bench.report.chosen_scores import chosen_scores
from bench.report.picture_measures import split_measures
from bench.spec.row_column import Column
from bench.spec.run import DataSpec, Protocol


def pick_column(
    table: Table,
    scale: str,
    dataset: str | None,
    resolution: int | None,
    column: str | None,
    protocol: str | None = None,
    measures: Sequence[str] | None = None,
) -> Column:
    """The column of a table that has this data set at a scale; the first of several with the same protocol.

    protocol: only those that are scored under the protocol of this name.
    measures: which scores, as --measures has them: some depend on the training images too.
    Raises UserError if no column fits (the message lists the columns), or if several with different protocols do.
    """
    columns = table.scored_columns(scale)
    candidates = table.pick_columns(None if column is None else [column])
    if column is not None:
        table.scored(candidates[0], scale)  # which raises, where its rows have the images or the protocol
    matches = [
        candidate
        for candidate in candidates
        if candidate.id in columns
        and dataset in (None, columns[candidate.id].data.name)
        and resolution in (None, columns[candidate.id].data.resolution)
        and protocol in (None, columns[candidate.id].protocol.name)
    ]
    available = ", ".join(f"{name}: {_set_text(scored.data)}" for name, scored in columns.items()) or "none of its own"
    where = f"{table.name} at scale {scale}"
    # Nothing fits: name what was asked for, and the nearest data set or all that the table has.
    if not matches:
        request = " ".join(
            [
                *([f"'{dataset}'"] if dataset else []),
                *([f"at {resolution} px"] if resolution else []),
                *([f"under protocol '{protocol}'"] if protocol else []),
            ]
        )
        sets = {candidate.data.name for candidate in columns.values()}
        slip = did_you_mean(dataset, sets) if dataset is not None and dataset not in sets else ""
        if slip.startswith("did you mean"):
            raise UserError(f"no column of {where} is {request}; {slip}")
        raise UserError(
            f"no column{f' {column}' if column else ''} of {where} is {request}; it has {available}. "
            "Another --table or --scale, or a table of your own (--table mine.yaml), has other sets"
        )
    # Several columns fit: any will do if they agree in data set and protocol.
    kinds = [_kind(columns[candidate.id].data, columns[candidate.id].protocol, measures) for candidate in matches]
    if any(kind != kinds[0] for kind in kinds):
        raise UserError(f"several columns of {where} fit: {available}; name one by --column or --dataset")
    return matches[0]


def table_with_protocol(tables: Iterable[Table], scale: str, protocol: str, dataset: str | None) -> Table:
    """The first of some tables that scores something under a protocol of this name at a scale, on a data set if named.

    Raises UserError where none does; the message has the nearest name, or the data sets that the protocol is for.
    """
    names: set[str] = set()
    sets: set[str] = set()
    for table in tables:
        if scale not in table.scales:
            continue
        scored = table.scored_columns(scale).values()
        names |= {one.protocol.name for one in scored}
        own = {one.data.name for one in scored if one.protocol.name == protocol}
        if own and dataset in (None, *own):
            return table
        sets |= own
    if sets:
        raise UserError(f"protocol '{protocol}' at scale {scale} is not for data set '{dataset}'; it is for "
                        f"{', '.join(sorted(sets))}")  # fmt: skip
    raise UserError(f"no table scores under a protocol '{protocol}' at scale {scale}; {did_you_mean(protocol, names)}")


def _kind(data: DataSpec, protocol: Protocol, measures: Sequence[str] | None) -> tuple[object, Protocol]:
    """What the scores of a column depend on: its draw too where training images are the reference or looked at."""
    scores, others = split_measures(measures)
    scored = protocol.model_copy(update={"metrics": chosen_scores(scores, protocol.metrics)})
    drawn = protocol.split in ("training-images", "train-pool") or looks_at_training(scored) or bool(others)
    return (data if drawn else _set_text(data)), protocol


def _set_text(data: DataSpec) -> str:
    return f"{data.name} at {data.resolution} px"
