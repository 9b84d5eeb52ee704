"""A table's page: its scores, what every cell opens to, its figures and the sentences that say how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.report.claims.result import ClaimResult
from bench.report.claims.words import READING
from bench.report.html.details import Details, Known, details_of
from bench.report.html.environment import fill
from bench.report.html.files import Files
from bench.report.html.index import IndexEntry, Link
from bench.report.html.methods import MethodsView
from bench.report.html.plots import with_plots
from bench.report.html.tables import ScoreView, other_claims, rules_of, score_views
from bench.report.model import Rule, TableReport
from bench.report.pictures import Picture
from bench.spec.table import SCALES

KINDS = {"method": "methods", "control": "controls", "added": "own rows", "printed": "printed only",
         "reference": "reference points"}  # fmt: skip


@dataclass(frozen=True)
class Extras:
    """What a page shows beside a report's numbers. pictures: of the table, below it; methods: of its rows; plots:
    whether every score's seeds are drawn, which takes half a second each.
    """

    pictures: Sequence[Picture] = ()
    known: Known = field(default_factory=Known)
    methods: MethodsView | None = None
    plots: bool = False


@dataclass(frozen=True)
class TablePage:
    """A table as its page shows it; `prefix` tells the ids of several tables on one page apart."""

    report: TableReport
    prefix: str
    scores: Sequence[ScoreView]
    rules: Sequence[Rule]
    kinds: Sequence[tuple[str, str]]
    details: Sequence[Details]
    pictures: Sequence[tuple[str, Picture]]
    claims: Sequence[ClaimResult]
    sentences: Sequence[str]
    methods: MethodsView | None

    @property
    def title(self) -> str:
        """The table and its scale."""
        return f"{self.report.name} (scale {self.report.scale})"


def stem(report: TableReport) -> str:
    """The name of a report's files: "disp-table1-smoke"."""
    return f"{report.name.replace('/', '-')}-{report.scale}"


def table_page(report: TableReport, extras: Extras, files: Files, prefix: str = "") -> TablePage:
    """A report as a page; its pictures are handed to `files`."""
    details = [
        replace(made, pictures=[(files.picture(name, picture), picture) for name, picture in pictures])
        for made, pictures in details_of(report, extras.known)
    ]
    scores = score_views(report)
    if extras.plots:
        scores = [with_plots(report, score, n, files, prefix) for n, score in enumerate(scores, 1)]
    present = {row.head.kind for score in scores for rule in score.rules for row in rule.rows}
    return TablePage(
        report=report,
        prefix=prefix,
        scores=scores,
        rules=rules_of(scores),
        kinds=[(kind, words) for kind, words in KINDS.items() if kind in present] if len(present) > 1 else [],
        details=details,
        pictures=[(files.picture(f"figure-{n}", one), one) for n, one in enumerate(extras.pictures, 1)],
        claims=other_claims(report),
        sentences=[line.replace("; marked: ", "; ★: ", 1) for line in (*report.caption, *report.notes)],
        methods=extras.methods,
    )


def rendered(
    pages: Sequence[TablePage],
    files: Files,
    home: str = "",
    index: Sequence[IndexEntry] = (),
    beside: Sequence[Link] = (),
) -> str:
    """Tables as one HTML document. home: the address of the index, where it is another; index: it stands here.

    beside: the pages that the index leads to above its table.
    """
    return fill(
        "page.html.j2",
        pages=pages,
        head=files.head(),
        home=home,
        index=index,
        beside=beside,
        scales=SCALES,
        reading=READING[0].upper() + READING[1:],
    )
