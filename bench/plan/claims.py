"""The claims of the papers: bench/claims/PAPER.yaml, by the table that each is told with.

They stand beside the tables, since many of them compare cells of several. A table of one's own has its claims in its
file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from bench import paths
from bench.files.yamlfile import load_yaml, mistake, validate
from bench.spec.claim import Claim
from bench.spec.table import TableSpec

CLAIMS = paths.PACKAGE / "claims"


def claim_papers() -> list[str]:
    """The papers that have claims."""
    return sorted(path.stem for path in CLAIMS.glob("*.yaml"))


def claims_of(table: str) -> tuple[Claim, ...]:
    """The claims of a paper that are told with a table, figure or experiment."""
    paper = table.partition("/")[0]
    return _claims(paper).get(table, ()) if paper in claim_papers() else ()


def told_with(table: TableSpec) -> tuple[Claim, ...]:
    """A table's claims: those of its file; without any its paper's, and those of the table whose runs are its own.

    A file of the user's has no folder in its name, and so no paper's claims.
    """
    if table.claims or "/" not in table.name:
        return table.claims
    return (*claims_of(table.name), *(claims_of(table.same_as) if table.same_as else ()))


def every_claim() -> Iterator[tuple[str, Claim]]:
    """(table, claim) of all papers, in the order of their files."""
    for paper in claim_papers():
        for table, claims in _claims(paper).items():
            yield from ((table, claim) for claim in claims)


@cache
def _claims(paper: str) -> dict[str, tuple[Claim, ...]]:
    """A paper's claims by table. Raises UserError naming file, line and key of a mistake."""
    path = CLAIMS / f"{paper}.yaml"
    found: dict[str, tuple[Claim, ...]] = {}
    known: set[str] = set()
    for table, values in load_yaml(path).items():
        if not str(table).startswith(f"{paper}/") or not isinstance(values, list):
            raise mistake(path, (table,), f"must be a table of {paper} with a list of claims")
        claims = tuple(validate(Claim, value, path, (table, number)) for number, value in enumerate(values))
        for number, claim in enumerate(claims):
            if problem := _problem(claim, paper, known):
                raise mistake(path, (table, number), problem)
            known.add(claim.id)
        found[str(table)] = claims
    return found


def _problem(claim: Claim, paper: str, known: set[str]) -> str | None:
    """What is wrong with a paper's claim, beyond its form."""
    if not claim.id.startswith(f"{paper}."):
        return f"the id '{claim.id}' must begin with '{paper}.'"
    if claim.id in known:
        return f"the id '{claim.id}' is given twice"
    if None in claim.metrics:
        return f"claim {claim.id} names no metric for some of its cells"
    return None
