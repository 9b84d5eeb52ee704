"""A pipe table of Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def grid(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Its lines: the heads, the rule, and a line for each of `body`."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *body))
