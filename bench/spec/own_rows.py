"""Rows of the user's own: method expressions, with a label or without, added to a table.

A label is only a name in tables and for --rows: the method expression decides what is trained. `mine@biggan` has the
settings of the rows of group `biggan`.
"""

from __future__ import annotations

import re

GROUP = r"@[a-z0-9+.-]+"
LABEL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9+._ -]*({GROUP})?")
_LABELLED = re.compile(rf"\s*([A-Za-z0-9][A-Za-z0-9+._ -]*?(?:{GROUP})?)\s*=(.*)", re.DOTALL)


def split_label(text: str) -> tuple[str | None, str]:
    """`mine=mirror + disp` as ("mine", "mirror + disp"), `disp(prior=vgg16)` as (None, "disp(prior=vgg16)")."""
    match = _LABELLED.fullmatch(text)
    return (match[1], match[2].strip()) if match else (None, text)


def group_of(label: str | None) -> str | None:
    """The group of the table whose settings a row has: `biggan` of the label `mine@biggan`."""
    return (label or "").partition("@")[2] or None


def row_id(text: str) -> str:
    """The row id of a method expression: its label, else the expression itself."""
    return split_label(text)[0] or text
