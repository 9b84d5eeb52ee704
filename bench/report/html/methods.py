"""The methods of a table's rows, with the papers that they are from, as the cards of their parts say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.contract.discovery import methods
from bench.contract.signature import signature
from bench.plan.expand import Table
from bench.spec.table import Scale

LINKS = {"arXiv:": "https://arxiv.org/abs/", "doi:": "https://doi.org/", "https://": "https://"}


@dataclass(frozen=True)
class PaperView:
    """A paper: who, when, its title, and its address; "" for a link that is none of `LINKS`, which is shown as text."""

    authors: str
    year: str
    title: str
    link: str

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        known = ((start, root) for start, root in LINKS.items() if self.link.startswith(start))
        return next((root + self.link.removeprefix(start) for start, root in known), "")


@dataclass(frozen=True)
class PartView:
    """A part of a method: its name, what it is in a line, and its papers."""

    name: str
    summary: str
    papers: tuple[PaperView, ...]


@dataclass(frozen=True)
class MethodsView:
    """Rows with their method expressions, and every part that these name."""

    rows: tuple[tuple[str, str], ...]
    parts: tuple[PartView, ...]


def methods_view(spec: Table, scale: Scale, shown: set[str]) -> MethodsView:
    """The methods of the shown rows of a table at a scale."""
    found = [(row.id, text) for row in spec.rows if row.id in shown for text in _expressions(spec, row.id, scale)]
    names = dict.fromkeys(part.name for _, text in found for part in spec.parsed(text))
    return MethodsView(tuple(dict.fromkeys(found)), tuple(map(_part, names)))


def _expressions(spec: Table, row: str, scale: Scale) -> Iterator[str]:
    """What trains a row's runs: one expression, or those of its columns."""
    (own,) = [one for one in spec.rows if one.id == row]
    for column in spec.columns:
        if spec.shows(own, column, scale) and not spec.evaluates(own, column, scale):
            text = spec.cell(own, column, scale).method
            yield from [text] if text else []


def _part(name: str) -> PartView:
    entry = methods().entry(name)
    papers = [PaperView(*map(str, paper)) for paper in signature(entry.target).papers]
    return PartView(name, entry.summary, tuple(papers))
