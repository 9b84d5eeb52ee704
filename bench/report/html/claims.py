"""The claims of several tables as one HTML page."""

from __future__ import annotations

from bench.report.claims.page import ClaimsPage
from bench.report.html.environment import fill
from bench.report.html.files import Files, Inside


def render_claims(page: ClaimsPage, files: Files | None = None, home: str = "") -> str:
    """The page; files: where its style lies. home: the address of the index, where there is one."""
    return fill("claims_page.html.j2", page=page, head=(files or Inside()).head(), home=home)
