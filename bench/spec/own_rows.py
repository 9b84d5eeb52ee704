"""Rows of the user's own: method expressions, with a label or without, added to a table.

A label is only a name in tables and for --rows: the method expression alone decides what is trained.
"""

from __future__ import annotations

import re

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._ -]*")
_LABELLED = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9+._ -]*?)\s*=(.*)", re.DOTALL)


def split_label(text: str) -> tuple[str | None, str]:
    """`mine=mirror + disp` as ("mine", "mirror + disp"), `disp(prior=vgg16)` as (None, "disp(prior=vgg16)")."""
    match = _LABELLED.fullmatch(text)
    return (match[1], match[2].strip()) if match else (None, text)


def row_id(text: str) -> str:
    """The row id of a method expression: its label, else the expression itself."""
    return split_label(text)[0] or text
