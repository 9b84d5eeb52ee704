"""All claims of the papers, or of some tables, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bench.plan.claims import claims_of
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.report.claims.result import ClaimResult
from bench.report.claims.scores import Load, Scores
from bench.report.claims.words import READING
from bench.spec.table import Scale


@dataclass(frozen=True)
class Group:
    """The claims that are told with one table, figure or experiment."""

    table: str
    title: str
    claims: tuple[ClaimResult, ...]


@dataclass(frozen=True)
class ClaimsPage:
    """Claims by table, with their verdicts at one scale."""

    scale: Scale
    title: str
    notes: tuple[str, ...]
    groups: tuple[Group, ...]


def claims_page(tables: Iterable[str], scale: Scale, load: Load) -> ClaimsPage:
    """The claims of tables, judged by their runs at a scale.

    load: gives a table with its results; it is asked for those that claims compare, once each.
    """
    known, scores = KnownTables(), Scores(scale, load)
    groups = []
    for table in tables:
        claims = tuple(judge(claim, table, known, scores) for claim in claims_of(table))
        spec = known.spec(table)
        groups += [Group(table, f"{table}: {spec.title}" if spec else table, claims)] if claims else []
    return ClaimsPage(scale, f"Claims of the papers (scale {scale})", _notes(groups, scale), tuple(groups))


def _notes(groups: list[Group], scale: Scale) -> tuple[str, ...]:
    """How many claims have which verdict, how many the papers themselves contradict, and how to read the page."""
    claims = [claim for group in groups for claim in group.claims]
    verdicts = Counter(claim.verdict for claim in claims)
    printed = [claim.printed for claim in claims if claim.printed]
    contradicted = sum(one.contradicts for one in printed)
    counts = ", ".join(
        f"{count} {'wait' if verdict == 'waits' else verdict}" for verdict, count in verdicts.most_common()
    )
    lines = [
        f"{len(claims)} claims: {counts}. The papers print the numbers of {len(printed)}, which contradict "
        f"{contradicted} of these sentences.",
        f"{READING[0].upper()}{READING[1:]}",
    ]
    return (*lines, "Smoke numbers rank nothing: no claim is judged.") if scale == "smoke" else tuple(lines)
