"""The templates filled in: every text is escaped, a name that a template lacks is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report.claims.words import details, sentence

FOLDER = Path(__file__).parent
ASSETS = ("report.css", "report.js")


def fill(template: str, **values: Any) -> str:
    """A template of this folder with its values; what it tells of claims comes with it."""
    return _environment().get_template(template).render(sentence=sentence, details=details, **values)


def asset(name: str) -> str:
    """The text of the style sheet or of the script."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader(FOLDER),
    )
