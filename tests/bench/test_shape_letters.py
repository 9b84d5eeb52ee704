"""Suffixes of shapes, `images_NCHW`: letters of the legend in docs/shape-letters.md, and no digits."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bench/networks", "bench/features", "bench/train", "bench/metrics", "methods")
# A name in lower case, then capitals and digits: `points_NF`, `geometry_N33`. Constants (`IMLE_BATCH`) are none.
SUFFIX = re.compile(r"[a-z0-9]_([A-Z0-9]*[A-Z][A-Z0-9]*)$")


def suffixes(source):
    """(suffix, name, line) of every name, argument and attribute that a source uses."""
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "arg", "attr", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str) and (match := SUFFIX.search(name)):
                yield match[1], name, getattr(node, "lineno", 0)


def legend():
    rows = re.findall(r"^\| ([A-Z](?:, [A-Z])*) \|", (ROOT / "docs/shape-letters.md").read_text(), re.M)
    return {letter for row in rows for letter in row.split(", ")}


def test_the_search_finds_what_it_is_for():
    found = {suffix for suffix, *_ in suffixes("def f(matrix_N33, x_NCHW): w_3NW = LUMA_3 = x_NCHW.half_MK")}
    assert found == {"N33", "NCHW", "3NW", "MK"}


def test_no_suffix_has_digits():
    offenders = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for suffix, name, line in suffixes(path.read_text())
        if any(character.isdigit() for character in suffix)
    ]
    assert offenders == [], "write the shape behind the line: # (N, 3, 3)"


def test_every_letter_is_in_the_legend():
    known = legend()
    assert {"N", "C", "H", "W"} <= known
    offenders = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for suffix, name, line in suffixes(path.read_text())
        if not set(suffix) <= known
    ]
    assert offenders == [], "add the letter to docs/shape-letters.md, or use one that is there"
