"""Check that a claim names rows, columns and scores that its tables have."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import is_known, output_card
from bench.files.yamlfile import Keys
from bench.spec.claim import Claim
from bench.spec.operand import cells_in
from bench.spec.relation import Count
from bench.spec.table import TableSpec

Find = Callable[[str], TableSpec | None]  # the table of a name; None where nothing is known of it


def claim_problem(claim: Claim, home: str, find: Find) -> str | None:
    """The first name in a claim that a table does not have, for the user; None if there is none."""
    try:
        for table, cell, metric in claim.cells(home):
            if (spec := find(table)) is not None:
                _known(claim, spec, "row", cell.row, [*(row.id for row in spec.rows), *spec.references])
                if metric is not None:
                    _known(claim, spec, "metric", metric, spec.metrics)
                if cell.column is not None:
                    _known(claim, spec, "column", cell.column, [column.id for column in spec.columns])
        _refuse_unranked(claim)
        for table, column in claim.columns(home):
            if (spec := find(table)) is not None:
                _known(claim, spec, "column", column, [one.id for one in spec.columns])
    except UserError as error:
        return str(error)
    return None


def _refuse_unranked(claim: Claim) -> None:
    """UserError for a claim on the best of numbers of which neither way is better."""
    for relation in claim.all_of:
        for cell in cells_in(relation) if isinstance(relation, Count) else ():
            name = cell.metric or relation.metric
            if name is not None and is_known(name) and not output_card(name).ranks:
                raise UserError(f"claim {claim.id} counts the best of '{name}', of which neither way is better")


def problem(table: TableSpec, find: Find) -> tuple[Keys, str] | None:
    """The place of the first of a table's own claims that names what is not there, with the message; None if none does.

    find: raises UserError for a table that there is not.
    """
    for number, claim in enumerate(table.claims):
        if message := claim_problem(claim, table.name, lambda name: table if name == table.name else find(name)):
            return ("claims", number), message
    return None


def _known(claim: Claim, spec: TableSpec, label: str, name: str, names: Iterable[str]) -> None:
    if name not in set(names):
        raise UserError(
            f"claim {claim.id} names the unknown {label} '{name}' of {spec.name}; {did_you_mean(name, names)}"
        )
