"""A report as one HTML page: everything inside, read from a file without a network."""

from __future__ import annotations

from bench.report.claims.page import ClaimsPage
from bench.report.html import claims
from bench.report.html.page import Extras
from bench.report.html.site import whole
from bench.report.model import TableReport


def render(report: TableReport, extras: Extras | None = None) -> str:
    """The whole report as a page, its pictures inside; every text is escaped."""
    return whole([(report, extras or Extras())])


def render_claims(page: ClaimsPage) -> str:
    """The claims of several tables as one page."""
    return claims.render_claims(page)
